import { searchCards } from '../../../cloud/virgil-cloud/cards';
import { startHttpServer } from '../../support/http-server';

let virgil: Awaited<ReturnType<typeof startHttpServer>>;
let answer: string;
beforeAll(async () => {
  virgil = await startHttpServer(() => ({ body: answer }));
});
afterAll(() => virgil.stop());

const snapshot = (content: unknown) => ({
  content_snapshot: Buffer.from(JSON.stringify(content)).toString('base64'),
});
const find = (body: unknown, identities = ['alice']) => {
  answer = typeof body === 'string' ? body : JSON.stringify(body);
  return searchCards({ apiUrl: virgil.url, token: 'a.b.c' }, identities);
};
const LENGTH = { length: 2e9 };

test.each([
  ['not an object', [null, 5, 'text', true, []]],
  [
    'without a snapshot',
    [{}, { content_snapshot: null }, { content_snapshot: LENGTH }, { content_snapshot: [1] }],
  ],
  ['of a snapshot that is not JSON', [{ content_snapshot: 'AAAA' }, { content_snapshot: '' }]],
  ['of a snapshot that is not an object', [snapshot(null), snapshot(5), snapshot([])]],
  [
    'without an identity',
    [snapshot({ public_key: 'AAAA' }), snapshot({ identity: LENGTH, public_key: 'AAAA' })],
  ],
  ['without a key', [snapshot({ identity: 'alice' }), snapshot({ identity: 'alice', public_key: LENGTH })]],
])('a card that is %s is left out, and takes no memory', async (_name, body) => {
  const good = snapshot({ identity: 'alice', public_key: 'AAAA', previous_card_id: LENGTH });
  const cards = await find([...body, good]);
  expect(cards).toEqual([
    {
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      identity: 'alice',
      previousCardId: undefined,
      publicKey: Buffer.alloc(3),
    },
  ]);
});

test('a hundred cards for each identity are read; more are an error, which names the service and no card', async () => {
  const cards = (count: number) => Array(count).fill(snapshot({ identity: 'alice', public_key: 'AAAA' }));
  expect(await find(cards(200), ['alice', 'bob'])).toHaveLength(200);
  await expect(find(cards(201), ['alice', 'bob'])).rejects.toMatchObject({
    message: 'POST /card/v5/actions/search was answered with 201 cards.',
    status: 413,
  });
});

test('a million of nothing is an error before any is looked at', async () => {
  await expect(find(`[${'null,'.repeat(8e5)}null]`)).rejects.toMatchObject({ status: 413 });
});

test('a hundred cards that cannot be read are left out, and more are an error', async () => {
  const unreadable = (count: number) => Array(count).fill({ content_snapshot: 'AAAA' });
  const identities = Array.from({ length: 50 }, (_, i) => `user${i}`);
  expect(await find(unreadable(100), identities)).toEqual([]);
  await expect(find(unreadable(101), identities)).rejects.toMatchObject({ status: 413 });
});
