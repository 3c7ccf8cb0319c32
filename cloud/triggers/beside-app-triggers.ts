import { hideFromLog } from './hide-from-log';
import { beforeEachTrigger, triggerRegistry } from './parse-server-internals';

type TriggerType = 'beforeSave' | 'beforeDelete' | 'afterDelete';
type Register = typeof Parse.Cloud.beforeSave;
export type Handler = Parameters<Register>[1];
type Validator = Parameters<Register>[2];

/** Makes what is registered for a class of the app's own trigger, where it has one. */
export type Beside = (appTrigger?: Handler) => Handler;

/** Those of the user who saves or deletes an object, while its trigger runs. */
const roles = new WeakMap<Parse.Object, readonly string[]>();

/** The roles of the user whose save has a trigger run for this object, as an ACL names them, where they are known. */
export const rolesOfCaller = (object: Parse.Object) => roles.get(object);

type ParseClass = string | { className?: string; name: string };

/**
 * Registers triggers of ours beside those of the app. Parse keeps one of a type for a class and lets a second definition
 * replace the first; so `Parse.Cloud[type]` is wrapped: what the app defines is registered as ours makes it. A trigger that
 * was defined before is taken over as well. What is saved or deleted is hidden from the log before any validator runs.
 * @param ours what to register, by class name
 * @param alsoHidden classes in which only the app may have a trigger, whose rows are kept out of the log as well
 */
export function registerBeside(
  type: TriggerType,
  ours: ReadonlyMap<string, Beside>,
  alsoHidden: readonly string[] = [],
): void {
  const register = Parse.Cloud[type] as Register;
  const registerOurs = (className: string, beside: Beside, handler?: Handler, validator?: Validator) => {
    // Parse Server would skip ours as well.
    const skipsMaster = typeof validator === 'object' && validator?.skipWithMasterKey === true;
    const appTrigger: Handler | undefined =
      handler && ((request) => (skipsMaster && request.master ? undefined : handler(request)));
    register(className, beside(appTrigger), hiding(validator));
  };
  const triggers = triggerRegistry();
  if (triggers) {
    const hidden = new Set([...ours.keys(), ...alsoHidden]);
    beforeEachTrigger(triggers, (running, object, original, auth) => {
      if (running !== type || !object || !hidden.has(object.className)) return;
      // The row that is deleted is the object itself.
      hideFromLog(object, type === 'beforeSave' ? original : object);
      const { userRoles } = Object(auth);
      if (Array.isArray(userRoles)) roles.set(object, userRoles);
    });
  } else {
    console.warn(
      `This Parse Server does not show its triggers. A ${type} of a guarded class that is defined above this file is ` +
        'replaced, and what a validator that is an object refuses is logged whole: use functions.',
    );
  }

  // Those whose trigger is ours alone, until the app defines its own: Parse Server would warn of two.
  const unclaimed = new Set<string>();
  for (const [className, beside] of ours) {
    const above = triggers?.getTrigger(className, type, Parse.applicationId);
    if (above) {
      console.warn(
        `${type} of ${className} is defined above require('./e2ee'). It runs, before the guard; but put the require ` +
          'first: a Parse Server that hides its triggers would lose it.',
      );
      const validator = triggers?.getValidator(`${type}.${className}`, Parse.applicationId);
      triggers?.removeTrigger(type, className, Parse.applicationId);
      registerOurs(className, beside, above, validator);
    } else {
      registerOurs(className, beside);
      unclaimed.add(className);
    }
  }

  Parse.Cloud[type] = ((parseClass: ParseClass, handler: Handler, validator: Validator) => {
    const className = classNameOf(parseClass);
    const beside = ours.get(className);
    if (!beside) return register(parseClass as string, handler, validator);
    if (unclaimed.delete(className)) triggers?.removeTrigger(type, className, Parse.applicationId);
    registerOurs(className, beside, handler, validator);
  }) as Register;
}

/** The app's validator, which may not let the master key skip ours, nor have what it refuses logged. */
function hiding(validator: Validator): Validator {
  if (typeof validator === 'function') {
    return async (request) => {
      // A file has none.
      if (request.object) hideFromLog(request.object, request.original);
      await validator(request);
    };
  }
  if (!validator) return validator;
  const { skipWithMasterKey, ...rest } = validator;
  return rest;
}

/** The class that Parse Server registers a trigger for: its `triggers.getClassName`. */
function classNameOf(parseClass: ParseClass): string {
  return typeof parseClass === 'string' ? parseClass : (parseClass.className ?? parseClass.name.replace('Parse', '@'));
}
