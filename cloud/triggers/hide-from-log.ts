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
  const { toJSON, _getSaveJSON } = methodsOf(object);
  define('_getSaveJSON', () => hide(_getSaveJSON.call(object)));
  define('toJSON', (...how: unknown[]) => {
    try {
      return hide(toJSON.apply(object, how));
    } catch {
      // What throws here, while Parse Server logs, ends the whole process.
      return shown();
    }
  });
}

/**
 * Whether Parse Server can write down what the save writes: if not, to let it try ends the whole process. What is below a
 * field (`field.below`) comes as JSON still, and is taken for what it is when it is read again: hence the second time.
 */
export function canBeEncoded(object: Parse.Object): boolean {
  try {
    Parse._encode(Parse._decode(null, methodsOf(object)._getSaveJSON.call(object)), null);
    return true;
  } catch {
    return false;
  }
}

/** The class's own, behind those that `hideFromLog` sets. */
function methodsOf(object: Parse.Object): Record<'toJSON' | '_getSaveJSON', (...how: unknown[]) => object> {
  return Object.getPrototypeOf(object);
}
