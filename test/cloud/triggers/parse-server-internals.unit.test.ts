import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  beforeEachTrigger,
  beforeEachWrite,
  keepFunctions,
  type TriggerRegistry,
  tellOfOthers,
  triggerRegistry,
  type Write,
} from '../../../cloud/triggers/parse-server-internals';
import { parseServerFile, startTriggers } from '../../support/triggers';

const FUNCTIONS = ['getTrigger', 'getValidator', 'removeTrigger', 'maybeRunTrigger', 'maybeRunFileTrigger'];

// First: afterwards there is a Parse Server in this process.
test('where none is loaded there are none, whatever other modules there are', () => {
  expect(triggerRegistry()).toBeUndefined();
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-modules-'));
  for (const name of [
    'my-parse-server/lib/triggers.js',
    'parse-server/lib/triggers.js.js',
    'parse-server/triggers.js',
  ]) {
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, FUNCTIONS.map((method) => `exports.${method} = () => {};`).join('\n'));
    require(file);
  }
  rmSync(folder, { recursive: true });
  expect(triggerRegistry()).toBeUndefined();
});

describe('where Parse Server is loaded', () => {
  let server: ReturnType<typeof startTriggers>;
  beforeAll(() => {
    server = startTriggers();
  });
  beforeEach(() => server.reset());

  test('they are its own', () => {
    expect(triggerRegistry()).toBe(server.triggers);
  });

  test.each(FUNCTIONS)('there are none if it has no %s', (name) => {
    server.triggers[name] = undefined;
    expect(triggerRegistry()).toBeUndefined();
  });

  test('we act before a validator that is an object', async () => {
    const acted: unknown[] = [];
    const registry = triggerRegistry() as TriggerRegistry;
    beforeEachTrigger(registry, (type, object, original) =>
      acted.push([type, object?.get('n'), original?.id]),
    );
    for (const type of ['beforeSave', 'afterSave']) {
      server.triggers.addTrigger?.(type, 'Message', () => {}, 'app', { requireMaster: true });
    }
    const refused = '142 Validation failed. Master key is required to complete this request.';
    expect(await server.save('Message', { written: { n: 1 } })).toBe(refused);
    expect(await server.save('Message', { written: { n: 2 }, stored: { objectId: 'aMessage00' } })).toBe(
      refused,
    );
    expect(await server.save('Message', { written: { n: 3 }, by: { master: true } })).toEqual({ n: 3 });
    expect(await server.save('Message', { written: { n: 4 } }, 'afterSave')).toBe(refused);
    expect(await registry.maybeRunTrigger('beforeSave', {})).toEqual({}); // without an object, of no application
    expect(acted).toEqual([
      ['beforeSave', 1, undefined],
      ['beforeSave', 2, 'aMessage00'],
      ['beforeSave', 3, undefined],
      ['afterSave', 4, undefined],
    ]);
  });

  test('a second load of the bundle replaces what the first acts, and does not wrap again', async () => {
    const registry = triggerRegistry() as TriggerRegistry;
    const acted: string[] = [];
    beforeEachTrigger(registry, () => acted.push('first load'));
    const wrapped = registry.maybeRunTrigger;
    await jest.isolateModulesAsync(async () => {
      const reloaded = await import('../../../cloud/triggers/parse-server-internals');
      reloaded.beforeEachTrigger(registry, () => acted.push('second load'));
      reloaded.beforeEachTrigger(registry, () => acted.push('second load, too'));
    });
    expect(registry.maybeRunTrigger).toBe(wrapped);
    await server.save('Message', { written: {} });
    expect(acted).toEqual(['second load', 'second load, too']);
  });
});

describe('a write', () => {
  type Rest = Record<'create' | 'update', (...how: unknown[]) => Promise<unknown>>;
  let rest: Rest;
  let original: Rest;
  const create = jest.fn(async (...how: unknown[]) => how);
  const update = jest.fn(async (...how: unknown[]) => how);
  const auth = { isMaster: false };
  beforeAll(() => {
    rest = require(parseServerFile('rest'));
    original = { ...rest };
  });
  beforeEach(() => {
    Parse.applicationId = 'app';
    Object.assign(rest, { create, update });
    create.mockClear();
    update.mockClear();
  });
  afterAll(() => Object.assign(rest, original));

  test('is checked before Parse Server sees it, with all its arguments, which it gets as they came', async () => {
    const writes: Write[] = [];
    expect(beforeEachWrite((write) => writes.push(write))).toBe(true);
    const config = { applicationId: 'app' };
    const how = [config, auth, 'Message', { n: 1 }, 'clientSDK', { context: 1 }];
    expect(await rest.create(...how)).toEqual(how);
    const where = { objectId: 'aMessage00' };
    const change = [config, auth, 'Message', where, { n: 2 }, 'clientSDK', { context: 1 }];
    expect(await rest.update(...change)).toEqual(change);
    await rest.create(config, auth, 'Message', null);
    expect(writes).toEqual([
      { className: 'Message', auth, body: { n: 1 } },
      { className: 'Message', auth, where, body: { n: 2 } },
      { className: 'Message', auth, body: {} },
    ]);
  });

  test('that the check throws at is rejected, and Parse Server does not see it', async () => {
    beforeEachWrite(() => {
      throw new Parse.Error(119, 'not this');
    });
    const config = { applicationId: 'app' };
    await expect(rest.create(config, auth, 'Message', {})).rejects.toMatchObject({ code: 119 });
    expect(create).not.toHaveBeenCalled();
  });

  test('of another application in the process is for its own bundle to check', async () => {
    const checked: string[] = [];
    const load = (applicationId: string) => {
      Parse.applicationId = applicationId;
      beforeEachWrite(({ className }) => checked.push(`${applicationId}: ${className}`));
    };
    load('app');
    load('another');
    for (const applicationId of ['app', 'another', 'without the bundle']) {
      await rest.create({ applicationId }, auth, 'Message', {});
    }
    expect(checked).toEqual(['app: Message', 'another: Message']);
  });

  test('of an application without the bundle is told of, and stored', async () => {
    const told: unknown[] = [];
    beforeEachWrite(() => {});
    tellOfOthers((...other) => told.push(other));
    for (const applicationId of ['app', 'without the bundle']) {
      await rest.create({ applicationId }, auth, 'Message', {});
      await rest.update({ applicationId }, auth, 'Message', { objectId: 'aMessage00' }, {});
    }
    expect(told).toEqual(Array(2).fill(['without the bundle', 'Message']));
    expect([create, update].map(({ mock }) => mock.calls.length)).toEqual([2, 2]);
  });

  test('an application that is in the process already is told of at load, unless it has a bundle', () => {
    const { AppCache } = require(parseServerFile('cache'));
    for (const applicationId of ['app', 'another', 'without the bundle']) AppCache.put(applicationId, {});
    const told: unknown[] = [];
    for (const applicationId of ['app', 'another']) {
      Parse.applicationId = applicationId;
      told.length = 0;
      beforeEachWrite(() => {});
      tellOfOthers((...other) => told.push(other));
    }
    AppCache.clear();
    expect(told).toEqual([['without the bundle']]);
  });

  test('is not checked where lib/rest.js lacks one of the functions', () => {
    Object.assign(rest, { update: undefined });
    expect(beforeEachWrite(() => {})).toBe(false);
  });
});

describe('a Cloud Function that is kept', () => {
  let server: ReturnType<typeof startTriggers>;
  const kept = () => 'kept';
  const other = () => 'another';
  const leftOut: string[] = [];
  const define = (name: string, handler: () => string, app = 'app') =>
    server.triggers.addFunction?.(name, handler, undefined, app);
  const run = (name: string, app = 'app') => (server.triggers.getFunction?.(name, app) as () => string)?.();

  beforeEach(() => {
    server = startTriggers();
    server.reset();
    leftOut.length = 0;
    keepFunctions(
      (handler) => handler === kept,
      (name) => leftOut.push(name),
    );
  });
  afterEach(() => server.reset());

  test('stays, whatever is defined by its name later, and may be defined anew', () => {
    define('jwt', kept);
    define('jwt', other);
    expect([run('jwt'), leftOut]).toEqual(['kept', ['jwt']]);
    define('jwt', kept);
    define('own', other);
    expect([run('jwt'), run('own'), leftOut]).toEqual(['kept', 'another', ['jwt']]);
  });

  test('replaces what was defined before it', () => {
    define('jwt', other);
    define('jwt', kept);
    expect([run('jwt'), leftOut]).toEqual(['kept', []]);
  });

  test('is of its application alone, and until the registry is emptied', () => {
    define('jwt', kept);
    define('jwt', other, 'another app');
    expect(run('jwt', 'another app')).toBe('another');
    server.triggers._unregisterAll?.();
    define('jwt', other);
    expect([run('jwt'), leftOut]).toEqual(['another', []]);
  });
});
