import type { Policy } from '../policy';
import { type Beside, type Handler, registerBeside } from './beside-app-triggers';
import { checkErasure, ERASURE_CLASS } from './erasure';
import { checkSave, type SaveRequest } from './guard';
import { canBeEncoded, hideFromLog } from './hide-from-log';
import { checkUserId } from './user-id';

/** Throws the Parse.Error of a save that is refused. */
type Check = (request: SaveRequest) => void | Promise<void>;

/**
 * Registers the guard of each class of the policy, and of users' IDs where the policy wants it, beside the app's own
 * triggers: the app's `beforeSave` runs first, and the guard after it, on what it leaves.
 * @returns the guard itself, for an app that saves from code of its own and wants to ask first: rejects with the
 *   Parse.Error of `checkSave`
 */
export function registerGuards({ virgil, classes }: Policy): (request: SaveRequest) => Promise<void> {
  const guards = new Map<string, Check>();
  for (const [name, policy] of Object.entries(classes)) guards.set(name, (request) => checkSave(request, policy));
  const checks = new Map(guards);
  if (virgil.guardUserIds) checks.set('_User', checkUserId);
  if (virgil.eraseDeletedUsers) checks.set(ERASURE_CLASS, checkErasure);

  const ours = new Map<string, Beside>();
  for (const [className, check] of checks) ours.set(className, (trigger) => thenCheck(trigger, check));
  registerBeside('beforeSave', ours);

  return async (request) => {
    const guard = guards.get(request.object.className);
    if (!guard) throw new Error(`${request.object.className} is not a class of back4app.json.`);
    requireStorable(request.object);
    await guard(request);
  };
}

function thenCheck(appTrigger: Handler | undefined, check: Check): Handler {
  return async (request) => {
    // Read before the app's trigger can write to them.
    const { object, original, user, master, log } = request;
    hideFromLog(object, original);
    requireStorable(object);
    if (appTrigger) {
      await appTrigger(request);
      hideFromLog(request.object, original);
      requireStorable(request.object);
    }
    await check({ object: request.object, original, user, master, log });
  };
}

/**
 * Before all else: Parse Server ends when a class with a trigger is sent such a value, a `File` without `url` at any depth
 * or a Date that is none, and whoever knows the App ID can send one.
 */
function requireStorable(object: Parse.Object): void {
  if (canBeEncoded(object)) return;
  const what = 'cannot be saved with a File that has no url, or a Date that is none.';
  throw new Parse.Error(Parse.Error.VALIDATION_ERROR, `${object.className} ${what}`);
}
