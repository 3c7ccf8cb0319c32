import type { ClassPolicy, Policy } from '../policy';
import { checkSave, hideFromLog, type SaveRequest } from './guard';

type BeforeSave = typeof Parse.Cloud.beforeSave;
type Handler = Parameters<BeforeSave>[1];
type Validator = Parameters<BeforeSave>[2];

/**
 * Registers the guard of each class of the policy. Parse keeps one `beforeSave` a class and lets a second definition
 * replace the first; so `Parse.Cloud.beforeSave` is wrapped: for a guarded class the app's own trigger runs first, and
 * the guard after it, on what it leaves.
 *
 * @returns the guard itself, for an app that saves from code of its own and wants to ask first: rejects with the
 *   Parse.Error of `checkSave`
 */
export function registerGuards(classes: Policy['classes']): (request: SaveRequest) => Promise<void> {
  const policies = new Map(Object.entries(classes));
  const beforeSave = Parse.Cloud.beforeSave;

  for (const [className, policy] of policies) {
    beforeSave(className, (request) => checkSave(request, policy));
  }

  Parse.Cloud.beforeSave = ((parseClass: ParseClass, handler: Handler, validator: Validator) => {
    const policy = policies.get(classNameOf(parseClass));
    if (policy) beforeSave(parseClass as string, thenGuard(handler, validator, policy), guarded(validator));
    else beforeSave(parseClass as string, handler, validator);
  }) as BeforeSave;

  return async (request) => {
    const policy = policies.get(request.object.className);
    if (!policy) throw new Error(`${request.object.className} is not a class of back4app.json.`);
    checkSave(request, policy);
  };
}

function thenGuard(handler: Handler, validator: Validator, policy: ClassPolicy): Handler {
  return async (request) => {
    // Read before the app's trigger can write to them.
    const { object, original, user, master } = request;
    try {
      if (!(master && skipsMasterKey(validator))) await handler(request);
    } finally {
      hideFromLog(object, original);
    }
    checkSave({ object: request.object, original, user, master }, policy);
  };
}

/** The app's validator, which may not let the master key skip the guard, nor have what it refuses logged. */
function guarded(validator: Validator): Validator {
  if (typeof validator === 'function') {
    return async (request) => {
      try {
        await validator(request);
      } catch (error) {
        hideFromLog(request.object, request.original);
        throw error;
      }
    };
  }
  if (!validator) return validator;
  const { skipWithMasterKey, ...rest } = validator;
  return rest;
}

function skipsMasterKey(validator: Validator): boolean {
  return typeof validator === 'object' && validator.skipWithMasterKey === true;
}

type ParseClass = string | { className?: string; name: string };

/** The class that Parse Server registers a trigger for: its `triggers.getClassName`. */
function classNameOf(parseClass: ParseClass): string {
  return typeof parseClass === 'string' ? parseClass : (parseClass.className ?? parseClass.name);
}
