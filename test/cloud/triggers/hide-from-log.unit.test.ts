import { hideFromLog, unstorableIn } from '../../../cloud/triggers/hide-from-log';
import { becomeCloudCode, objectsOfSave } from '../../support/cloud-code';

const SECRET = 'Xylophone';
becomeCloudCode(({ path }) => {
  throw new Error(`This asks nothing, ${path} neither.`);
});

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

  test.each([
    ['an operation', { n: { __op: 'Increment', amount: 2 }, gone: { __op: 'Delete' } }, () => {}],
    ['a value below a field', { 'list.a': 1, 'other.b': { __op: 'Increment', amount: 1 } }, () => {}],
    ['a list that was changed in place', { n: 1 }, (object: Parse.Object) => object.get('list').push('x')],
    ['nothing', {}, () => {}],
  ])('is saved as the SDK saves it, with %s', (_name, written, change) => {
    const stored = { objectId: 'aMessage00', list: [{ a: 1 }], other: { b: 1 } };
    const [hidden, shown] = [1, 2].map(() => objectsOfSave('Message', written, stored));
    change(hidden?.object as Parse.Object);
    change(shown?.object as Parse.Object);
    hideFromLog(hidden?.object as Parse.Object, hidden?.original);
    expect({ ...hidden?.object._getSaveJSON() }).toEqual(shown?.object._getSaveJSON());
  });

  test('never asks the SDK for it, which takes time that grows with the square of the fields', () => {
    const { object, original } = objectsOfSave('Message', { body: SECRET }, row);
    const slow = jest.spyOn(Parse.Object.prototype, '_getSaveJSON');
    expect(unstorableIn(object)).toBeUndefined();
    hideFromLog(object, original);
    expect({ ...object._getSaveJSON() }).toEqual({ body: SECRET });
    expect(slow).not.toHaveBeenCalled();
    slow.mockRestore();
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
    ['one below a field', { 'a.b': NO_DATE }, false],
    ['a File whose url is empty', { 'a.b': { ...FILE, url: '' } }, false],
  ])('%s', (_name, written, expected) => {
    const { object, original } = objectsOfSave('Message', written, { objectId: 'aMessage00' });
    expect(unstorableIn(object) === undefined).toBe(expected);
    hideFromLog(object, original);
    expect(unstorableIn(object) === undefined).toBe(expected);
  });
});
