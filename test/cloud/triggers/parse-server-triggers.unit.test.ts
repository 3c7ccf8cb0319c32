import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEachRun, parseServerTriggers } from '../../../cloud/triggers/parse-server-triggers';
import { startTriggers } from '../../support/triggers';

const FUNCTIONS = ['getTrigger', 'getValidator', 'removeTrigger', 'maybeRunTrigger', 'maybeRunFileTrigger'];

// First: afterwards there is a Parse Server in this process.
test('where none is loaded there are none, whatever other modules there are', () => {
  expect(parseServerTriggers()).toBeUndefined();
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
  expect(parseServerTriggers()).toBeUndefined();
});

describe('where Parse Server is loaded', () => {
  let server: ReturnType<typeof startTriggers>;
  beforeAll(() => {
    server = startTriggers();
  });
  beforeEach(() => server.reset());

  test('they are its own', () => {
    expect(parseServerTriggers()).toBe(server.triggers);
  });

  test.each(FUNCTIONS)('there are none if it has no %s', (name) => {
    server.triggers[name] = undefined;
    expect(parseServerTriggers()).toBeUndefined();
  });

  test('we act before a validator that is an object', async () => {
    const acted: unknown[] = [];
    const triggers = parseServerTriggers() as NonNullable<ReturnType<typeof parseServerTriggers>>;
    beforeEachRun(triggers, 'maybeRunTrigger', (type, _auth, object, original) =>
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
    expect(await triggers.maybeRunTrigger('beforeSave', {})).toEqual({}); // without an object
    expect(acted).toEqual([
      ['beforeSave', 1, undefined],
      ['beforeSave', 2, 'aMessage00'],
      ['beforeSave', 3, undefined],
      ['afterSave', 4, undefined],
      ['beforeSave', undefined, undefined],
    ]);
  });
});
