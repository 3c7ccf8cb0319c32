import type { VirgilCrypto } from 'virgil-crypto';
import { envelopeIn } from '../../../cloud/envelope/recognise-envelope';
import type { ClassPolicy, PlainType } from '../../../cloud/policy';
import { checkSave, PARSE_FIELDS, type SaveRequest } from '../../../cloud/triggers/guard';
import { becomeCloudCode, objectsOfSave } from '../../support/cloud-code';
import { envelopeMaker } from '../../support/envelopes';
import { parseServerFile } from '../../support/triggers';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

/** The row that the database holds, where the guard may ask for it. */
let inDatabase: object | undefined;
becomeCloudCode(({ path, data, useMasterKey }) => {
  if (!inDatabase) throw new Error(`The guard asks nothing, ${path} neither.`);
  expect([path, data.keys, useMasterKey]).toEqual(['classes/Message', 'senderId', true]);
  return { results: [inDatabase] };
});
afterEach(() => {
  inDatabase = undefined;
});

const ALICE = 'aliceAlice';
const BOB = 'bobBobBob0';
const MAX_PAYLOAD = 1000;
const MAX_PLAIN = 10;

const policy: ClassPolicy = {
  mode: 'enforce',
  encrypted: ['body', 'title'],
  plain: ['senderId', 'tag', 'other'],
  types: {},
  sender: 'senderId',
  maxPayloadBytes: MAX_PAYLOAD,
  maxPlainBytes: MAX_PLAIN,
  allowLegacyEncrypt: false,
};
const { sender: _, ...withoutSender } = policy;

let crypto: VirgilCrypto;
let envelope: string;
beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  envelope = envelopeMaker(crypto)();
});

type Caller = Pick<SaveRequest, 'user' | 'master'>;
const user = (objectId: string): Caller => ({
  user: Parse.Object.fromJSON({ className: '_User', objectId }) as Parse.User,
  master: false,
});
const alice = user(ALICE);
const bob = user(BOB);
const master: Caller = { master: true };
const nobody: Caller = { master: false };

const acl = (...ids: string[]) => Object.fromEntries(ids.map((id) => [id, { read: true, write: true }]));
const date = (iso: string) => ({ __type: 'Date', iso });
const pointer = (className: string, objectId: unknown) => ({ __type: 'Pointer', className, objectId });
const DELETE = { __op: 'Delete' };

/** What the guard says, `none` where it lets the save through. */
function verdict(check: () => void): string {
  try {
    check();
  } catch (error) {
    if (!(error instanceof Parse.Error)) throw error;
    return `${error.code} ${error.message}`;
  }
  return 'none';
}
const requestOfCreate = (fields: object, caller = alice): SaveRequest => ({
  ...objectsOfSave('Message', { body: envelope, title: envelope, senderId: ALICE, ...fields }),
  ...caller,
});
const requestOfUpdate = (fields: object, caller = alice, stored: object = {}): SaveRequest => {
  const row = { objectId: 'aMessage00', body: 'old text', title: 'old text', senderId: ALICE, ...stored };
  return { ...objectsOfSave('Message', fields, row), ...caller };
};
const create = (fields: object, caller?: Caller, how = policy) =>
  verdict(() => checkSave(requestOfCreate(fields, caller), how));
const update = (fields: object, caller?: Caller, stored?: object, how = policy) =>
  verdict(() => checkSave(requestOfUpdate(fields, caller, stored), how));

const NO_SESSION = '209 No valid session: log in, and call with its session token.';
const WRONG_ID = '142 The ID of a Message cannot be written like this.';
const stray = (field: string) =>
  `142 Message.${field} is not in the policy: name it in back4app.json, or leave it out.`;
const tooLarge = (field: string) => `116 Message.${field} is over 1000 bytes, the policy's maxPayloadBytes.`;
const notEnvelope = (field: string, reason: string) =>
  `142 Message.${field} is refused: ${reason}. Encrypt it with E3Kit's authEncrypt().`;
const notPlain = (field: string) =>
  `142 Message.${field} may hold a string of at most 10 bytes, a number, a boolean, a Date or a Pointer.`;
const WRONG_SENDER = '119 Message.senderId must be the objectId of the user who saves the object.';
const NEW_SENDER = '119 Message.senderId cannot change once it is saved.';
const NOT_THE_SENDER = '119 Only its sender may change what is encrypted in Message.';
const TOO_MANY = '119 Message has an ACL of more than 1000 users and roles: give the right to a role.';
const OPEN = '119 Message needs an ACL that names users or roles: the public may neither read nor write it.';

describe('nobody at all', () => {
  test('saves nothing of a class with a sender', () => {
    expect(create({ stray: 1 }, nobody)).toBe(NO_SESSION);
    expect(update({ tag: 'x' }, nobody)).toBe(NO_SESSION);
    expect(update({ tag: 'x' }, master)).toBe('none');
  });

  test('saves into a class without one', () => {
    expect(create({}, nobody, withoutSender)).toBe('none');
  });
});

describe('an ID', () => {
  test.each([
    [undefined, 'none'],
    ['myOwnId', 'none'],
    ['text, not an ID', WRONG_ID],
    ['', WRONG_ID],
  ])('%j, written on create: %s', (id, expected) => {
    const request = requestOfCreate({});
    request.object.id = id as string;
    expect(verdict(() => checkSave(request, policy))).toBe(expected);
  });

  test('stays as it is on update', () => {
    expect(update({ id: 'aMessage00', tag: 'x' })).toBe('none');
    expect(update({ id: 'another000', tag: 'x' })).toBe(WRONG_ID);
  });
});

describe('a field that the policy does not name', () => {
  test('is refused, whoever writes it, by its name, if that is one', () => {
    for (const caller of [alice, master]) {
      expect(create({ preview: 'text' }, caller)).toBe(stray('preview'));
      expect(update({ preview: null }, caller)).toBe(stray('preview'));
    }
    expect(create({ [`a${'b'.repeat(63)}`]: 1 })).toBe(stray(`a${'b'.repeat(63)}`));
    expect(create({ [`a${'b'.repeat(64)}`]: 1 })).toBe(
      '142 A field of Message is not in the policy: name it in back4app.json, or leave it out.',
    );
  });

  test('may be one that Parse Server looks after', () => {
    const { defaultColumns } = require(parseServerFile('Controllers/SchemaController'));
    expect([...PARSE_FIELDS].sort()).toEqual(Object.keys(defaultColumns._Default).sort());
    expect(create({ ACL: acl(ALICE) })).toBe('none');
  });
});

describe('an encrypted field', () => {
  const text = (length: number) => 'x'.repeat(length);

  test('is at most maxPayloadBytes long, in bytes, before it is looked at', () => {
    expect(create({ body: text(MAX_PAYLOAD) })).toBe(notEnvelope('body', 'not an E3Kit envelope'));
    expect(create({ body: text(MAX_PAYLOAD + 1) })).toBe(tooLarge('body'));
    expect(create({ title: 'é'.repeat(MAX_PAYLOAD / 2 + 1) })).toBe(tooLarge('title'));
    expect(update({ body: text(MAX_PAYLOAD + 1) })).toBe(tooLarge('body'));
    expect(update({ tag: 'x' }, alice, { body: text(MAX_PAYLOAD + 1) })).toBe('none');
  });

  test('holds an envelope', () => {
    expect(create({})).toBe('none');
    expect(update({ body: envelope })).toBe('none');
  });

  test.each([
    ['plain text', 'not base64'],
    ['', 'not base64'],
    [5, 'not a string'],
    [{ [text(MAX_PAYLOAD)]: 1 }, 'not a string'],
    [null, 'missing'],
    [DELETE, 'missing'],
    [{ __op: 'SetOnInsert', amount: 'text' }, 'missing'],
  ])('does not hold %j: %s', (value, reason) => {
    for (const field of ['body', 'title']) {
      for (const caller of [alice, master]) {
        expect(create({ [field]: value }, caller)).toBe(notEnvelope(field, reason));
        expect(update({ [field]: value }, caller)).toBe(notEnvelope(field, reason));
      }
    }
  });

  test('is to be encrypted by the call of its group, where the row names one', () => {
    const ofGroups = { ...policy, group: 'tag' };
    const ofGroup = notEnvelope('body', 'not base64').replace('authEncrypt', 'group.encrypt');
    expect(create({ body: 'a text', tag: 'the ward' }, alice, ofGroups)).toBe(ofGroup);
    expect(update({ body: 'a text' }, alice, { tag: 'the ward' }, ofGroups)).toBe(ofGroup);
    expect(create({ body: 'a text' }, alice, ofGroups)).toBe(notEnvelope('body', 'not base64'));
    expect(create({ body: 'a text', tag: 'the ward' })).toBe(notEnvelope('body', 'not base64'));
  });

  test('must be there on create, and need not be written on update', () => {
    const request = { ...objectsOfSave('Message', { body: envelope, senderId: ALICE }), ...alice };
    expect(verdict(() => checkSave(request, policy))).toBe(notEnvelope('title', 'missing'));
    expect(update({ tag: 'x' })).toBe('none');
    expect(update({ title: envelope }, alice, { body: undefined })).toBe('none');
  });

  test('of old plain text takes no other plain text', () => {
    expect(update({ body: 'new text' })).toBe(notEnvelope('body', 'not base64'));
  });

  test('holds what the deprecated encrypt() makes where the policy says so', () => {
    const { privateKey, publicKey } = crypto.generateKeys();
    const legacy = crypto.signThenEncrypt('hello', privateKey, publicKey).toString('base64');
    expect(create({ body: legacy })).toMatch(/^142 Message\.body is refused: /);
    expect(create({ body: legacy }, alice, { ...policy, allowLegacyEncrypt: true })).toBe('none');
  });

  test('a fault of our own is not taken for one of the envelope', () => {
    const fault = new TypeError('a mistake in the code');
    const faulty = Object.defineProperty({ ...policy }, 'allowLegacyEncrypt', {
      get() {
        throw fault;
      },
    });
    expect(() => envelopeIn(envelope, faulty)).toThrow(fault);
  });
});

describe('a plain field', () => {
  test.each([
    ['a short string', 'x'.repeat(MAX_PLAIN)],
    ['an empty string', ''],
    ['a number', -1.5],
    ['zero', 0],
    ['a boolean', false],
    ['the first Date that every database takes', date('0001-01-01T00:00:00.000Z')],
    ['the last', date('9999-12-31T23:59:59.999Z')],
    ['a Pointer', pointer('T234567890', 'o234567890')],
    ['null', null],
    ['nothing', DELETE],
    ['an Increment', { __op: 'Increment', amount: 2 }],
  ])('may hold %s', (_name, value) => {
    expect(create({ tag: value })).toBe('none');
    expect(update({ tag: value }, bob)).toBe('none');
  });

  const relation = { __op: 'AddRelation', objects: [pointer('T', 'x')] };
  test.each([
    ['a longer string', 'x'.repeat(MAX_PLAIN + 1)],
    ['a string of more bytes', 'é'.repeat(MAX_PLAIN / 2 + 1)],
    ['a string with a NUL', 'a\0b'],
    ['an object', { text: 1 }],
    ['a list', ['x']],
    ['a list, by Add', { __op: 'Add', objects: ['x'] }],
    ['a relation', relation],
    ['an empty relation', { __op: 'AddRelation', objects: [] }],
    ['a File', { __type: 'File', name: 'x', url: 'http://x' }],
    ['a GeoPoint', { __type: 'GeoPoint', latitude: 1, longitude: 2 }],
    ['bytes', { __type: 'Bytes', base64: '' }],
    ['a Date before', date('0000-12-31T23:59:59.999Z')],
    ['a Date after', date('+010000-01-01T00:00:00.000Z')],
    ['a Date that is none', date('no date')],
    ['a Pointer with a text for an ID', pointer('T', 'x'.repeat(MAX_PLAIN + 1))],
    ['a Pointer with an object for an ID', pointer('T', { text: 1 })],
    ['a Pointer with a text for a class', pointer('x'.repeat(MAX_PLAIN + 1), 'x')],
    ['undefined, which an own trigger may set', undefined],
    ['infinity', Number.POSITIVE_INFINITY],
    ['an Increment by infinity', { __op: 'Increment', amount: Number.POSITIVE_INFINITY }],
  ])('may not hold %s', (_name, value) => {
    for (const caller of [alice, master]) {
      expect(create({ tag: value }, caller)).toContain(notPlain('tag').slice(0, -1));
      expect(update({ other: value }, caller)).toContain(notPlain('other').slice(0, -1));
    }
  });

  test('counts if it is written', () => {
    expect(update({ tag: 'x' }, alice, { other: ['old'] })).toBe('none');
  });
});

describe('the sender', () => {
  test.each([
    ['the caller', ALICE, alice, 'none'],
    ['another', BOB, alice, WRONG_SENDER],
    ['nobody', DELETE, alice, WRONG_SENDER],
    ['null', null, alice, WRONG_SENDER],
    ['anybody, for the master key', BOB, master, 'none'],
    ['the public', '*', master, WRONG_SENDER],
    ['nobody, for the master key', DELETE, master, WRONG_SENDER],
    ['not a public caller', '*', user('*'), WRONG_SENDER],
  ])('on create is %s', (_name, senderId, caller, expected) => {
    expect(create({ senderId }, caller)).toBe(expected);
  });

  test('on create must be named', () => {
    for (const caller of [alice, master]) {
      const request = { ...objectsOfSave('Message', { body: envelope, title: envelope }), ...caller };
      expect(verdict(() => checkSave(request, policy))).toBe(WRONG_SENDER);
    }
  });

  test.each([
    ['the same again', { senderId: ALICE }, 'none'],
    ['another', { senderId: BOB }, NEW_SENDER],
    ['null', { senderId: null }, NEW_SENDER],
    ['nobody', { senderId: DELETE }, NEW_SENDER],
  ])('never changes: %s', (_name, fields, expected) => {
    for (const caller of [alice, bob, master]) expect(update(fields, caller)).toBe(expected);
  });

  test('alone, or the master key, replaces ciphertext', () => {
    expect(update({ title: envelope }, bob)).toBe(NOT_THE_SENDER);
    expect(update({ body: envelope, senderId: ALICE }, bob)).toBe(NOT_THE_SENDER);
    expect(update({ tag: 'x' }, bob)).toBe('none');
    for (const caller of [alice, master]) expect(update({ body: envelope }, caller)).toBe('none');
  });

  describe('that `protectedFields` hides from the caller', () => {
    const unseen = { senderId: undefined };
    const ask = async (fields: object, caller: Caller, stored: object = { senderId: ALICE }) => {
      inDatabase = { objectId: 'aMessage00', ...stored };
      const checked = Promise.resolve().then(() =>
        checkSave(requestOfUpdate(fields, caller, unseen), policy),
      );
      return checked.then(
        () => 'none',
        ({ code, message }) => `${code} ${message}`,
      );
    };

    test('is asked of the database, and may do what a sender may', async () => {
      expect(await ask({ body: envelope }, alice)).toBe('none');
      expect(await ask({ body: envelope, senderId: ALICE }, alice)).toBe('none');
      expect(await ask({ senderId: BOB }, alice)).toBe(NEW_SENDER);
      expect(await ask({ senderId: DELETE }, alice)).toBe(NEW_SENDER);
      const byPointer: ClassPolicy = { ...policy, types: { senderId: 'Pointer<_User>' } };
      inDatabase = { objectId: 'aMessage00', senderId: pointer('_User', ALICE) };
      const request = requestOfUpdate({ body: envelope }, alice, unseen);
      await checkSave(request, byPointer);
    });

    test('is not told to anybody else: a right guess is answered as a wrong one', async () => {
      for (const senderId of [ALICE, BOB, 'guess', DELETE])
        expect(await ask({ senderId }, bob)).toBe(NEW_SENDER);
      expect(await ask({ body: envelope }, bob)).toBe(NOT_THE_SENDER);
    });

    test('of a row that has none is nobody', async () => {
      expect(await ask({ senderId: ALICE }, alice, {})).toBe(NEW_SENDER);
      expect(await ask({ body: envelope }, alice, {})).toBe(NOT_THE_SENDER);
      const unsaved = { user: new Parse.User(), master: false };
      expect(await ask({ body: envelope }, unsaved, {})).toBe(NOT_THE_SENDER);
    });

    test('is not asked for where nothing depends on it', () => {
      for (const caller of [alice, bob, master]) expect(update({ tag: 'x' }, caller, unseen)).toBe('none');
      expect(update({ body: envelope }, master, unseen)).toBe('none');
      expect(update({ body: envelope }, nobody, unseen)).toBe(NO_SESSION);
    });
  });

  test('of a class that has none is nobody’s business', () => {
    expect(create({ senderId: BOB }, alice, withoutSender)).toBe('none');
    expect(update({ body: envelope, senderId: BOB }, bob, {}, withoutSender)).toBe('none');
  });
});

describe('an ACL', () => {
  const many = (count: number) => acl(...Array.from({ length: count }, (_item, i) => `user${i}`));
  test.each([
    ['users', acl(ALICE, 'a_B.9@x-y', 'a'.repeat(64)), 'none'],
    ['roles', acl('role:Care team', 'role:a_9-b', `role:${'a'.repeat(128)}`), 'none'],
    ['a thousand', many(1000), 'none'],
    ['more', many(1001), TOO_MANY],
    ['the public', acl('*'), OPEN],
    ['the public, who may read', { '*': { read: true } }, OPEN],
    ['the public, who may not, among others', { ...acl(ALICE), '*': {} }, 'none'],
    [
      'the public, who is denied, among others',
      { ...acl(ALICE), '*': { read: false, write: false } },
      'none',
    ],
    ['the public among others', acl(ALICE, '*', BOB), OPEN],
    ['a text', acl('a text'), OPEN],
    ['a text behind an ID', acl('alice, a text'), OPEN],
    ['a long text', acl('a'.repeat(65)), OPEN],
    ['a text behind a role', acl('role:a, a text'), OPEN],
    ['a text in front of a role', acl('a text role:a'), OPEN],
    ['a long role', acl(`role:${'a'.repeat(129)}`), OPEN],
    ['a role without a name', acl('role:'), OPEN],
  ])('of %s', (_name, ACL, expected) => {
    for (const caller of [alice, master]) {
      expect(create({ ACL }, caller)).toBe(expected);
      expect(update({ ACL }, caller)).toBe(expected);
    }
  });

  // So a save of `ACL.permissionsById` leaves it.
  test.each([
    ['rights', { read: true, write: false }, 'none'],
    ['a text', 'a text', OPEN],
    ['a number', 1, OPEN],
    ['null', null, OPEN],
    ['a text for a right', { read: 'a text' }, OPEN],
    ['a text beside rights', { read: true, 'a text': true }, OPEN],
  ])('gives users rights, and holds nothing else: %s', (_name, rights, expected) => {
    for (const request of [requestOfCreate({ ACL: acl(ALICE) }), requestOfUpdate({ ACL: acl(ALICE) })]) {
      Object.assign(request.object.getACL() ?? {}, { permissionsById: { [ALICE]: rights } });
      expect(verdict(() => checkSave(request, policy))).toBe(expected);
    }
  });

  test.each([{}, { a: {} }, { a: { read: false } }, { '*': {} }])(
    'that gives nobody a right takes the row from everybody, which only the master key may: %j',
    (ACL) => {
      expect(update({ ACL }, alice, { ACL: acl(ALICE) })).toBe(OPEN);
      expect(update({ ACL }, master, { ACL: acl(ALICE) })).toBe('none');
    },
  );

  test('may be left out of an update, an old public one too, and not taken away', () => {
    expect(update({ tag: 'x' }, alice, { ACL: acl('*') })).toBe('none');
    expect(update({ ACL: DELETE }, alice, { ACL: acl(ALICE) })).toBe(OPEN);
    expect(create({ ACL: DELETE })).toBe('none');
  });

  test.each([
    ['the sender’s', {}, alice, policy, acl(ALICE)],
    ['the sender’s, for the master key too', { senderId: BOB }, master, policy, acl(BOB)],
    ['the sender’s, where it is deleted', { ACL: DELETE }, alice, policy, acl(ALICE)],
    ['the caller’s, in a class without a sender', { senderId: BOB }, alice, withoutSender, acl(ALICE)],
    ['nobody’s, where nobody saves', {}, nobody, withoutSender, {}],
    ['as it came', { ACL: acl(BOB) }, alice, policy, acl(BOB)],
    ['the sender’s, where it gives nobody a right', { ACL: {} }, alice, policy, acl(ALICE)],
    ['the sender’s, where it names somebody without a right', { ACL: { a: {} } }, alice, policy, acl(ALICE)],
    ['the sender’s, where it denies somebody', { ACL: { a: { read: false } } }, alice, policy, acl(ALICE)],
    ['the sender’s, where it denies the public', { ACL: { '*': {} } }, alice, policy, acl(ALICE)],
    ['as it came, for nobody, by the master key', { ACL: {} }, master, policy, {}],
  ])('of a new object is %s', (_name, fields, caller, how, expected) => {
    const request = requestOfCreate(fields, caller);
    checkSave(request, how);
    expect(request.object.getACL()?.toJSON()).toEqual(expected);
  });

  test('is not made for an old object, nor for one that is refused', () => {
    const request = requestOfUpdate({ tag: 'x' });
    checkSave(request, policy);
    expect(request.object.getACL()).toBeNull();
    const refused = requestOfCreate({ body: 'text' });
    expect(() => checkSave(refused, policy)).toThrow();
    expect(refused.object.getACL()).toBeNull();
  });
});

describe('a plain field of a type', () => {
  const typed = (type: PlainType): ClassPolicy => ({ ...policy, types: { tag: type } });
  const mustBe = (what: string) => `142 Message.tag must be a ${what}.`;
  const values: [type: PlainType, value: unknown][] = [
    ['String', 'x'],
    ['Number', 5],
    ['Boolean', true],
    ['Date', date('2026-01-01T00:00:00.000Z')],
    ['Pointer<Thread>', pointer('Thread', 'x')],
    ['Pointer<_User>', pointer('_User', 'x')],
  ];

  test.each(values)('%s holds that alone, or nothing', (type) => {
    const expected = mustBe(type === 'String' ? 'String of at most 10 bytes' : type);
    for (const [ofType, value] of [...values, [type, null], [type, DELETE]] as const) {
      expect(create({ tag: value }, alice, typed(type))).toBe(ofType === type ? 'none' : expected);
    }
    // An object of the app's own trigger.
    expect(create({ tag: { text: 1 } }, alice, typed(type))).toBe(expected);
  });

  test('of a list holds at most a hundred identifiers, or Pointers to the class, after the operation', () => {
    const users = (count: number) => Array.from({ length: count }, (_, i) => pointer('_User', `user${i}`));
    const ids = (count: number) => Array.from({ length: count }, (_, i) => `user${i}`);
    const ofUsers = 'Array<Pointer<_User>>';
    const must = (type: string) =>
      mustBe(`${type} of at most 100 identifiers`).replace('a Array', 'an Array');
    const lists: [type: PlainType, value: unknown, expected: string][] = [
      [ofUsers, [], 'none'],
      [ofUsers, users(100), 'none'],
      [ofUsers, users(101), must(ofUsers)],
      [ofUsers, [pointer('_User', 'a'), pointer('Thread', 'b')], must(ofUsers)],
      [ofUsers, ids(1), must(ofUsers)],
      [ofUsers, pointer('_User', 'a'), must(ofUsers)],
      [ofUsers, [[pointer('_User', 'a')]], must(ofUsers)],
      [ofUsers, DELETE, 'none'],
      ['Array<String>', ids(100), 'none'],
      ['Array<String>', ids(101), must('Array<String>')],
      ['Array<String>', ['a text'], must('Array<String>')],
      ['Array<String>', ['a'.repeat(65)], must('Array<String>')],
      ['Array<String>', [5], must('Array<String>')],
      ['Array<String>', users(1), must('Array<String>')],
      ['Array<String>', 'a', must('Array<String>')],
    ];
    for (const [type, value, expected] of lists) {
      expect([value, create({ tag: value }, alice, typed(type))]).toEqual([value, expected]);
    }
    const add = (objects: unknown[], stored: unknown[]) =>
      update({ tag: { __op: 'AddUnique', objects } }, alice, { tag: stored }, typed('Array<String>'));
    expect(add(['more'], ids(99))).toBe('none');
    expect(add(['more'], ids(100))).toBe(must('Array<String>'));
    expect(add(['a text'], [])).toBe(must('Array<String>'));
    expect(create({ tag: ['x'] })).toBe(
      `${notPlain('tag').slice(0, -1)}. A list needs the type Array<String> or Array<Pointer<Class>> in back4app.json.`,
    );
  });

  test('is a plain field in all else', () => {
    expect(create({ tag: 'x'.repeat(MAX_PLAIN + 1) }, alice, typed('String'))).toBe(
      mustBe('String of at most 10 bytes'),
    );
    expect(create({ tag: Number.POSITIVE_INFINITY }, alice, typed('Number'))).toBe(mustBe('Number'));
  });
});

describe('a Pointer as the sender', () => {
  const byPointer: ClassPolicy = { ...policy, types: { senderId: 'Pointer<_User>' } };
  const to = (id: unknown, className = '_User') => ({ senderId: pointer(className, id) });
  const WRONG_POINTER = '119 Message.senderId must be a Pointer to the user who saves the object.';

  test.each([
    ['the caller', to(ALICE), alice, 'none'],
    ['another', to(BOB), alice, WRONG_POINTER],
    ['anybody, for the master key', to(BOB), master, 'none'],
    ['the public', to('*'), master, WRONG_POINTER],
    ['nobody', { senderId: DELETE }, master, WRONG_POINTER],
    ['an ID', { senderId: ALICE }, alice, '142 Message.senderId must be a Pointer<_User>.'],
    ['another class', to(ALICE, 'Thread'), alice, '142 Message.senderId must be a Pointer<_User>.'],
  ])('on create is %s', (_name, fields, caller, expected) => {
    expect(create(fields, caller, byPointer)).toBe(expected);
  });

  test('never changes, alone replaces ciphertext, and owns what comes without an ACL', () => {
    for (const caller of [alice, bob, master]) {
      expect(update(to(ALICE), caller, to(ALICE), byPointer)).toBe('none');
      expect(update(to(BOB), caller, to(ALICE), byPointer)).toBe(NEW_SENDER);
    }
    expect(update({ body: envelope }, bob, to(ALICE), byPointer)).toBe(NOT_THE_SENDER);
    expect(update({ body: envelope }, alice, to(ALICE), byPointer)).toBe('none');
    const request = requestOfCreate(to(BOB), master);
    checkSave(request, byPointer);
    expect(request.object.getACL()?.toJSON()).toEqual(acl(BOB));
  });

  test('of an old row that holds an ID, or a Pointer to another class, is nobody', () => {
    for (const stored of [{ senderId: ALICE }, to(ALICE, 'Thread')]) {
      expect(update({ body: envelope }, alice, stored, byPointer)).toBe(NOT_THE_SENDER);
    }
    expect(update({ body: envelope }, alice, to(ALICE), policy)).toBe(NOT_THE_SENDER);
  });

  test('takes a field that is no sender for what it is', () => {
    expect(
      create({ tag: pointer('_User', BOB) }, alice, { ...policy, types: { tag: 'Pointer<_User>' } }),
    ).toBe('none');
  });
});

describe('a field for encrypted files', () => {
  const withFiles: ClassPolicy = { ...policy, encrypted: [], files: ['photo', 'voice'] };
  const name = `${'a'.repeat(32)}_e2ee-${'0'.repeat(32)}.bin`;
  const file = { __type: 'File', name, url: `http://127.0.0.1/${name}` };
  const png = { __type: 'File', name: 'Bob.png', url: 'http://127.0.0.1/Bob.png' };
  const add = (photo: unknown, caller?: Caller) =>
    create({ body: DELETE, title: DELETE, photo }, caller, {
      ...withFiles,
      plain: [...policy.plain, 'body', 'title'],
    });
  const change = (photo: unknown, caller?: Caller) => update({ photo }, caller, {}, withFiles);
  const NOT_FILE = '142 Message.photo must be nothing, or a Parse.File that was uploaded encrypted.';

  test('holds one, or nothing, and need not be written', () => {
    for (const value of [file, null, DELETE]) expect([add(value), change(value)]).toEqual(['none', 'none']);
    expect(update({ tag: 'a tag' }, alice, { photo: 'an old text' }, withFiles)).toBe('none');
  });

  test.each([
    ['another file', png],
    ['a text', name],
    ['an object', { name, url: file.url }],
    ['a list of files', [file]],
    ['a number', 1],
    ['a Relation', { __op: 'AddRelation', objects: [pointer('Message', 'x')] }],
  ])('does not hold %s, whoever writes it', (_name, value) => {
    for (const caller of [alice, master]) {
      expect([add(value, caller), change(value, caller)]).toEqual([NOT_FILE, NOT_FILE]);
    }
  });

  test('is changed by the sender alone, or the master key', () => {
    expect([change(file), change(file, master), change(file, bob)]).toEqual([
      'none',
      'none',
      '119 Only its sender may change what is encrypted in Message.',
    ]);
  });

  test('of a policy without files is a field that the policy does not name', () => {
    expect(update({ photo: file })).toBe(stray('photo'));
  });
});

describe('a report', () => {
  const report = (request: SaveRequest, how = policy) => {
    const lines: string[] = [];
    const before = request.object._getSaveJSON();
    const reporting = { ...how, mode: 'report' } as const;
    checkSave({ ...request, log: { warn: (line) => lines.push(line) } }, reporting);
    checkSave(request, reporting); // what calls the exported guard may have no log
    expect(request.object._getSaveJSON()).toEqual(before);
    return lines;
  };

  test.each<[string, () => SaveRequest, string]>([
    ['nobody', () => requestOfCreate({}, nobody), NO_SESSION],
    ['plain text', () => requestOfCreate({ body: 'plain text' }), notEnvelope('body', 'not base64')],
    ['another sender', () => requestOfUpdate({ senderId: BOB }), NEW_SENDER],
    ['a missing ACL', () => requestOfCreate({}), '119 No ACL: it would be readable by its sender alone.'],
  ])('names %s in one line, and changes nothing', (_name, request, expected) => {
    expect(report(request())).toEqual([`e2ee report: Message: ${expected}`]);
  });

  test('says nothing of a save that would pass', () => {
    expect(report(requestOfCreate({ ACL: acl(ALICE) }))).toEqual([]);
    expect(report(requestOfUpdate({ tag: 'x' }))).toEqual([]);
  });
});

test('a class without recipients and group is judged at once, and others later, or not at all without the check', () => {
  const recipients = () => {
    throw new Error('The check of recipients runs.');
  };
  for (const mode of ['enforce', 'report'] as const) {
    expect(checkSave(requestOfCreate({}), { ...policy, mode }, recipients)).toBeUndefined();
    for (const option of [{ recipients: 'acl' }, { group: 'tag' }] as const) {
      const check = (fields: object, how?: typeof recipients) => () =>
        checkSave(requestOfCreate({ ACL: acl(ALICE), ...fields }), { ...policy, mode, ...option }, how);
      expect(check({}, recipients)).toThrow('The check of recipients runs.');
      expect(check({ body: 'text' }, recipients)).not.toThrow('recipients');
      expect(check({})).toThrow(TypeError);
    }
  }
});

test('the first of several faults is given', () => {
  const fields: Record<string, unknown> = {
    preview: 1,
    body: 'x'.repeat(MAX_PAYLOAD + 1),
    tag: 'x'.repeat(MAX_PLAIN + 1),
    senderId: BOB,
    ACL: acl('*'),
  };
  const given = (id?: string) => {
    const request = requestOfCreate(fields);
    request.object.id = id as string;
    return verdict(() => checkSave(request, policy));
  };
  expect(given('not an ID')).toBe(WRONG_ID);
  expect(given()).toBe(stray('preview'));
  delete fields.preview;
  expect(given()).toBe(tooLarge('body'));
  fields.body = 'plain text';
  expect(given()).toBe(notEnvelope('body', 'not base64'));
  delete fields.body;
  expect(given()).toBe(notPlain('tag'));
  delete fields.tag;
  expect(given()).toBe(WRONG_SENDER);
  delete fields.senderId;
  expect(given()).toBe(OPEN);
});

describe('what is set to the stored value is not changed', () => {
  const old = {
    ACL: { ...acl(ALICE), [BOB]: { read: true, write: true } },
    preview: 'old text',
    tag: ['old', { b: 1, a: 2 }],
    other: 5,
  };
  const reader = user('readerRead');
  const readers = { ...old, ACL: { ...old.ACL, readerRead: { read: true } } };

  test.each<[string, object]>([
    ['an old text in an encrypted field', { body: 'old text' }],
    ['the sender', { senderId: ALICE }],
    ['a field that the policy does not name', { preview: 'old text' }],
    ['a list, its objects in another order', { tag: ['old', { a: 2, b: 1 }] }],
    ['an ACL, in another order', { ACL: { [BOB]: { write: true, read: true }, ...acl(ALICE) } }],
    ['an ACL, with rights that it does not give', { ACL: { ...old.ACL, x: {}, '*': { read: false } } }],
    ['all of it', { body: 'old text', title: 'old text', senderId: ALICE, ...old }],
  ])('for a caller who may read the row: %s', (_name, fields) => {
    for (const caller of [alice, bob, master])
      expect(update({ ...fields, other: 6 }, caller, old)).toBe('none');
  });

  test.each<[string, object, object, string]>([
    ['a number is not its text', { other: '5' }, { other: 5 }, 'none'],
    ['a text that differs', { preview: 'new text' }, old, stray('preview')],
    ['null', { preview: null }, old, stray('preview')],
    ['a sender', { senderId: BOB }, old, NEW_SENDER],
    ['one more reader', { ACL: { ...old.ACL, '*': { read: true } } }, old, OPEN],
    ['one more element', { tag: ['old', { b: 1, a: 2 }, 3] }, old, notPlain('tag').slice(0, -1)],
    [
      'an operation that changes nothing',
      { tag: { __op: 'Remove', objects: ['absent'] } },
      old,
      notPlain('tag').slice(0, -1),
    ],
  ])('but is, where it differs: %s', (_name, fields, stored, expected) => {
    expect(update(fields, alice, stored)).toContain(expected);
  });

  test('by type, class, ID, time, name and url', () => {
    const file = { __type: 'File', name: 'a.bin', url: 'http://x/a.bin' };
    const values: [stored: unknown, other: unknown][] = [
      [pointer('A', 'x'), pointer('B', 'x')],
      [pointer('A', 'x'), pointer('A', 'y')],
      [date('2026-01-01T00:00:00.000Z'), date('2026-01-01T00:00:00.001Z')],
      [date('2026-01-01T00:00:00.000Z'), '2026-01-01T00:00:00.000Z'],
      [file, { ...file, name: 'b.bin' }],
      [file, { ...file, url: 'http://y/a.bin' }],
      [true, 1],
      ['', null],
      [{ a: 1 }, { a: 1, b: 1 }],
      [{ a: 1 }, { a: '1' }],
    ];
    for (const [stored, other] of values) {
      expect([stored, update({ preview: stored }, alice, { preview: stored })]).toEqual([stored, 'none']);
      expect([other, update({ preview: other }, alice, { preview: stored })]).toEqual([
        other,
        stray('preview'),
      ]);
    }
  });

  test('is changed for a caller who may not read the row, so that a right guess is answered as a wrong one', () => {
    const hidden = { ...old, ACL: { ...acl(ALICE), [BOB]: { write: true } } };
    for (const fields of [{ senderId: ALICE }, { senderId: BOB }])
      expect(update(fields, bob, hidden)).toBe(NEW_SENDER);
    expect(update({ preview: 'old text' }, bob, hidden)).toBe(stray('preview'));
    expect(update({ body: 'old text' }, bob, hidden)).toBe(notEnvelope('body', 'not base64'));
    expect(update({ other: 6 }, bob, hidden)).toBe('none');
    expect(update({ senderId: ALICE, other: 6 }, reader, readers)).toBe('none');
  });

  test('is not, for the sender, whether or not the ACL lets the sender read', () => {
    const hidden = { ...old, ACL: { [ALICE]: { write: true } } };
    expect(update({ senderId: ALICE, body: 'old text', preview: 'old text' }, alice, hidden)).toBe('none');
  });

  test('is not, for a member of a role that may read, where the roles are known', () => {
    const stored = { ...old, ACL: { 'role:doctors': { read: true, write: true } } };
    const request = { ...requestOfUpdate({ body: 'old text', other: 6 }, bob, stored) };
    expect(verdict(() => checkSave({ ...request, roles: ['role:doctors'] }, policy))).toBe('none');
    for (const roles of [undefined, [], ['role:nurses']]) {
      expect(verdict(() => checkSave({ ...request, roles }, policy))).not.toBe('none');
    }
  });

  test('is not, in a row that anybody may read', () => {
    expect(update({ body: 'old text', other: 6 }, bob)).toBe('none');
    expect(update({ body: 'old text', other: 6 }, bob, { ACL: { '*': { read: true, write: true } } })).toBe(
      'none',
    );
  });
});

describe('a field that the policy does not name', () => {
  const removed = (stored: object, mode: ClassPolicy['mode'] = 'enforce') => {
    const request = requestOfUpdate({ preview: DELETE, tag: 'x' }, alice, stored);
    checkSave(request, { ...policy, mode });
    return Object.keys(request.object._getSaveJSON()).sort();
  };

  test('may be removed where the stored row has it', () => {
    expect(removed({ preview: 'old text' })).toEqual(['preview', 'tag']);
  });

  test('is taken out of the save where it has not: PostgreSQL would fail, and the name be logged', () => {
    expect(removed({})).toEqual(['tag']);
    expect(removed({}, 'report')).toEqual(['preview', 'tag']);
    const request = requestOfCreate({ preview: DELETE });
    checkSave(request, policy);
    expect(Object.keys(request.object._getSaveJSON())).not.toContain('preview');
  });
});
