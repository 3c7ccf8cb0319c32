import type { ClassPolicy, Policy } from '../../../cloud/policy';
import { registerGuards } from '../../../cloud/triggers/register-guards';
import { envelopeMaker } from '../../support/envelopes';
import { startTriggers } from '../../support/triggers';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const SECRET = 'Xylophone';
const NOT_CIPHERTEXT = "142 Message.body is refused: not base64. Encrypt it with E3Kit's authEncrypt().";
const notStorable = (className: string) =>
  `142 ${className} cannot be saved with a File that has no url, or a Date that is none.`;
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
  classes: { Message: guarded, File: guarded, Reported: { ...guarded, mode: 'report' } },
});

const server = startTriggers();
const master = { master: true };
let envelope: string;
let guard: ReturnType<typeof registerGuards>;
let warned: jest.SpyInstance;

beforeAll(async () => {
  envelope = envelopeMaker(await loadVirgilCrypto())();
});
beforeEach(() => {
  server.reset();
  warned = jest.spyOn(console, 'warn').mockImplementation();
  guard = registerGuards(policyOf(false));
});
afterEach(() => warned.mockRestore());

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

describe("users' IDs", () => {
  const update = () =>
    server.save('_User', {
      written: { objectId: 'another000', email: SECRET },
      stored: { objectId: 'aUser00000' },
    });

  test('are guarded where the policy says so', async () => {
    server.reset();
    registerGuards(policyOf(true));
    expect(await update()).toBe("119 A user's objectId cannot change.");
    expect(server.logged()).not.toContain(SECRET);
  });

  test('are not where it does not', async () => {
    expect(await update()).toBeUndefined();
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
