import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { eraseAtVirgil } from '../../../cloud/virgil-cloud/erase';
import { type HttpAnswer, startHttpServer } from '../../support/http-server';

const IDENTITY = 'Xk2p9QaL0b';
const TOKEN = 'a.b.c';

let virgil: Awaited<ReturnType<typeof startHttpServer>>;
let asked: string[];
let bodies: Promise<unknown>[];
let answer: (path: string) => HttpAnswer;
/** The cards that a search finds. */
let published: object[];

beforeAll(async () => {
  virgil = await startHttpServer((request: IncomingMessage) => {
    const { url = '', headers } = request;
    expect(headers.authorization).toBe(`Virgil ${TOKEN}`);
    bodies.push(json(request));
    asked.push(url.replace(/[0-9a-f]{64}$/, (id) => id.slice(0, 4)));
    return answer(url);
  });
});
afterAll(() => virgil.stop());
beforeEach(() => {
  asked = [];
  bodies = [];
  published = [];
  answer = (path) => ({ body: path.endsWith('search') ? published : {} });
});

const model = (fields: object) => {
  const content = { identity: IDENTITY, public_key: 'MCowBQYDK2VwAyEA', ...fields };
  return { content_snapshot: Buffer.from(JSON.stringify(content)).toString('base64') };
};
const erase = () => eraseAtVirgil({ apiUrl: virgil.url, token: TOKEN }, IDENTITY);
const REVOKE = '/card/v5/actions/revoke/';
const RESETS = ['/keyknox/v1/reset', ...Array(4).fill('/keyknox/v2/reset')];

test.each([
  ['an empty list', []],
  ['null', null],
])('who has no card, by %s: what Keyknox has is wiped', async (_name, body) => {
  answer = (path) => ({ body: path.endsWith('search') ? JSON.stringify(body) : {} });
  await erase();
  expect(asked).toEqual(['/card/v5/actions/search', ...RESETS]);
});

test('the search names the identity, each reset its root, a revocation the ID of the card', async () => {
  const card = model({});
  published = [card];
  let revoked: string | undefined;
  answer = (path) => {
    if (path.startsWith(REVOKE)) {
      revoked = path.slice(REVOKE.length);
      published = [];
    }
    return { body: path.endsWith('search') ? published : {} };
  };
  await erase();
  const snapshot = Buffer.from(card.content_snapshot, 'base64');
  expect(revoked).toBe(createHash('sha512').update(snapshot).digest().subarray(0, 32).toString('hex'));
  const search = { identities: [IDENTITY] };
  const roots = ['e3kit', 'group-sessions', 'unsafe-keys', 'ratchet-peer-to-peer'].map((root) => ({ root }));
  const sent = await Promise.all(bodies);
  expect(sent.slice(0, 3)).toEqual([search, {}, search]);
  expect(new Set(sent.slice(3))).toEqual(new Set([{}, ...roots])); // all at once
});

test('what is no list of cards is a failure, and no card what is none', async () => {
  answer = (path) => ({ body: path.endsWith('search') ? { cards: [] } : {} });
  await expect(erase()).rejects.toThrow('POST /card/v5/actions/search was answered with no list of cards.');
  answer = (path) => ({ body: path.endsWith('search') ? [{}, { content_snapshot: 'e30=' }] : {} });
  asked = [];
  await erase();
  expect(asked).toEqual(['/card/v5/actions/search', ...RESETS]);
});

test('where a service revokes one card at a time, the chain is followed until none is found', async () => {
  const [first, second] = [model({ n: 1 }), model({ n: 2 })];
  published = [first, second];
  answer = (path) => {
    if (path.startsWith(REVOKE)) published.pop();
    return { body: path.endsWith('search') ? published : {} };
  };
  await erase();
  expect(published).toEqual([]);
  expect(asked.filter((path) => path.startsWith(REVOKE))).toHaveLength(2);
});

test('a card without a key, which says that another is revoked, is left alone', async () => {
  published = [model({ public_key: '' })];
  await erase();
  expect(asked).toEqual(['/card/v5/actions/search', ...RESETS]);
});

test('answers without a body are good ones', async () => {
  answer = (path) => (path.endsWith('search') ? { body: [] } : { status: 204 });
  await erase();
  expect(asked).toHaveLength(6);
});

test('a service that goes on giving out revoked cards is not asked for ever, and nothing is said to be done', async () => {
  published = [model({})];
  await expect(erase()).rejects.toThrow('Virgil Cloud gives out more cards than one attempt revokes.');
  expect(asked.filter((path) => path.startsWith(REVOKE))).toHaveLength(10);
  expect(asked.slice(-5)).toEqual(RESETS); // the backups are wiped all the same
});

test('of thousands of cards one attempt revokes fifty, and the next goes on', async () => {
  published = Array.from({ length: 5000 }, (_, n) => model({ n }));
  const all = published;
  let revoked = 0;
  answer = (path) => {
    if (path.startsWith(REVOKE)) published = all.slice(++revoked);
    return { body: path.endsWith('search') ? published : {} };
  };
  await expect(erase()).rejects.toMatchObject({ status: 413 });
  expect(revoked).toBe(50);
  published = all.slice(-10);
  revoked = all.length - 10;
  await erase();
  expect(published).toEqual([]);
});

test('an answer of tens of megabytes is read, and cards of others and what is not a card are left alone', async () => {
  const other = model({ identity: 'somebodyElse' });
  const big = model({ text: 'x'.repeat(20 * 1024 * 1024) });
  published = [
    null,
    5,
    [],
    { content_snapshot: { length: 2e9 } },
    model({ public_key: { length: 2e9 } }),
    other,
    big,
  ] as object[];
  answer = (path) => {
    if (path.startsWith(REVOKE)) published = [other];
    return { body: path.endsWith('search') ? published : {} };
  };
  await erase();
  expect(asked.filter((path) => path.startsWith(REVOKE))).toHaveLength(1);
});

test('a search that is rejected for this identity does not keep its backups', async () => {
  answer = (path) => (path.endsWith('search') ? { status: 400, body: {} } : { body: {} });
  await expect(erase()).rejects.toMatchObject({ status: 400 });
  expect(asked).toEqual(['/card/v5/actions/search', ...RESETS]);
});

test.each([300, 401, 404, 500])('a %i at any request is a failure', async (status) => {
  published = [model({})];
  for (const failing of ['search', REVOKE, '/keyknox/v1/reset', '/keyknox/v2/reset']) {
    answer = (path) => {
      if (path.includes(failing)) return { status, headers: { Location: '/elsewhere' }, body: {} };
      if (path.startsWith(REVOKE)) published = [];
      return { body: path.endsWith('search') ? published : {} };
    };
    await expect(erase()).rejects.toMatchObject({
      name: 'ServiceError',
      message: expect.stringMatching(new RegExp(`^POST /.* was answered ${status}\\.$`)),
      status,
    });
  }
});
