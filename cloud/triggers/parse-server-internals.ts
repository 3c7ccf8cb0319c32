type BeforeSave = Parameters<typeof Parse.Cloud.beforeSave>;

/** Parse Server's `lib/triggers.js`: its registry of triggers, and the functions that run one. */
export interface TriggerRegistry {
  getTrigger(className: string, type: string, appId: string | undefined): BeforeSave[1] | undefined;
  getValidator(name: string, appId: string | undefined): BeforeSave[2];
  removeTrigger(type: string, className: string, appId: string | undefined): void;
  maybeRunTrigger(
    type: string,
    auth: unknown,
    object?: Parse.Object,
    original?: Parse.Object,
    ...rest: unknown[]
  ): Promise<unknown>;
  maybeRunFileTrigger(type: string, upload: { file: Parse.File }, ...rest: unknown[]): Promise<unknown>;
}

/** A create or an update, before Parse Server has looked at it. */
export interface Write {
  className: string;
  auth: { isMaster: boolean; user?: unknown };
  /** Which row is updated; undefined on create. */
  where?: { objectId?: unknown };
  /** The request's JSON. */
  body: Record<string, unknown>;
}

/** A handler of a Cloud Function, as the registry keeps it. */
type FunctionHandler = (...args: never[]) => unknown;

interface FunctionRegistry {
  getFunction(name: string, appId: string | undefined): FunctionHandler | undefined;
  addFunction(name: string, handler: FunctionHandler, validator: unknown, appId: string | undefined): void;
}

/** An ID; undefined for a call that is for no application. */
type Application = string | typeof OTHERS | undefined;
type Wrappable = ((...args: never[]) => unknown) & { [ACTS]?: Map<Application, Acts> };
interface Acts {
  load: symbol;
  acts: Act[];
}
/** Returns true to leave the call out. */
type Act = (...args: unknown[]) => unknown;

// What a wrapper runs first, by application; for the bundle of every load and version that shares the process.
const ACTS = Symbol.for('back4app-e2ee: acts by application');
/** In the place of an application: each for which no bundle was loaded. */
const OTHERS = Symbol.for('back4app-e2ee: applications without a bundle');
/** This load of the bundle. A second load for the same application replaces what the first has left. */
const LOAD = Symbol('load');

/**
 * Finds the trigger registry of the Parse Server that has loaded us. No public interface shows which triggers exist, or runs
 * before a validator that is an object. The five functions have had these parameters from version 5.6 to 9.10.
 * @returns undefined where the file is not found, or lacks one of the functions
 */
export function triggerRegistry(): TriggerRegistry | undefined {
  return internalModule<TriggerRegistry>('triggers', [
    'getTrigger',
    'getValidator',
    'removeTrigger',
    'maybeRunTrigger',
    'maybeRunFileTrigger',
  ]);
}

/** Calls `act` before each trigger of an object is run, ahead of the trigger's validator. */
export function beforeEachTrigger(
  registry: TriggerRegistry,
  act: (type: string, object?: Parse.Object, original?: Parse.Object, auth?: unknown) => void,
): void {
  type Run = Parameters<TriggerRegistry['maybeRunTrigger']>;
  callFirst(registry, 'maybeRunTrigger', ofConfig(4), (...[type, auth, object, original]: Run) =>
    act(type, object, original, auth),
  );
}

/** Calls `act` before each trigger of a file is run, ahead of the trigger's validator. */
export function beforeEachFileTrigger(
  registry: TriggerRegistry,
  act: (type: string, upload: { file: Parse.File }) => void,
): void {
  callFirst(registry, 'maybeRunFileTrigger', ofConfig(2), act);
}

/** Parse Server's `lib/rest.js`. */
const restModule = () => internalModule<Record<'create' | 'update', Wrappable>>('rest', ['create', 'update']);
type WriteTarget = [config: { applicationId: string }, auth: Write['auth'], className: string];

/**
 * Calls `check` before each create and update of this application, by whatever way it came (REST, batch, GraphQL, Cloud
 * Code), and ahead of Parse Server's own checks. What `check` throws rejects the write.
 * @returns false where Parse Server's `lib/rest.js` is not found: then nothing is checked
 */
export function beforeEachWrite(check: (write: Write) => void): boolean {
  const rest = restModule();
  if (!rest) return false;
  callFirst(rest, 'create', ofConfig(0), (...[, auth, className, body]: [...WriteTarget, unknown]) =>
    check({ className, auth, body: Object(body) }),
  );
  callFirst(rest, 'update', ofConfig(0), (...[, auth, className, where, body]: [...WriteTarget, object, unknown]) =>
    check({ className, auth, where, body: Object(body) }),
  );
  return true;
}

/**
 * Tells of each application of this process for which no bundle was loaded: at once, of those that Parse Server knows
 * already, and at each write of theirs, with the class.
 */
export function tellOfOthers(onOther: (applicationId: string, className?: string) => void): void {
  const rest = restModule();
  if (!rest) return;
  const act = (...[{ applicationId }, , className]: WriteTarget) => onOther(applicationId, className);
  for (const name of ['create', 'update'] as const) callFirst(rest, name, ofConfig(0), act, OTHERS);
  const { AppCache } = internalModule<{ AppCache?: { cache?: object } }>('cache', []) ?? {};
  for (const applicationId of Object.keys(AppCache?.cache ?? {})) {
    if (!rest.create[ACTS]?.has(applicationId)) onOther(applicationId);
  }
}

/**
 * Leaves out each later definition, by the app or as a webhook, of a Cloud Function that the registry has for this application.
 * @param isKept whether a handler is one that stays
 * @param onLeftOut is told the function's name
 */
export function keepFunctions(isKept: (handler: FunctionHandler) => boolean, onLeftOut: (name: string) => void): void {
  const registry = internalModule<FunctionRegistry>('triggers', ['getFunction', 'addFunction']);
  if (!registry) return;
  type Add = Parameters<FunctionRegistry['addFunction']>;
  const appId = (...[, , , applicationId]: Add) => applicationId;
  callFirst(registry, 'addFunction', appId as never, (...[name, handler, , applicationId]: Add) => {
    const kept = registry.getFunction(name, applicationId);
    if (!kept || !isKept(kept) || isKept(handler)) return;
    onLeftOut(name);
    return true;
  });
}

/** Writes a line of level `error` into Parse Server's log. */
export function logError(line: string): void {
  const { loggerController = console } = Parse.Server ?? {};
  loggerController.error(line);
}

function internalModule<Module>(name: string, functions: (keyof Module & string)[]): Module | undefined {
  const path = new RegExp(`[\\\\/]parse-server[\\\\/]lib[\\\\/]${name}\\.js$`);
  const file = Object.keys(require.cache).find((loaded) => path.test(loaded));
  const module = (file && require.cache[file]?.exports) || {};
  return functions.every((one) => typeof module[one] === 'function') ? module : undefined;
}

/** The application of a call that has Parse Server's configuration as one of its arguments. */
const ofConfig =
  (index: number) =>
  (...args: unknown[]): string | undefined =>
    Object(args[index]).applicationId;

/**
 * Wraps one function of a module, once in a process: each application has what its own bundle acts first.
 * @param applicationOf the application that a call is for
 * @param application for whose calls `act` is
 */
function callFirst<Name extends string>(
  module: Record<Name, Wrappable>,
  name: Name,
  applicationOf: (...args: unknown[]) => string | undefined,
  act: (...args: never) => unknown,
  application: Application = Parse.applicationId,
): void {
  const original = module[name];
  const all = original[ACTS] ?? new Map<Application, Acts>();
  if (!original[ACTS]) {
    const wrapped = (...args: unknown[]) => {
      try {
        const { acts = [] } = all.get(applicationOf(...args)) ?? all.get(OTHERS) ?? {};
        for (const first of acts) if (first(...args) === true) return undefined;
      } catch (error) {
        return Promise.reject(error);
      }
      return original(...(args as never[]));
    };
    module[name] = Object.assign(wrapped, { [ACTS]: all });
  }
  const ours = all.get(application);
  if (ours?.load === LOAD) ours.acts.push(act as Act);
  else all.set(application, { load: LOAD, acts: [act as Act] });
}
