import type { Policy } from '../policy';
import { type Beside, type Handler, registerBeside, rolesOfCaller } from './beside-app-triggers';
import { checkSave, checkWrite, type RecipientsCheck, type SaveRequest } from './guard';
import { hideFromLog, unstorableIn } from './hide-from-log';
import { beforeEachWrite, logError, tellOfOthers, type Write } from './parse-server-internals';
import { checkUserId, checkUserWrite } from './user-id';

/** Throws the Parse.Error of a save that is rejected. */
type Check = (request: SaveRequest) => void | Promise<void>;

/**
 * Registers the guard of each class of the policy beside the app's own triggers: the app's `beforeSave` runs first, and the
 * guard after it, on what it leaves. Rejects ahead of all triggers what would block or crash the server, and users' IDs that
 * change, where the policy wants it.
 * @param recipients checks them, where a class has `recipients` or `group`
 * @returns the guard itself, for an app that saves from code of its own and wants to ask first: rejects with the
 *   Parse.Error of `checkSave`
 */
export function registerGuards(
  { virgil, classes }: Policy,
  recipients?: RecipientsCheck,
): (request: SaveRequest) => Promise<void> {
  const guards = new Map<string, Check>();
  const writes = new Map<string, (write: Write) => void>();
  for (const [name, policy] of Object.entries(classes)) {
    guards.set(name, (request) => checkSave(request, policy, recipients));
    writes.set(name, (write) => checkWrite(write, policy));
  }
  if (virgil.guardUserIds) writes.set('_User', checkUserWrite);

  const checks = new Map(guards);
  if (!beforeEachWrite((write) => writes.get(write.className)?.(write))) {
    console.warn(
      "This Parse Server's lib/rest.js was not found: one request with thousands of fields can block this server. Limit its " +
        'maxUploadSize, and report the version of Parse Server.',
    );
    // Then a trigger checks what it can, at the cost of having one.
    if (virgil.guardUserIds) checks.set('_User', checkUserId);
  }
  const ours = new Map<string, Beside>();
  for (const [className, check] of checks) ours.set(className, (trigger) => thenCheck(trigger, check));
  registerBeside('beforeSave', ours, virgil.guardUserIds ? ['_User'] : []);
  reportUnguarded(classes);

  return async (request) => {
    const guard = guards.get(request.object.className);
    if (!guard) throw new Error(`${request.object.className} is not a class of back4app.json.`);
    requireStorable(request.object);
    await guard(request);
  };
}

/**
 * Reports, once each, the other applications of this process that the bundle was not loaded for: `require` loads a file once
 * in a process, for the application that comes first.
 */
function reportUnguarded(classes: Policy['classes']): void {
  const guarded = Object.keys(classes);
  const reported = new Set<string>();
  tellOfOthers((applicationId, className) => {
    if (reported.has(applicationId) || (className && !guarded.includes(className))) return;
    reported.add(applicationId);
    logError(
      `e2ee: nothing guards the application ${applicationId}, which is in this process, too: the bundle was not loaded ` +
        'for it, as require loads a file once. Run each application in a process of its own.',
    );
  });
}

function thenCheck(appTrigger: Handler | undefined, check: Check): Handler {
  return async (request) => {
    // Read before the app's trigger can write to them.
    const { object, original, user, master, log } = request;
    const roles = rolesOfCaller(object);
    hideFromLog(object, original);
    requireStorable(object);
    if (appTrigger) {
      await appTrigger(request);
      hideFromLog(request.object, original);
      requireStorable(request.object);
    }
    await check({ object: request.object, original, user, master, log, roles });
  };
}

/** Before all else, as a value that cannot be stored crashes a Parse Server whose class has a trigger. */
function requireStorable(object: Parse.Object): void {
  const fault = unstorableIn(object);
  if (fault) throw new Parse.Error(Parse.Error.VALIDATION_ERROR, `${object.className} ${fault}`);
}
