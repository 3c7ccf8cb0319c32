import type { ClassPolicy, Policy } from '../../../cloud/policy';
import { registerGuards } from '../../../cloud/triggers/register-guards';
import { envelopeMaker } from '../../support/envelopes';
import { parseServerFile, startTriggers } from '../../support/triggers';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const SECRET = 'Xylophone';
const NOT_CIPHERTEXT = "142 Message.body is refused: not base64. Encrypt it with E3Kit's authEncrypt().";
const notStorable = (className: string) =>
  `142 ${className} contains a File without a url, or an invalid Date: upload the file first, or set a valid Date.`;
const FILE = { __type: 'File', name: SECRET };

const guarded: ClassPolicy = {
  mode: 'enforce',
  encrypted: ['body'],
  plain: ['tag'],
  types: {},
  maxPayloadBytes: 10_000,
  maxPlainBytes: 256,
  allowLegacyEncrypt: false,
};
const policyOf = (guardUserIds: boolean): Policy => ({
  virgil: { tokenTtlSeconds: 1200, guardUserIds, eraseDeletedUsers: false },
  nexmo: { tokenTtlSeconds: 900, acl: {} },
  classes: {
    Message: guarded,
    File: guarded,
    Reported: { ...guarded, mode: 'report' },
    Sent: { ...guarded, sender: 'tag' },
  },
});

const server = startTriggers();
type Rest = Record<'create' | 'update', (...how: unknown[]) => Promise<unknown>>;
const rest: Rest = require(parseServerFile('rest'));
const realRest = { ...rest };
const written = jest.fn(async () => 'written');
const master = { master: true };
let envelope: string;
let guard: ReturnType<typeof registerGuards>;
let warned: jest.SpyInstance;

beforeAll(async () => {
  envelope = envelopeMaker(await loadVirgilCrypto())();
});
beforeEach(() => {
  server.reset();
  Object.assign(rest, { create: written, update: written });
  warned = jest.spyOn(console, 'warn').mockImplementation();
  guard = registerGuards(policyOf(false));
});
afterEach(() => warned.mockRestore());
afterAll(() => Object.assign(rest, realRest));

type BeforeSave = typeof Parse.Cloud.beforeSave;
const define = (
  handler: (request: Parameters<Parameters<BeforeSave>[1]>[0]) => unknown,
  validator?: unknown,
) =>
  Parse.Cloud.beforeSave(
    'Message',
    handler as Parameters<BeforeSave>[1],
    validator as Parameters<BeforeSave>[2],
  );
const save = (fields: object, by = {}) =>
  server.save('Message', { written: { body: envelope, ...fields }, by });
const plaintext = (by = {}) => save({ body: `${SECRET}!`, tag: SECRET }, by);

describe('a class of the policy', () => {
  test('is guarded, and what it saves is not logged', async () => {
    expect(await save({ tag: SECRET })).toMatchObject({ body: envelope, tag: SECRET, ACL: {} });
    expect(await plaintext()).toBe(NOT_CIPHERTEXT);
    const logged = server.logged();
    expect(logged).toContain('beforeSave triggered for Message');
    expect(logged).toContain('beforeSave failed for Message');
    for (const value of [SECRET, envelope]) expect(logged).not.toContain(value);
  });

  test("leaves the object of the app's other triggers as it is", async () => {
    const seen: unknown[] = [];
    const afterSave = ({ object }: { object: Parse.Object }) =>
      seen.push(JSON.parse(JSON.stringify(object.toJSON())));
    server.triggers.addTrigger?.('afterSave', 'Message', afterSave, 'app');
    await server.save('Message', { written: { body: envelope, tag: 'a tag' } }, 'afterSave');
    expect(seen).toEqual([{ body: envelope, tag: 'a tag' }]);
  });

  test("is guarded after the app's own trigger, on what that leaves", async () => {
    define(({ object }) => object.set('tag', 'seen by the app'));
    expect(await save({})).toMatchObject({ tag: 'seen by the app' });
    define(async ({ object }) => object.set('body', 'forged by the app'));
    expect(await save({})).toBe(NOT_CIPHERTEXT);
    define((request) => {
      request.object = new Parse.Object('Message', { body: envelope, tag: FILE });
    });
    expect(await save({})).toBe(notStorable('Message'));
    define((request) => {
      request.object = new Parse.Object('Message', { body: `${SECRET} put in its place` });
    });
    expect(await save({})).toBe(NOT_CIPHERTEXT);
    define((request) => {
      request.object = new Parse.Object('Message', { body: envelope, tag: SECRET });
    });
    expect(await save({})).toMatchObject({ tag: SECRET });
    define(() => {
      throw new Parse.Error(141, 'not today');
    });
    expect(await plaintext()).toBe('141 not today');
    expect(server.logged()).not.toContain(SECRET);
  });

  test("is guarded as the row and the caller were before the app's trigger", async () => {
    define((request) => {
      Object.assign(request, { original: undefined, user: undefined, master: true });
    });
    const stored = { objectId: 'aMessage00', body: envelope, ACL: { alice: { read: true } } };
    const user = Parse.Object.fromJSON({ className: '_User', objectId: 'alice' }) as Parse.User;
    const written = { ACL: { __op: 'Delete' } };
    expect(await server.save('Message', { written, stored, by: { user } })).toMatch(
      /^119 Message needs an ACL/,
    );
    expect(await save({}, { user })).toMatchObject({ ACL: { alice: { read: true, write: true } } });
  });

  test("refuses what Parse Server cannot write down before the app's trigger sees it", async () => {
    const seen = jest.fn();
    define(seen);
    expect(await save({ stray: [FILE] })).toBe(notStorable('Message'));
    expect(seen).not.toHaveBeenCalled();
  });

  test.each([
    ['a name', 'Message'],
    ['a class with a className', Object.assign(() => {}, { className: 'Message' })],
    ['a class by its own name', class Message {}],
  ])('may be given as %s', async (_name, parseClass) => {
    Parse.Cloud.beforeSave(parseClass as string, ({ object }) => {
      object.set('tag', 'seen by the app');
    });
    expect(await save({})).toMatchObject({ tag: 'seen by the app' });
    expect(await plaintext()).toBe(NOT_CIPHERTEXT);
  });
});

describe('a validator', () => {
  test('that is a function is waited for, sees the values, and has nothing it refuses logged', async () => {
    define(
      () => {},
      async ({ object }: { object: Parse.Object }) => {
        await Promise.resolve();
        if (object.get('tag') === SECRET) throw 'not valid';
      },
    );
    expect(await plaintext()).toBe('142 not valid');
    expect(await save({ body: 'plain text' })).toBe(NOT_CIPHERTEXT);
    expect(await save({})).toMatchObject({ body: envelope });
    expect(server.logged()).not.toContain(SECRET);
  });

  test('that is an object is checked, and has nothing it refuses logged', async () => {
    define(() => {}, { requireUser: true });
    expect(await plaintext()).toBe('142 Validation failed. Please login to continue.');
    expect(await plaintext(master)).toBe(NOT_CIPHERTEXT);
    expect(server.logged()).not.toContain(SECRET);
  });

  test.each([
    ['is none', undefined, ['anybody', 'master']],
    ['is null', null, ['anybody', 'master']],
    ['is a function', () => {}, ['anybody', 'master']],
    [
      'is a function, whatever it says',
      Object.assign(() => {}, { skipWithMasterKey: true }),
      ['anybody', 'master'],
    ],
    ['says skipWithMasterKey', { skipWithMasterKey: true }, ['anybody']],
    ['does not say it', {}, ['anybody', 'master']],
    ['denies it', { skipWithMasterKey: false }, ['anybody', 'master']],
  ])(
    'that %s: the trigger runs for the master key or not, and the guard for all',
    async (_name, validator, ran) => {
      const runs: string[] = [];
      define(({ master }) => runs.push(master ? 'master' : 'anybody'), validator);
      for (const by of [{}, master]) {
        expect(await save({}, by)).toMatchObject({ body: envelope });
      }
      expect(runs).toEqual(ran);
      for (const by of [{}, master]) expect(await plaintext(by)).toBe(NOT_CIPHERTEXT);
    },
  );
});

describe('a trigger that is defined above the require', () => {
  test('runs with its validator, and the guard after it; the log says to put the require first', async () => {
    server.reset();
    define(({ object }) => object.set('tag', 'seen by the app'), {
      fields: { tag: { options: (tag: unknown) => tag !== 'refused' } },
    });
    registerGuards(policyOf(false));
    expect(await save({})).toMatchObject({ tag: 'seen by the app' });
    expect(await plaintext()).toBe(NOT_CIPHERTEXT);
    expect(await save({ body: SECRET, tag: 'refused' })).toMatch(/^142 Validation failed/);
    expect(server.logged()).not.toContain(SECRET);
    expect(warned.mock.calls).toEqual([
      [
        "beforeSave of Message is defined above require('./e2ee'). It runs, before the guard; but put the require " +
          'first: a Parse Server that hides its triggers would lose it.',
      ],
    ]);
  });

  test('is replaced by one below, of which Parse Server warns, as it does of any two', async () => {
    server.reset();
    define(({ object }) => object.set('tag', 'above'));
    registerGuards(policyOf(false));
    expect(server.logged()).toBe('');
    define(({ object }) => object.set('tag', 'below'));
    expect(server.logged()).toMatch(/Duplicate cloud functions exist for Message/);
    expect(await save({})).toMatchObject({ tag: 'below' });
  });
});

test('of triggers below the require the last counts, and Parse Server warns of two, not of one and the guard', async () => {
  define(({ object }) => object.set('tag', 'first'));
  expect(server.logged()).toBe('');
  expect(await save({})).toMatchObject({ tag: 'first' });
  server.logged();
  define(({ object }) => object.set('tag', 'second'));
  expect(server.logged()).toMatch(/Duplicate cloud functions exist for Message/);
  expect(await save({})).toMatchObject({ tag: 'second' });
  expect(await plaintext()).toBe(NOT_CIPHERTEXT);
  expect(warned).not.toHaveBeenCalled();
});

describe('where Parse Server does not show its triggers', () => {
  beforeEach(() => {
    server.reset();
    const { getTrigger } = server.triggers;
    server.triggers.getTrigger = undefined;
    warned.mockClear();
    registerGuards(policyOf(false));
    server.triggers.getTrigger = getTrigger;
  });

  test('the load says what it means', () => {
    expect(warned.mock.calls).toEqual([
      [
        'This Parse Server does not show its triggers. A beforeSave of a guarded class that is defined above this file is ' +
          'replaced, and what a validator that is an object refuses is logged whole: use functions.',
      ],
    ]);
  });

  test('the guard guards, and what it or a validator that is a function refuses is not logged', async () => {
    expect(await plaintext()).toBe(NOT_CIPHERTEXT);
    define(
      ({ object }) => object.set('tag', 'seen by the app'),
      ({ object }: { object: Parse.Object }) => {
        if (object.get('tag') === SECRET) throw 'not valid';
      },
    );
    expect(await plaintext()).toBe('142 not valid');
    expect(await save({})).toMatchObject({ tag: 'seen by the app' });
    expect(server.logged()).not.toContain(SECRET);
  });
});

test('a class that reports is saved as it comes, with a line in the log and the values nowhere in it', async () => {
  const written = { body: SECRET, tag: SECRET };
  expect(await server.save('Reported', { written })).toEqual(written);
  const logged = server.logged();
  expect(logged).toContain('e2ee report: Reported: 142 Reported.body is refused: not ');
  expect(logged).not.toContain(SECRET);
});

describe('a class outside the policy', () => {
  test('is left to the app, and to Parse Server', async () => {
    const handler = jest.fn();
    Parse.Cloud.beforeSave('Other', handler, { skipWithMasterKey: true });
    expect(await server.save('Other', { written: { any: SECRET } })).toEqual({ any: SECRET });
    expect(server.logged()).toContain(SECRET);
    await server.save('Other', { written: {}, by: master });
    expect(handler).toHaveBeenCalledTimes(1);
  });

  test('is Parse.File, which is no class called File', async () => {
    const ownTrigger = jest.fn();
    Parse.Cloud.beforeSave(Parse.File as never, ownTrigger);
    expect(await server.save('File', { written: { body: 'text' } })).toMatch(/^142 File\.body is refused/);
    expect(await server.save('@File', { written: { body: 'text' } })).toEqual({ body: 'text' });
    expect(ownTrigger).toHaveBeenCalledTimes(1);
  });
});

describe('a write is rejected before Parse Server makes an object of it', () => {
  const config = { applicationId: 'app' };
  const nobody = { isMaster: false };
  const outcome = (write: Promise<unknown>) =>
    write.catch(({ code, message }: Parse.Error) => `${code} ${message}`) as Promise<string>;
  const create = (className: string, body: unknown, auth: object = nobody) =>
    outcome(rest.create(config, auth, className, body));
  const update = (className: string, body: unknown, auth: object = nobody) =>
    outcome(rest.update(config, auth, className, { objectId: 'aRow000000' }, body));
  const fields = (count: number, name = 'f') =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`${name}${i}`, {}]));
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

  const INVALID_NAME =
    '142 Message is sent a field, a class or a type whose name is not letters, digits and _. Write fields as a whole.';
  const TOO_DEEP = '142 Message is nested deeper than 100 levels.';
  const TOO_MANY_ELEMENTS = '142 Message is sent an operation on more than 1000 elements.';
  const harmful: [name: string, body: object, expected: string][] = [
    [
      'more fields than are named, and a hundred',
      fields(103),
      'is sent 103 fields at once, of at most 102: ',
    ],
    ['as many with a dot', fields(103, 'f.'), 'is sent 103 fields at once, of at most 102: '],
    ['a File without a url', { tag: [{ a: FILE }] }, notStorable('Message')],
    ['one below a field', { 'tag.a': { ...FILE, url: 5 } }, notStorable('Message')],
    ['an invalid Date', { tag: { __type: 'Date', iso: 'no date' } }, notStorable('Message')],
    ['a Date without a time', { tag: [{ __type: 'Date' }] }, notStorable('Message')],
    ['a deep list', { tag: nested(101) }, TOO_DEEP],
    ['a very deep list', { tag: nested(5000) }, TOO_DEEP],
    ['a long AddUnique', { tag: { __op: 'AddUnique', objects: numbers(1001) } }, TOO_MANY_ELEMENTS],
    ['one in a list', { tag: [{ __op: 'Remove', objects: numbers(1001) }] }, TOO_MANY_ELEMENTS],
    ['a long batch of operations', { tag: { __op: 'Batch', ops: numbers(1001) } }, TOO_MANY_ELEMENTS],
  ];

  test.each(harmful)('that would block or crash the server: %s', async (_name, body, expected) => {
    for (const auth of [nobody, { isMaster: true }]) {
      for (const className of ['Message', 'Reported']) {
        const fault = expected.replaceAll('Message', className);
        expect(await create(className, body, auth)).toContain(fault);
        expect(await update(className, body, auth)).toContain(fault);
      }
    }
    expect(written).not.toHaveBeenCalled();
    expect(await create('Other', body)).toBe('written');
    written.mockClear();
  });

  test.each([
    ['a field with a dot', { 'tag.x': 1 }],
    ['a field that is a text', { [`${SECRET} and more`]: 1 }],
    ['a long field', { ['f'.repeat(129)]: 1 }],
    ['a Pointer', { tag: { __type: 'Pointer', className: `${SECRET} and more`, objectId: 'x' } }],
    [
      'one in an operation',
      { tag: { __op: 'AddRelation', objects: [{ __type: 'Pointer', className: 'a b' }] } },
    ],
    ['a Relation', { tag: { __type: 'Relation', className: '' } }],
    ['a class that is not a String', { tag: { __type: 'Pointer', className: { a: 1 }, objectId: 'x' } }],
    ['a type', { tag: { __type: `${SECRET} and more` } }],
    ['an operation', { tag: { __op: `${SECRET} and more` } }],
  ])('that has a text where a name belongs, which Parse Server would log: %s', async (_name, body) => {
    expect(await create('Message', body)).toBe(INVALID_NAME);
    expect(await update('Message', body)).toBe(INVALID_NAME);
    expect(await create('Reported', body)).toBe('written');
    expect(await create('Other', body)).toBe('written');
  });

  test.each([
    ['fields that are named, and a hundred', { body: envelope, ...fields(101) }],
    ['a list a hundred deep', { tag: nested(99) }],
    ['an operation on a thousand elements', { tag: { __op: 'AddUnique', objects: numbers(1000) } }],
    ['a long list', { tag: numbers(5000) }],
    [
      'a File, a Date and a Pointer',
      {
        a: { ...FILE, url: 'http://x' },
        b: { __type: 'Date', iso: '2026-01-01T00:00:00.000Z' },
        c: { __type: 'Pointer', className: '_User', objectId: 'x' },
      },
    ],
    ['an object with a className of its own', { tag: { className: 'a text' } }],
    ['nothing', {}],
    ['null', null],
  ])('and one without fault goes on: %s', async (_name, body) => {
    expect(await create('Message', body)).toBe('written');
    expect(await update('Message', body)).toBe('written');
  });

  test('by nobody, in a class with a sender, before anything is said of its names', async () => {
    const NOBODY = '209 No valid session: log in, and call with its session token.';
    expect(await create('Sent', { 'tag.x': 1 })).toBe(NOBODY);
    expect(await create('Sent', { 'tag.x': 1 }, { isMaster: true })).toMatch(/^142 /);
    expect(await create('Sent', { 'tag.x': 1 }, { isMaster: false, user: {} })).toMatch(/^142 /);
    expect(await update('Sent', {})).toBe('written'); // for the row's ACL to judge, and then for the guard
  });

  test('but not a user’s, where the policy does not say so', async () => {
    expect(await update('_User', { objectId: 'another000' })).toBe('written');
  });

  describe('that lets an identity change hands', () => {
    const CHANGED = "119 A user's objectId cannot change.";
    const NO_ID = "119 A user's objectId is 1 to 64 letters, digits, _, ., @ or -.";
    beforeEach(() => {
      registerGuards(policyOf(true));
    });

    test.each([
      ['another', { objectId: 'another000' }, CHANGED],
      ['null', { objectId: null }, CHANGED],
      ['an operation', { objectId: { __op: 'Delete' } }, CHANGED],
      ['a list of it', { objectId: ['aRow000000'] }, CHANGED],
      ['a part of it', { 'objectId.x': 1 }, CHANGED],
      ['its own', { objectId: 'aRow000000', n: 1 }, 'written'],
      ['none', { 'profile.name': 'x' }, 'written'],
    ])('by an update: %s', async (_name, body, expected) => {
      for (const auth of [nobody, { isMaster: true }])
        expect(await update('_User', body, auth)).toBe(expected);
    });

    test('by an update that finds its user by something else than an ID', async () => {
      const verify = (body: object) => outcome(rest.update(config, nobody, '_User', { username: 'x' }, body));
      expect(await verify({ emailVerified: true })).toBe('written');
      expect(await verify({ objectId: 'another000' })).toBe(CHANGED);
    });

    test.each([
      ['an ID of the app’s own', { objectId: 'user@example.com' }, 'written'],
      ['none', { username: 'x' }, 'written'],
      ['an empty one', { objectId: '' }, NO_ID],
      ['null', { objectId: null }, NO_ID],
      ['a role', { objectId: 'role:Admins' }, NO_ID],
      ['a list', { objectId: ['Xk2p9QaL0b'] }, NO_ID],
      ['a part', { 'objectId.x': 1 }, CHANGED],
    ])('by a sign-up: %s', async (_name, body, expected) => {
      expect(await create('_User', body)).toBe(expected);
    });

    test('or that has more than a hundred fields, or crashes an app’s own trigger', async () => {
      const limit = '142 _User is sent more than 100 fields at once: send those that have changed.';
      expect(await create('_User', fields(101))).toBe(limit);
      expect(await update('_User', fields(101, 'f.'))).toBe(limit);
      expect(await create('_User', fields(100))).toBe('written');
      expect(await create('_User', fields(101), { isMaster: true })).toBe('written');
      expect(await create('_User', { photo: FILE })).toBe(notStorable('_User'));
    });

    test('without a trigger that the app has not; and one that it has is not logged', async () => {
      expect(server.triggers.getTrigger?.('_User', 'beforeSave', 'app')).toBeUndefined();
      Parse.Cloud.beforeSave('_User', () => {}, undefined);
      await server.save('_User', { written: { email: SECRET } });
      expect(server.logged()).toContain('beforeSave triggered for _User');
      expect(server.logged()).not.toContain(SECRET);
    });
  });
});

test('another application of the process that has no bundle is reported once, at a save to a class of the policy', async () => {
  const reported = jest.spyOn(console, 'error').mockImplementation();
  const saveIn = (applicationId: string, className: string) =>
    rest.create({ applicationId }, { isMaster: true }, className, { body: SECRET });
  await saveIn('another', 'Other');
  await saveIn('app', 'Message');
  expect(reported).not.toHaveBeenCalled();
  for (const applicationId of ['another', 'a third']) {
    for (const className of ['Message', 'Sent'])
      expect(await saveIn(applicationId, className)).toBe('written');
  }
  expect(reported.mock.calls).toEqual(
    ['another', 'a third'].map((name) => [
      expect.stringContaining(`e2ee: nothing guards the application ${name}, `),
    ]),
  );
  reported.mockRestore();
});

describe('where Parse Server’s writes cannot be seen', () => {
  const change = () =>
    server.save('_User', {
      written: { objectId: 'another000', email: SECRET },
      stored: { objectId: 'aUser00000' },
    });
  beforeEach(() => {
    server.reset();
    Object.assign(rest, { create: undefined });
    warned.mockClear();
    registerGuards(policyOf(true));
  });

  test('the load says what it means', () => {
    expect(warned.mock.calls).toEqual([[expect.stringContaining('lib/rest.js was not found')]]);
  });

  test("a trigger rejects a user's new ID, and nothing of it is logged", async () => {
    expect(await change()).toBe("119 A user's objectId cannot change.");
    expect(server.logged()).not.toContain(SECRET);
  });
});

describe('the exported guard', () => {
  const ask = (className: string, fields: object) =>
    guard({ object: new Parse.Object(className, fields), master: false }).then(
      () => 'accepted',
      ({ code, message }) => (code ? `${code} ${message}` : message),
    );

  test('answers for the classes of the policy', async () => {
    expect(await ask('Message', { body: envelope })).toBe('accepted');
    expect(await ask('Message', { body: 'plain text' })).toBe(NOT_CIPHERTEXT);
    expect(await ask('Message', { body: Parse.File.fromJSON(FILE as never) })).toBe(notStorable('Message'));
    expect(await ask('Other', {})).toBe('Other is not a class of back4app.json.');
  });

  test('does not answer for users, whom the policy has not among its classes', async () => {
    server.reset();
    guard = registerGuards(policyOf(true));
    expect(await ask('_User', {})).toBe('_User is not a class of back4app.json.');
  });
});
