import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { canBeEncoded, hideBeforeValidators, hideFromLog } from '../../../cloud/triggers/hide-from-log';
import { objectsOfSave } from '../../support/cloud-code';
import { startTriggers } from '../../support/triggers';

const SECRET = 'Xylophone';
const server = startTriggers();
beforeEach(() => server.reset());

const FILE = { __type: 'File', name: 'x' };
const NO_DATE = { __type: 'Date', iso: 'no date' };

describe('an object that is hidden', () => {
  const row = { objectId: 'aMessage00', old: SECRET };

  test.each([
    ['new', undefined, { className: 'Message' }],
    ['old', row, { className: 'Message', objectId: 'aMessage00' }],
  ])('and %s is logged as its class and the ID of its row', (_name, stored, shown) => {
    const { object, original } = objectsOfSave('Message', { body: SECRET, id: SECRET }, stored);
    // The app's trigger and Parse Server's validators come after each other.
    for (let i = 0; i < 3; i++) hideFromLog(object, original);
    for (const logged of [object.toJSON(), object._getSaveJSON()]) {
      expect(JSON.parse(JSON.stringify(logged))).toEqual(shown);
    }
  });

  test('gives its values, to validators and to the save', () => {
    const written = {
      body: SECRET,
      at: { __type: 'Date', iso: '2026-01-01T00:00:00.000Z' },
      by: { __op: 'Increment', amount: 2 },
    };
    const { object, original } = objectsOfSave('Message', written, row);
    const shown = objectsOfSave('Message', written, row).object;
    hideFromLog(object, original);
    expect({ ...object.toJSON() }).toEqual(shown.toJSON());
    expect({ ...object._getSaveJSON() }).toEqual(shown._getSaveJSON());
    expect(object.get('body')).toBe(SECRET);
  });

  test('hands on how its JSON is wanted', () => {
    const parent = objectsOfSave('Message', {
      child: { __type: 'Pointer', className: 'T', objectId: 'x' },
    }).object;
    const child = parent.get('child') as Parse.Object;
    hideFromLog(parent, undefined);
    const seen = [child];
    expect({ ...(parent.toJSON as (...how: unknown[]) => object)(seen, true) }).toEqual(
      (Parse.Object.prototype.toJSON as (...how: unknown[]) => object).call(parent, seen, true),
    );
  });

  test('that has no JSON is logged all the same', () => {
    const { object } = objectsOfSave('Message', { file: FILE });
    expect(() => JSON.stringify(object)).toThrow();
    hideFromLog(object, undefined);
    expect(JSON.stringify(object)).toBe('{"className":"Message"}');
  });
});

describe('whether Parse Server can write an object down', () => {
  test.each<[string, object, boolean]>([
    ['text', { a: SECRET }, true],
    ['a File', { a: { ...FILE, url: 'http://x' } }, true],
    ['a Date', { a: { __type: 'Date', iso: '2026-01-01T00:00:00.000Z' } }, true],
    ['a File without url', { a: FILE }, false],
    ['one in a list', { a: [{ b: [FILE] }] }, false],
    ['one in an Add', { a: { __op: 'Add', objects: [FILE] } }, false],
    ['one below a field', { 'a.b': FILE }, false],
    ['a Date that is none', { a: NO_DATE }, false],
    ['one in a list', { a: [NO_DATE] }, false],
  ])('%s', (_name, written, expected) => {
    const { object, original } = objectsOfSave('Message', written, { objectId: 'aMessage00' });
    expect(canBeEncoded(object)).toBe(expected);
    hideFromLog(object, original);
    expect(canBeEncoded(object)).toBe(expected);
  });
});

describe('what a validator that is an object refuses', () => {
  const refusing = (type: string, className: string) =>
    server.triggers.addTrigger(type, className, () => {}, 'app', { requireMaster: true });
  const save = async (className: string, type?: string) => {
    refusing(type ?? 'beforeSave', className);
    expect(
      await server.save(className, { written: { body: SECRET }, stored: { objectId: 'anObject00' } }, type),
    ).toMatch(/^142 Validation failed/);
    return server.logged();
  };

  test('is logged by Parse Server', async () => {
    expect(await save('Message')).toContain(SECRET);
  });

  test('is hidden in a guarded class, before it is saved, and nowhere else', async () => {
    expect(hideBeforeValidators((className) => className === 'Message')).toBe(true);
    expect(await save('Message')).toContain(
      'beforeSave failed for Message for user undefined:\n  Input: {"className":"Message","objectId":"anObject00"}',
    );
    expect(await save('Other')).toContain(SECRET);
    expect(await save('Message', 'afterSave')).toContain(SECRET);
  });

  test('is hidden, where a trigger has no object as well', async () => {
    hideBeforeValidators(() => true);
    await expect(server.triggers.maybeRunTrigger?.('beforeSave', {}, undefined)).resolves.toEqual({});
  });

  test('cannot be hidden from a Parse Server that has no such function', () => {
    server.triggers.maybeRunTrigger = undefined;
    expect(hideBeforeValidators(() => true)).toBe(false);
    expect(server.triggers.maybeRunTrigger).toBeUndefined();
  });

  test('is hidden from every Parse Server of the process, and no other module is touched', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'e2ee-modules-'));
    const load = (file: string) => {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), 'exports.maybeRunTrigger = function original() {};');
      return require(join(folder, file));
    };
    try {
      const another = load('parse-server/lib/triggers.js');
      const others = [
        'my-parse-server/lib/triggers.js',
        'parse-server/lib/triggers.js.js',
        'parse-server/triggers.js',
      ].map(load);
      hideBeforeValidators(() => true);
      expect(another.maybeRunTrigger.name).not.toBe('original');
      for (const other of others) expect(other.maybeRunTrigger.name).toBe('original');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
