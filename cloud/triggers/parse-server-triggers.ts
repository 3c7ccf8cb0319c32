type BeforeSave = Parameters<typeof Parse.Cloud.beforeSave>;
type Run = [type: string, auth: unknown, object?: Parse.Object, original?: Parse.Object, ...rest: unknown[]];
const FUNCTIONS = ['getTrigger', 'getValidator', 'removeTrigger', 'maybeRunTrigger', 'maybeRunFileTrigger'];

/** Parse Server's register of triggers, as far as we need it. */
interface ParseServerTriggers {
  getTrigger(className: string, type: string, appId: string | undefined): BeforeSave[1] | undefined;
  getValidator(name: string, appId: string | undefined): BeforeSave[2];
  removeTrigger(type: string, className: string, appId: string | undefined): void;
  maybeRunTrigger(...run: Run): Promise<unknown>;
  maybeRunFileTrigger(type: string, upload: { file: Parse.File }, ...rest: unknown[]): Promise<unknown>;
}

/**
 * Finds `lib/triggers.js` of the Parse Server that has loaded us, undefined where there is none or another one. There is no
 * public way to see what triggers there are, nor to be earlier than a validator that is an object; the five functions have
 * been there, with these parameters, from version 5.6 to 9.10.
 */
export function parseServerTriggers(): ParseServerTriggers | undefined {
  const path = /[\\/]parse-server[\\/]lib[\\/]triggers\.js$/;
  const file = Object.keys(require.cache).find((name) => path.test(name));
  const triggers = (file && require.cache[file]?.exports) || {};
  return FUNCTIONS.every((name) => typeof triggers[name] === 'function') ? triggers : undefined;
}

/** Calls `act` with what each trigger is run with, before its validator. */
export function beforeEachRun<Name extends 'maybeRunTrigger' | 'maybeRunFileTrigger'>(
  triggers: ParseServerTriggers,
  name: Name,
  act: (...run: Parameters<ParseServerTriggers[Name]>) => void,
): void {
  const run: (...run: never) => Promise<unknown> = triggers[name];
  triggers[name] = (...how: never) => {
    act(...how);
    return run(...how);
  };
}
