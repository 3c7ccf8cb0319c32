import { createHash } from 'node:crypto';
import type { VirgilCrypto } from 'virgil-crypto';
import type { ClassPolicy } from '../../../cloud/policy';
import { checkSave, type SaveRequest } from '../../../cloud/triggers/guard';
import { recipientsCheck } from '../../../cloud/triggers/recipients';
import { becomeCloudCode, objectsOfSave } from '../../support/cloud-code';
import { type HttpAnswer, startHttpServer } from '../../support/http-server';
import { makeVirgilApplication } from '../../support/virgil-application';
import { loadVirgilCrypto } from '../../support/virgil-crypto';
import ratchetMessages from '../envelope/ratchet-messages.json';

becomeCloudCode(({ path }) => {
  throw new Error(`The check of recipients asks nothing of Parse Server, ${path} neither.`);
});

type Key = ReturnType<VirgilCrypto['generateKeys']>;
interface Person {
  id: string;
  key: Key;
  cardId: string;
}

let crypto: VirgilCrypto;
let virgilCloud: Awaited<ReturnType<typeof startHttpServer>>;
/** What the cards service gives out, whatever it is asked; or its failure. */
const published: { content_snapshot: string }[] = [];
let failure: HttpAnswer | undefined;
let searches = 0;
let authorization: string | undefined;

let alice: Person;
let bob: Person;
let carol: Person;

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  virgilCloud = await startHttpServer(({ headers }) => {
    searches += 1;
    authorization = headers.authorization;
    return failure ?? { body: published };
  });
  Object.assign(process.env, makeVirgilApplication(crypto).environment, { VIRGIL_API_URL: virgilCloud.url });
});
afterAll(() => virgilCloud.stop());
beforeEach(() => {
  failure = undefined;
  searches = 0;
  // Nobody is remembered from another test.
  [alice, bob, carol] = [somebody(), somebody(), somebody()];
});

function publish(identity: string, { publicKey }: Key, previousCardId?: string): string {
  const card = {
    identity,
    public_key: crypto.exportPublicKey(publicKey).toString('base64'),
    ...(previousCardId && { previous_card_id: previousCardId }),
  };
  const snapshot = Buffer.from(JSON.stringify(card));
  published.push({ content_snapshot: snapshot.toString('base64') });
  return createHash('sha512').update(snapshot).digest('hex').slice(0, 64);
}

let people = 0;
function somebody(): Person {
  const person = { id: `aPerson${String(++people).padStart(3, '0')}`, key: crypto.generateKeys() };
  return { ...person, cardId: publish(person.id, person.key) };
}

/** What E3Kit makes of a text for these. */
function encrypt(...recipients: { key: Key }[]): string {
  const { privateKey } = crypto.generateKeys();
  const publicKeys = recipients.map(({ key }) => key.publicKey);
  return crypto.signAndEncrypt('hello', privateKey, publicKeys, true).toString('base64');
}
const toGroup = (groupId: string) =>
  crypto.generateGroupSession(groupId).encrypt('hello', alice.key.privateKey).toString('base64');

const policy: ClassPolicy = {
  mode: 'enforce',
  encrypted: ['body'],
  plain: ['senderId', 'seen', 'wardId', 'to', 'copyTo'],
  types: { to: 'Pointer<_User>' },
  sender: 'senderId',
  maxPayloadBytes: 100_000,
  maxPlainBytes: 100,
  allowLegacyEncrypt: false,
  recipients: 'acl',
};
const strict: ClassPolicy = { ...policy, recipientsOutage: 'refuse' };
const byFields: ClassPolicy = { ...policy, recipients: ['to', 'copyTo'] };
const ofGroups: ClassPolicy = { ...policy, group: 'wardId' };
const { sender: _sender, ...withoutSender } = policy;
const { recipients: _recipients, ...groupAlone } = ofGroups;

const acl = (...readers: ({ id: string } | string)[]) =>
  Object.fromEntries(
    readers.map((reader) => [typeof reader === 'string' ? reader : reader.id, { read: true, write: true }]),
  );
const pointer = ({ id }: Person) => ({ __type: 'Pointer', className: '_User', objectId: id });

interface How {
  policy?: ClassPolicy;
  stored?: object;
  by?: Person | 'master';
  log?: SaveRequest['log'];
}
function requestOf(fields: object, { stored, by = alice, log }: How): SaveRequest {
  const row = stored && { objectId: 'aMessage00', senderId: alice.id, ...stored };
  const user =
    by !== 'master' && (Parse.Object.fromJSON({ className: '_User', objectId: by.id }) as Parse.User);
  return {
    ...objectsOfSave('Message', fields, row),
    master: !user,
    ...(user && { user }),
    ...(log && { log }),
  };
}
const recipients = recipientsCheck();

/** What the guard says of a save, `none` where it lets it through. */
async function verdict(fields: object, how: How = {}): Promise<string> {
  try {
    await checkSave(requestOf(fields, how), how.policy ?? policy, recipients);
    return 'none';
  } catch (error) {
    if (!(error instanceof Parse.Error)) throw error;
    return `${error.code} ${error.message}`;
  }
}
const send = (body: string, readers: Parameters<typeof acl>, fields: object = {}, how?: How) =>
  verdict({ body, senderId: alice.id, ACL: acl(...readers), ...fields }, how);

const notFor = (who: string) =>
  `142 Message.body is not encrypted for ${who}, who may read the row: encrypt it for every reader.`;
const STRANGER =
  '142 Message.body is encrypted for somebody who may not read the row: encrypt it for its readers alone.';
const noCard = (who: string) =>
  `142 Message.body is not for all: ${who}, who may read the row, has no card. That user must register.`;
const formerKey = (who: string, mend: string) =>
  `142 Message.body is encrypted for a former key of ${who}: ${mend}, and encrypt it again.`;
const FIND_ANEW = 'find that user anew (forceReload)';
const RESTORE = 'restore the private key on this device';
const needsUsers = (where: string) =>
  `119 Message.body needs users in its ${where}: nobody else, a role neither, could decrypt it.`;
const kindOf = (kind: string) =>
  `142 Message.body is a ${kind}, which names no recipients: encrypt it with authEncrypt().`;
const OTHER_GROUP = '142 Message.body is of another group than wardId names.';
const TOO_MANY = '116 Message.body may have at most 100 readers.';
const UNAVAILABLE =
  '100 Message.body could not be checked: Virgil Cloud does not answer. Save it again later.';

describe('ciphertext that is written', () => {
  test('is for every reader, and may be for its sender', async () => {
    expect(await send(encrypt(alice, bob), [alice, bob])).toBe('none');
    expect(await send(encrypt(alice, bob), [bob])).toBe('none');
    expect(await send(encrypt(bob), [bob])).toBe('none');
    expect(await send(encrypt(alice), [])).toBe('none');
  });

  test('is for no fewer', async () => {
    expect(await send(encrypt(alice), [alice, bob])).toBe(notFor(bob.id));
    expect(searches).toBe(0);
    expect(await send(encrypt(alice, carol), [alice, bob])).toBe(notFor(bob.id));
    expect(await send(encrypt(bob), [alice])).toBe(notFor(alice.id));
  });

  test('is for no fewer of several: those are named of whose keys it has none', async () => {
    const [dave, oldBob] = [somebody(), { ...bob }];
    bob.key = crypto.generateKeys();
    publish(bob.id, bob.key, bob.cardId);
    const readers = [alice, bob, carol, dave];
    expect(await send(encrypt(alice), readers)).toBe(notFor(`${bob.id}, ${carol.id}, ${dave.id}`));
    for (const body of [encrypt(alice, bob), encrypt(alice, oldBob)])
      expect(await send(body, readers)).toBe(notFor(`${carol.id}, ${dave.id}`));
    expect(await send(encrypt(bob), [alice, carol, bob])).toBe(notFor(`${alice.id}, ${carol.id}`));
    expect(await send(encrypt(alice), [alice, bob, 'nobodyHere'])).toBe(notFor(`${bob.id}, nobodyHere`));
  });

  test('is for no more', async () => {
    expect(await send(encrypt(alice, bob, carol), [alice, bob])).toBe(STRANGER);
    expect(await send(encrypt(alice, bob), [bob], {}, { by: 'master', policy: withoutSender })).toBe(
      STRANGER,
    );
    expect(searches).toBe(0);
    expect(await send(encrypt(carol, bob), [bob])).toBe(STRANGER);
    expect(searches).toBe(1);
  });

  test('is for the current key', async () => {
    const old = { ...bob };
    bob.key = crypto.generateKeys();
    publish(bob.id, bob.key, bob.cardId);
    expect(await send(encrypt(alice, old), [alice, bob])).toBe(formerKey(bob.id, FIND_ANEW));
    expect(await send(encrypt(alice, bob), [alice, bob])).toBe('none');
    expect(await send(encrypt(old, bob), [bob])).toBe(formerKey(bob.id, FIND_ANEW));
  });

  test('is for the sender’s own current key', async () => {
    const oldAlice = { ...alice };
    alice.key = crypto.generateKeys();
    publish(alice.id, alice.key, alice.cardId);
    expect(await send(encrypt(oldAlice, bob), [alice, bob])).toBe(formerKey(alice.id, RESTORE));
    expect(await send(encrypt(oldAlice, bob), [bob])).toBe(formerKey(alice.id, RESTORE));
  });

  test('is for readers who have a card', async () => {
    expect(await send(encrypt(alice, bob), [alice, 'nobodyHere'])).toBe(noCard('nobodyHere'));
  });

  test('is not for a role, the public or a text, and so is a row without an ACL', async () => {
    const body = encrypt(alice, bob);
    expect(await send(body, [alice, bob, 'role:doctors'])).toBe(needsUsers('ACL'));
    expect(
      await send(body, [alice, bob], { ACL: { ...acl(alice, bob), 'role:doctors': { write: true } } }),
    ).toBe('none');
    for (const stored of [{}, { ACL: acl('*', alice) }, { ACL: acl('a text') }]) {
      expect(await verdict({ body }, { stored })).toBe(needsUsers('ACL'));
    }
    expect(await verdict({ body, senderId: alice.id })).toBe(STRANGER);
    expect(await verdict({ body: encrypt(alice), senderId: alice.id })).toBe('none');
  });

  test('is for at most 100', async () => {
    const readers = Array.from({ length: 101 }, (_, i) => `user${i}`);
    expect(await send(encrypt(alice), readers)).toBe(TOO_MANY);
    // Of more than ten none is named: somebody who names many must not keep Virgil Cloud busy.
    expect(await send(encrypt(alice), readers.slice(1))).toBe(notFor('each of 100 users'));
    expect(await send(encrypt(alice), readers.slice(1, 12))).toBe(notFor('each of 11 users'));
    expect(await send(encrypt(alice), readers.slice(1, 11))).toBe(notFor(readers.slice(1, 11).join(', ')));
  });

  test('names its recipients', async () => {
    expect(await send(toGroup('the-ward-1'), [alice])).toBe(kindOf('group message'));
    expect(await send(ratchetMessages[0]?.base64 as string, [alice])).toBe(kindOf('ratchet message'));
  });

  test('is the caller’s where the class has no sender, and nobody’s where the ID is no identity', async () => {
    const how = { policy: withoutSender };
    expect(await send(encrypt(alice, bob), [bob], {}, how)).toBe('none');
    expect(await send(encrypt(alice, bob), [bob], {}, { ...how, by: carol })).toBe(STRANGER);
    const stranger = { ...carol, id: 'no identity' };
    expect(await send(encrypt(carol, bob), [carol], {}, { ...how, by: stranger })).toBe(STRANGER);
  });

  test('of each field', async () => {
    const two = { ...policy, encrypted: ['body', 'title'] };
    const fields = { body: encrypt(alice), title: encrypt(alice, bob), senderId: alice.id, ACL: acl(alice) };
    expect(await verdict(fields, { policy: two })).toMatch(/^142 Message\.title is encrypted for somebody/);
    expect(await verdict({ ...fields, title: encrypt(alice) }, { policy: two })).toBe('none');
  });
});

describe('an update', () => {
  const stored = (body = encrypt(alice, bob)) => ({ stored: { body, ACL: acl(alice, bob) } });

  test('of ciphertext is for the readers that the row will have', async () => {
    expect(await verdict({ body: encrypt(alice, bob) }, stored())).toBe('none');
    expect(await verdict({ body: encrypt(alice, bob, carol) }, stored())).toBe(STRANGER);
    const both = { body: encrypt(alice, carol), ACL: acl(alice, carol) };
    expect(await verdict(both, stored())).toBe('none');
  });

  test('that adds a reader adds one who is a recipient, by whatever key', async () => {
    expect(await verdict({ ACL: acl(alice, bob, carol) }, stored())).toBe(notFor(carol.id));
    expect(await verdict({ ACL: acl(alice, bob, 'nobodyHere') }, stored())).toBe(noCard('nobodyHere'));
    expect(await verdict({ ACL: acl(alice, bob, 'role:x') }, stored())).toBe(needsUsers('ACL'));
    const old = { ...bob };
    publish(bob.id, crypto.generateKeys(), bob.cardId);
    const toOld = { stored: { body: encrypt(alice, old, carol), ACL: acl(alice) } };
    expect(await verdict({ ACL: acl(alice, bob) }, toOld)).toBe('none');
    const newOnes = Array.from({ length: 3 }, somebody);
    const named = newOnes.map(({ id }) => id).join(', ');
    expect(await verdict({ ACL: acl(...newOnes) }, stored())).toBe(notFor(named));
  });

  test('that takes readers away, or changes anything else, asks nobody', async () => {
    expect(await verdict({ ACL: acl(alice) }, stored())).toBe('none');
    expect(await verdict({ ACL: acl(bob) }, stored())).toBe('none');
    expect(await verdict({ seen: true }, stored('plain text'))).toBe('none');
    const withRole = { stored: { body: encrypt(alice), ACL: acl(alice, bob, 'role:x') } };
    expect(await verdict({ ACL: acl(alice, 'role:x') }, withRole)).toBe('none');
    expect(searches).toBe(0);
  });

  test('of a row that all could read adds nobody, and old plain text is left alone', async () => {
    for (const row of [{}, { ACL: acl('*') }]) {
      expect(await verdict({ ACL: acl(carol) }, { stored: { body: encrypt(alice), ...row } })).toBe('none');
    }
    expect(await verdict({ ACL: acl(carol) }, stored('plain text'))).toBe('none');
    expect(await verdict({ ACL: acl(alice, bob, carol) }, stored(ratchetMessages[0]?.base64))).toBe(
      kindOf('ratchet message'),
    );
  });
});

describe('a group message', () => {
  test.each([
    ['with recipients', () => ofGroups],
    ['without', () => groupAlone as ClassPolicy],
  ])('is of the group that the row names: %s', async (_name, how) => {
    const body = toGroup('the-ward-1');
    const save = (fields: object) => send(body, [alice, 'role:ward'], fields, { policy: how() });
    expect(await save({ wardId: 'the-ward-1' })).toBe('none');
    expect(await save({ wardId: 'the-ward-2' })).toBe(OTHER_GROUP);
    expect(await save({})).toBe(OTHER_GROUP);
    const stored = { policy: how(), stored: { body, wardId: 'the-ward-1', ACL: acl(alice) } };
    expect(await verdict({ wardId: 'the-ward-2' }, stored)).toBe(OTHER_GROUP);
    expect(await verdict({ body: toGroup('the-ward-2') }, stored)).toBe(OTHER_GROUP);
    expect(await verdict({ ACL: acl(alice, carol, 'role:ward') }, stored)).toBe('none');
    const message = { ...stored, stored: { ...stored.stored, body: encrypt(alice) } };
    expect(await verdict({ wardId: 'the-ward-2' }, message)).toBe('none');
    expect(searches).toBe(0);
  });

  test('may not be for the public; and messages beside it are for users', async () => {
    const stored = { policy: ofGroups, stored: { wardId: 'the-ward-1' } };
    expect(await verdict({ body: toGroup('the-ward-1') }, stored)).toBe(needsUsers('ACL'));
    expect(await send(encrypt(alice), [alice, 'role:ward'], {}, { policy: ofGroups })).toBe(
      needsUsers('ACL'),
    );
    expect(await send(encrypt(alice), [alice, 'role:ward'], {}, { policy: groupAlone })).toBe('none');
  });
});

describe('readers whom fields name', () => {
  const write = (body: string, fields: object) => send(body, ['role:post'], fields, { policy: byFields });

  test('are users, by an ID or a Pointer', async () => {
    const body = encrypt(alice, bob, carol);
    expect(await write(body, { to: pointer(bob), copyTo: carol.id })).toBe('none');
    expect(await write(encrypt(alice, bob), { to: pointer(bob), copyTo: bob.id })).toBe('none');
    expect(await write(encrypt(alice), { to: null })).toBe('none');
    expect(await write(body, { to: pointer(bob) })).toBe(STRANGER);
    expect(await write(encrypt(alice), { copyTo: 'my dear Bob' })).toBe(needsUsers('to,copyTo'));
  });

  test('are added when they change', async () => {
    const how = { policy: byFields, stored: { body: encrypt(alice, bob), copyTo: bob.id } };
    expect(await verdict({ copyTo: carol.id }, how)).toBe(notFor(carol.id));
    expect(await verdict({ to: pointer(bob), copyTo: null }, how)).toBe('none');
  });
});

describe('Virgil Cloud', () => {
  // It is left alone for a while after it has failed.
  let now = performance.now();
  beforeEach(() => {
    now += 5_000;
    jest.spyOn(performance, 'now').mockImplementation(() => now++);
  });
  afterEach(() => jest.restoreAllMocks());
  // The pause ends before the tests that follow.
  afterAll(() => jest.spyOn(performance, 'now').mockImplementation(() => (now += 5_000)));

  test.each([500, 401])(
    'that answers %i: the save is accepted or refused as the policy says, and logged',
    async (status) => {
      failure = { status, body: '{}' };
      const lines: string[] = [];
      const log = { warn: (line: string) => lines.push(line) };
      const body = encrypt(alice, bob);
      expect(await send(body, [alice, bob], {}, { log })).toBe('none');
      expect(await send(body, [alice, bob], {}, { log, policy: strict })).toBe(UNAVAILABLE);
      expect(await send(body, [alice, bob], {}, { policy: strict })).toBe(UNAVAILABLE);
      // It is for too few, whoever they are.
      expect(await send(encrypt(alice), [alice, bob, carol])).toBe(notFor('each of 3 users'));
      const line = `e2ee recipients: Message: not checked: POST /card/v5/actions/search was answered ${status}.`;
      expect(lines).toEqual([line, line]);
    },
  );
});

test('Virgil Cloud is asked as an identity that no user has by default, with a token for five minutes', async () => {
  await send(encrypt(alice, bob), [alice, bob]);
  const [, payload = ''] = /^Virgil [\w-]+\.([\w-]+)\.[\w-]+$/.exec(authorization ?? '') ?? [];
  const { sub, iat, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString());
  expect([sub, exp - iat]).toEqual(['identity-e2ee-server', 300]);
});

test('a report names nobody, and says nothing of what would pass', async () => {
  const reported = async (body: string, ...readers: (Person | string)[]) => {
    const lines: string[] = [];
    const log = { warn: (line: string) => lines.push(line) };
    const fields = { body, senderId: alice.id, ACL: acl(...readers) };
    await checkSave(requestOf(fields, { log }), { ...policy, mode: 'report' }, recipients);
    return lines;
  };
  const report = (fault: string) => [`e2ee report: Message: ${fault}`];
  expect(await reported(encrypt(alice, bob), alice, bob)).toEqual([]);
  expect(await reported(encrypt(alice), alice, bob)).toEqual(report(notFor('a user')));
  expect(await reported(encrypt(alice), alice, bob, carol)).toEqual(report(notFor('each of 3 users')));
  expect(await reported(encrypt(alice, carol), alice, bob)).toEqual(report(notFor('a user')));
  expect(await reported(encrypt(alice, bob), alice, 'nobodyHere')).toEqual(report(noCard('a user')));
  const dave = somebody();
  publish(dave.id, crypto.generateKeys(), dave.cardId);
  expect(await reported(encrypt(alice, dave), alice, dave)).toEqual(report(formerKey('a user', FIND_ANEW)));
});
