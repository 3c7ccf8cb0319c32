import {
  CloudGroupTicketStorage,
  GroupTicketAlreadyExistsError,
  GroupTicketDoesntExistError,
  KeyknoxClient,
  KeyknoxCrypto,
  KeyknoxManager,
} from '@virgilsecurity/keyknox';
import { VirgilCrypto, type VirgilKeyPair } from 'virgil-crypto';
import type { ICard } from 'virgil-sdk';
import { makeVirgilApplication, type VirgilApplication } from '../../../support/virgil-application';
import { call, serveVirgilCloud } from '../../../support/virgil-cloud';
import { loadVirgilCrypto } from '../../../support/virgil-crypto';

let app: VirgilApplication;
let cloud: Awaited<ReturnType<typeof serveVirgilCloud>>;
let alice: KeyknoxClient;
let bob: KeyknoxClient;

beforeEach(async () => {
  app = makeVirgilApplication(await loadVirgilCrypto());
  cloud = await serveVirgilCloud(app);
  alice = client('alice');
  bob = client('bob');
});
afterEach(() => cloud.close());

const client = (identity: string) => new KeyknoxClient(app.tokenProvider(identity), cloud.url);
const base64 = (text: string) => Buffer.from(text).toString('base64');
const stale = { status: 409, code: 50001 };

describe('Keyknox v1', () => {
  it('answers a missing value with an empty one', async () => {
    expect(await alice.v1Pull()).toMatchObject({ meta: '', value: '', version: '1.0' });
    expect(await alice.v1Reset()).toMatchObject({ meta: '', value: '', version: '1.0' });
  });

  it('keeps a value for its identity alone', async () => {
    const pushed = await alice.v1Push(base64('meta'), base64('value'));
    expect(pushed).toMatchObject({ meta: base64('meta'), value: base64('value'), version: '1.0' });
    expect(await alice.v1Pull()).toEqual(pushed);
    expect(await bob.v1Pull()).toMatchObject({ value: '' });
  });

  it('answers with a hash in real base64, as native clients decode it, even when there is no value', async () => {
    const { keyknoxHash } = await alice.v1Pull();
    expect(Buffer.from(keyknoxHash, 'base64').toString('base64')).toBe(keyknoxHash);
  });

  it('counts versions through a reset', async () => {
    const { keyknoxHash } = await alice.v1Push(base64('meta'), base64('value'));
    expect(await alice.v1Push(base64('meta'), base64('2'), keyknoxHash)).toMatchObject({ version: '2.0' });
    expect(await alice.v1Reset()).toMatchObject({ meta: '', value: '', version: '3.0' });
    expect(await alice.v1Push(base64('meta'), base64('4'))).toMatchObject({ version: '4.0' });
  });

  it('takes the hash of an empty value for the first push', async () => {
    const { keyknoxHash } = await alice.v1Pull();
    expect(await alice.v1Push(base64('meta'), base64('value'), keyknoxHash)).toMatchObject({
      version: '1.0',
    });
  });

  it('refuses a stale previous hash and keeps the value', async () => {
    const first = await alice.v1Push(base64('meta'), base64('1'));
    const second = await alice.v1Push(base64('meta'), base64('2'), first.keyknoxHash);
    await expect(alice.v1Push(base64('meta'), base64('lost'), first.keyknoxHash)).rejects.toMatchObject(
      stale,
    );
    await expect(alice.v1Push(base64('meta'), base64('lost'))).rejects.toMatchObject(stale);
    expect(await alice.v1Pull()).toEqual(second);
  });

  it('refuses the hash from before a reset', async () => {
    const { keyknoxHash } = await alice.v1Push(base64('meta'), base64('1'));
    await alice.v1Reset();
    await expect(alice.v1Push(base64('meta'), base64('2'), keyknoxHash)).rejects.toMatchObject(stale);
  });

  it('lets one of a hundred concurrent pushes win', async () => {
    const { keyknoxHash } = await alice.v1Push(base64('meta'), base64('first'));
    const pushes = Array.from({ length: 100 }, (_, n) =>
      alice.v1Push(base64('meta'), base64(`${n}`), keyknoxHash),
    );
    const results = await Promise.allSettled(pushes);
    const [winner, ...others] = results.flatMap((result) =>
      result.status === 'fulfilled' ? [result.value] : [],
    );
    expect(others).toEqual([]);
    expect(await alice.v1Pull()).toEqual(winner);
  });

  it.each([{}, { meta: '', value: '' }, { meta: '*', value: 'AAAA' }, { meta: ['AAAA'], value: 'AAAA' }])(
    'refuses %j',
    async (body) => {
      const answer = await call(`${cloud.url}/keyknox/v1`, app.token('alice'), { method: 'PUT', body });
      expect(answer).toMatchObject({ status: 400, body: { code: 10001 } });
    },
  );
});

describe('Keyknox v2', () => {
  const at = { root: 'root', path: 'path', key: 'key' };
  const ticket = (value: string, identities: string[]) => ({
    ...at,
    identities,
    meta: base64('m'),
    value: base64(value),
  });

  it('answers a missing ticket with an empty one', async () => {
    expect(await alice.v2Pull({ ...at, identity: 'alice' })).toMatchObject({
      ...at,
      owner: 'alice',
      meta: '',
      value: '',
    });
    expect(await alice.v2GetKeys({ root: 'root', path: 'path', identity: 'alice' })).toEqual([]);
  });

  it('lets the owner and whom he named pull, and nobody else', async () => {
    const pushed = await alice.v2Push(ticket('secret', ['alice', 'bob']));
    expect(pushed).toMatchObject({
      ...at,
      owner: 'alice',
      identities: ['alice', 'bob'],
      value: base64('secret'),
    });
    expect(await bob.v2Pull({ ...at, identity: 'alice' })).toEqual(pushed);
    expect(await bob.v2GetKeys({ root: 'root', path: 'path', identity: 'alice' })).toEqual(['key']);

    const mallory = client('mallory');
    const nothing = await client('mallory').v2Pull({ ...at, identity: 'nobody' });
    // not even whether there is a ticket, or for whom
    expect(await mallory.v2Pull({ ...at, identity: 'alice' })).toEqual({ ...nothing, owner: 'alice' });
    expect(await mallory.v2GetKeys({ root: 'root', path: 'path', identity: 'alice' })).toEqual([]);
  });

  it('lets only the owner push: the same place under another identity is another ticket', async () => {
    const { keyknoxHash } = await alice.v2Push(ticket('secret', ['alice', 'bob']));
    await expect(bob.v2Push({ ...ticket('forged', ['alice', 'bob']), keyknoxHash })).rejects.toMatchObject(
      stale,
    );
    await bob.v2Push(ticket('forged', ['alice', 'bob']));
    expect(await alice.v2Pull({ ...at, identity: 'alice' })).toMatchObject({
      owner: 'alice',
      value: base64('secret'),
    });
  });

  it('lets only the owner reset', async () => {
    await alice.v2Push(ticket('secret', ['alice', 'bob']));
    await bob.v2Reset(at);
    await bob.v2Reset({ ...at, identity: 'alice' });
    await bob.v2Reset({ ...at, identity: 'bob' });
    const pulled = await alice.v2Pull({ ...at, identity: 'alice' });
    expect(pulled).toMatchObject({ identities: ['alice', 'bob'], value: base64('secret') });

    await alice.v2Reset({ ...at, identity: 'alice' });
    expect(await bob.v2Pull({ ...at, identity: 'alice' })).toMatchObject({ value: '', identities: [] });
    expect(await alice.v2GetKeys({ root: 'root', path: 'path', identity: 'alice' })).toEqual([]);
  });

  it('resets all keys of a path, and of no other, when none is named', async () => {
    await alice.v2Push(ticket('1', ['alice']));
    await alice.v2Push({ ...ticket('2', ['alice']), key: 'key 2' });
    await alice.v2Push({ ...ticket('3', ['alice']), path: 'other' });
    await alice.v2Reset({ root: 'root', path: 'path' });
    expect(await alice.v2GetKeys({ root: 'root', path: 'path', identity: 'alice' })).toEqual([]);
    expect(await alice.v2GetKeys({ root: 'root', path: 'other', identity: 'alice' })).toEqual(['key']);
  });

  it("resets all paths of the owner's root, and of no other, when no path is named, as native clients do", async () => {
    await alice.v2Push(ticket('1', ['alice', 'bob']));
    await alice.v2Push({ ...ticket('2', ['alice']), path: 'other', key: 'key 2' });
    await alice.v2Push({ ...ticket('3', ['alice']), root: 'other' });
    await bob.v2Push(ticket('4', ['bob', 'alice']));
    const answer = await call(`${cloud.url}/keyknox/v2/reset`, app.token('alice'), {
      body: { root: 'root' },
    });
    expect(answer).toMatchObject({
      status: 200,
      body: { owner: 'alice', root: 'root', path: '', key: '', identities: [], meta: '', value: '' },
    });
    expect(answer.headers.get('Virgil-Keyknox-Hash')).toMatch(/^[\w+/]{86}==$/);

    for (const path of ['path', 'other']) {
      expect(await alice.v2GetKeys({ root: 'root', path, identity: 'alice' })).toEqual([]);
    }
    expect(await bob.v2Pull({ ...at, identity: 'alice' })).toMatchObject({ value: '' });
    expect(await alice.v2GetKeys({ root: 'other', path: 'path', identity: 'alice' })).toEqual(['key']);
    expect(await alice.v2Pull({ ...at, identity: 'bob' })).toMatchObject({ value: base64('4') });
  });

  it('takes a participant out of a whole root, and leaves it to the others', async () => {
    await alice.v2Push(ticket('1', ['alice', 'bob', 'carol']));
    await alice.v2Push({ ...ticket('2', ['alice', 'bob']), path: 'other' });
    await call(`${cloud.url}/keyknox/v2/reset`, app.token('alice'), {
      body: { root: 'root', path: null, identity: 'bob' },
    });
    for (const path of ['path', 'other']) {
      expect(await bob.v2GetKeys({ root: 'root', path, identity: 'alice' })).toEqual([]);
      expect(await alice.v2GetKeys({ root: 'root', path, identity: 'alice' })).toEqual(['key']);
    }
    expect(await client('carol').v2Pull({ ...at, identity: 'alice' })).toMatchObject({ value: base64('1') });
  });

  it('does not let a reset bring earlier participants back', async () => {
    await alice.v2Push(ticket('1', ['alice', 'bob']));
    await alice.v2Reset(at);
    await alice.v2Push(ticket('2', ['alice']));
    expect(await bob.v2Pull({ ...at, identity: 'alice' })).toMatchObject({ value: '' });
  });

  it('adds participants, whom a push may name twice, to those of earlier pushes', async () => {
    const { keyknoxHash } = await alice.v2Push(ticket('1', ['alice', 'alice', 'bob']));
    const added = await alice.v2Push({ ...ticket('2', ['carol']), keyknoxHash });
    expect(added.identities).toEqual(['alice', 'bob', 'carol']);
    expect((await bob.v2Pull({ ...at, identity: 'alice' })).identities).toEqual(['alice', 'bob', 'carol']);
  });

  it('gives an earlier participant what was encrypted for him, and the owner and the new one the latest', async () => {
    const { keyknoxHash } = await alice.v2Push(ticket('1', ['alice', 'bob']));
    await alice.v2Push({ ...ticket('2', ['carol']), keyknoxHash });
    expect(await bob.v2Pull({ ...at, identity: 'alice' })).toMatchObject({ value: base64('1') });
    for (const reader of [alice, client('carol')]) {
      expect(await reader.v2Pull({ ...at, identity: 'alice' })).toMatchObject({ value: base64('2') });
    }
  });

  it('gives a participant who is named again the latest', async () => {
    const { keyknoxHash } = await alice.v2Push(ticket('1', ['alice', 'bob']));
    await alice.v2Push({ ...ticket('2', ['bob']), keyknoxHash });
    expect(await bob.v2Pull({ ...at, identity: 'alice' })).toMatchObject({
      identities: ['alice', 'bob'],
      value: base64('2'),
    });
  });

  it('takes a participant out of one key or of all', async () => {
    await alice.v2Push(ticket('1', ['alice', 'bob']));
    await alice.v2Push({ ...ticket('2', ['alice', 'bob']), key: 'key 2' });
    await alice.v2Reset({ ...at, identity: 'bob' });
    expect(await bob.v2Pull({ ...at, identity: 'alice' })).toMatchObject({ value: '' });
    expect(await bob.v2GetKeys({ root: 'root', path: 'path', identity: 'alice' })).toEqual(['key 2']);
    await alice.v2Reset({ root: 'root', path: 'path', identity: 'bob' });
    expect(await bob.v2GetKeys({ root: 'root', path: 'path', identity: 'alice' })).toEqual([]);
    expect(await alice.v2GetKeys({ root: 'root', path: 'path', identity: 'alice' })).toEqual([
      'key',
      'key 2',
    ]);
  });

  it('refuses a stale previous hash and keeps the ticket', async () => {
    const first = await alice.v2Push(ticket('1', ['alice']));
    const second = await alice.v2Push({ ...ticket('2', ['alice']), keyknoxHash: first.keyknoxHash });
    await expect(
      alice.v2Push({ ...ticket('lost', ['alice', 'bob']), keyknoxHash: first.keyknoxHash }),
    ).rejects.toMatchObject(stale);
    expect(await alice.v2Pull({ ...at, identity: 'alice' })).toEqual(second);
  });

  it('refuses a push over a ticket without its hash by the code that clients know', async () => {
    await alice.v2Push(ticket('1', ['alice']));
    await expect(alice.v2Push(ticket('2', ['alice']))).rejects.toMatchObject({ code: 50010 });
  });

  it.each([
    ['/ in one place', { root: 'a/b', path: 'c', key: 'd' }, { root: 'a', path: 'b/c', key: 'd' }],
    ['quotes', { root: 'a","b', path: 'c', key: 'd' }, { root: 'a', path: 'b","c', key: 'd' }],
    ['__proto__', { root: '__proto__', path: 'c', key: 'd' }, { root: 'constructor', path: 'c', key: 'd' }],
  ])('keeps places apart that differ by %s', async (_, one, other) => {
    await alice.v2Push({ ...ticket('1', ['alice']), ...one });
    expect(await alice.v2Pull({ ...other, identity: 'alice' })).toMatchObject({ value: '' });
    expect(await alice.v2Pull({ ...one, identity: 'alice' })).toMatchObject({ value: base64('1') });
  });

  it.each([
    ['push', { ...at, identities: 'bob', meta: 'AAAA', value: 'AAAA' }],
    ['push', { ...at, identities: [null], meta: 'AAAA', value: 'AAAA' }],
    ['push', { root: 'root', path: 'path', identities: [], meta: 'AAAA', value: 'AAAA' }],
    ['pull', at],
    ['pull', { ...at, identity: { $ne: '' } }],
    ['keys', { root: 'root', identity: 'alice' }],
    ['reset', { root: 1, path: 'path' }],
    ['reset', { ...at, identity: 7 }],
    ['reset', { path: 'path' }],
    ['reset', { root: 'root', key: 'key' }],
    ['reset', { root: 'root', path: '' }],
    ['reset', { root: 'root', path: 1 }],
  ])('refuses to %s %j', async (operation, body) => {
    const answer = await call(`${cloud.url}/keyknox/v2/${operation}`, app.token('alice'), { body });
    expect(answer).toMatchObject({ status: 400, body: { code: 10001 } });
  });
});

describe('group tickets of the official client', () => {
  const crypto = new VirgilCrypto();

  const storage = (identity: string, keyPair: VirgilKeyPair) =>
    new CloudGroupTicketStorage({
      keyknoxManager: new KeyknoxManager(new KeyknoxCrypto(crypto), client(identity)),
      identity,
      ...keyPair,
    });

  /** As much of a card as the client reads. */
  const card = (identity: string, { publicKey }: VirgilKeyPair) =>
    ({ identity, publicKey }) as unknown as ICard;

  it('reach a participant, those added later, and not whom the owner took out', async () => {
    const keys = { alice: crypto.generateKeys(), bob: crypto.generateKeys(), carol: crypto.generateKeys() };
    const ticket = { sessionId: 'session', epochNumber: 0, data: base64('group key') };
    const owner = storage('alice', keys.alice);
    const load = (identity: 'bob' | 'carol') =>
      storage(identity, keys[identity]).retrieve('session', 'alice', keys.alice.publicKey);

    await owner.store(ticket, [card('bob', keys.bob)]);
    await expect(owner.store(ticket)).rejects.toBeInstanceOf(GroupTicketAlreadyExistsError);
    await owner.addRecipient('session', card('carol', keys.carol));
    for (const identity of ['bob', 'carol'] as const) {
      expect(await load(identity)).toEqual([
        { identities: ['alice', 'bob', 'carol'], groupSessionMessageInfo: ticket },
      ]);
    }
    await owner.removeRecipient('session', 'bob');
    await expect(load('bob')).rejects.toBeInstanceOf(GroupTicketDoesntExistError);
    expect(await load('carol')).toHaveLength(1);
  });
});
