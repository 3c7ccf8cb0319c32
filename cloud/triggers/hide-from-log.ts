import { UNSTORABLE, unstorable } from './written-json';

/**
 * Parse Server logs the whole object of a trigger, success or failure, the stored row included: as `toJSON()` gives it
 * (Input) and as `_getSaveJSON()` does (Result). Of this one it will log the class and the stored row's ID: an object's
 * own ID may be what the client made up. The values themselves are there as before, for validators and the save.
 */
export function hideFromLog(object: Parse.Object, original: Parse.Object | undefined): void {
  const shown = () => ({ className: object.className, objectId: original?.id });
  const hide = (json: object) => Object.defineProperty(json, 'toJSON', { value: shown });
  const define = (method: string, value: unknown) =>
    Object.defineProperty(object, method, { configurable: true, value });
  // The class's own, behind the one that is set here.
  const { toJSON } = Object.getPrototypeOf(object);
  define('_getSaveJSON', () => hide(saveJson(object)));
  define('toJSON', (...how: unknown[]) => {
    try {
      return hide(toJSON.apply(object, how));
    } catch {
      // An exception here, while Parse Server logs, would crash the process.
      return shown();
    }
  });
}

/** Why Parse Server would crash when it writes down what the save writes: see `unstorable`. */
export function unstorableIn(object: Parse.Object): string | undefined {
  try {
    return unstorable(saveJson(object));
  } catch {
    // The SDK itself cannot encode such a File or Date.
    return UNSTORABLE;
  }
}

/**
 * What the SDK's own `_getSaveJSON()` gives, the pending operations and the values that were changed in place, in time that
 * grows with the number of fields and not with its square.
 */
function saveJson(object: Parse.Object): Record<string, unknown> {
  const [pending = {}] = object._getPendingOps();
  const changedBelow = new Set(
    Object.keys(pending).flatMap((field) => (field.includes('.') ? field.split('.')[0] : [])),
  );
  const json: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(object._getDirtyObjectAttributes())) {
    if (!changedBelow.has(field)) json[field] = new Parse.Op.Set(value).toJSON();
  }
  for (const [field, operation] of Object.entries(pending)) json[field] = operation.toJSON();
  return json;
}
