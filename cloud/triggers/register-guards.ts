import type { Policy } from '../policy';
import { checkSave, reportSave, type SaveRequest } from './guard';
import { canBeEncoded, hideFromLog } from './hide-from-log';
import { beforeEachSave, parseServerTriggers } from './parse-server-triggers';
import { checkUserId } from './user-id';

type BeforeSave = typeof Parse.Cloud.beforeSave;
type Handler = Parameters<BeforeSave>[1];
type Validator = Parameters<BeforeSave>[2];
/** Throws the Parse.Error of a save that is refused. */
type Check = (request: SaveRequest) => void;

/**
 * Registers the guard of each class of the policy, and of users' IDs where the policy wants it. Parse keeps one
 * `beforeSave` a class and lets a second definition replace the first; so `Parse.Cloud.beforeSave` is wrapped: for a
 * guarded class the app's own trigger runs first, and the guard after it, on what it leaves. One that was defined before is
 * kept as well.
 *
 * @returns the guard itself, for an app that saves from code of its own and wants to ask first: rejects with the
 *   Parse.Error of `checkSave`
 */
export function registerGuards({ virgil, classes }: Policy): (request: SaveRequest) => Promise<void> {
  const guards = new Map<string, Check>(
    Object.entries(classes).map(([className, policy]) => {
      const check = policy.mode === 'report' ? reportSave : checkSave;
      return [className, (request) => check(request, policy)];
    }),
  );
  const checks = new Map(guards);
  if (virgil.guardUserIds) checks.set('_User', checkUserId);

  const beforeSave = Parse.Cloud.beforeSave;
  const register = (className: string, check: Check, handler: Handler, validator: Validator) =>
    beforeSave(className, thenCheck(handler, validator, check), hiding(validator));
  const triggers = parseServerTriggers();
  if (triggers) {
    beforeEachSave(triggers, (object, original) => {
      if (checks.has(object.className)) hideFromLog(object, original);
    });
  } else {
    console.warn(
      'This Parse Server does not show its triggers. A beforeSave of a guarded class that is defined above this file is ' +
        'replaced, and what a validator that is an object refuses is logged whole: use functions.',
    );
  }

  // Those whose trigger is the guard alone, until the app defines its own: Parse Server would warn of two.
  const unclaimed = new Set<string>();
  for (const [className, check] of checks) {
    const above = triggers?.getTrigger(className, 'beforeSave', Parse.applicationId);
    if (above) {
      console.warn(
        `beforeSave of ${className} is defined above require('./e2ee'). It runs, before the guard; but put the require ` +
          'first: a Parse Server that hides its triggers would lose it.',
      );
      const validator = triggers?.getValidator(`beforeSave.${className}`, Parse.applicationId);
      triggers?.removeTrigger('beforeSave', className, Parse.applicationId);
      register(className, check, above, validator);
    } else {
      register(className, check, () => {}, undefined);
      unclaimed.add(className);
    }
  }

  Parse.Cloud.beforeSave = ((parseClass: ParseClass, handler: Handler, validator: Validator) => {
    const className = classNameOf(parseClass);
    const check = checks.get(className);
    if (!check) return beforeSave(parseClass as string, handler, validator);
    if (unclaimed.delete(className)) triggers?.removeTrigger('beforeSave', className, Parse.applicationId);
    register(className, check, handler, validator);
  }) as BeforeSave;

  return async (request) => {
    const guard = guards.get(request.object.className);
    if (!guard) throw new Error(`${request.object.className} is not a class of back4app.json.`);
    requireStorable(request.object);
    guard(request);
  };
}

function thenCheck(handler: Handler, validator: Validator, check: Check): Handler {
  return async (request) => {
    // Read before the app's trigger can write to them.
    const { object, original, user, master, log } = request;
    hideFromLog(object, original);
    requireStorable(object);
    if (!(master && skipsMasterKey(validator))) await handler(request);
    const left = request.object;
    hideFromLog(left, original);
    requireStorable(left);
    check({ object: left, original, user, master, log });
  };
}

/**
 * Before all else: Parse Server ends when a class with a trigger is sent such a value, a `File` without `url` at any depth
 * or a Date that is none, and whoever knows the App ID can send one.
 */
function requireStorable(object: Parse.Object): void {
  if (canBeEncoded(object)) return;
  throw new Parse.Error(
    Parse.Error.VALIDATION_ERROR,
    `${object.className} cannot be saved with a File that has no url, or a Date that is none.`,
  );
}

/** The app's validator, which may not let the master key skip the guard, nor have what it refuses logged. */
function hiding(validator: Validator): Validator {
  if (typeof validator === 'function') {
    return async (request) => {
      hideFromLog(request.object, request.original);
      await validator(request);
    };
  }
  if (!validator) return validator;
  const { skipWithMasterKey, ...rest } = validator;
  return rest;
}

function skipsMasterKey(validator: Validator): boolean {
  return typeof validator === 'object' && validator?.skipWithMasterKey === true;
}

type ParseClass = string | { className?: string; name: string };

/** The class that Parse Server registers a trigger for: its `triggers.getClassName`. */
function classNameOf(parseClass: ParseClass): string {
  return typeof parseClass === 'string'
    ? parseClass
    : (parseClass.className ?? parseClass.name.replace('Parse', '@'));
}
