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

type Wrappable = (...args: never[]) => Promise<unknown>;
type Act = (...args: unknown[]) => void;

// What a wrapper runs first, by application ID; for the bundle of every load and version that shares the process.
const ACTS = Symbol.for('back4app-e2ee: acts by application');
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
  act: (type: string, object?: Parse.Object, original?: Parse.Object) => void,
): void {
  type Run = Parameters<TriggerRegistry['maybeRunTrigger']>;
  callFirst(registry, 'maybeRunTrigger', 4, (...[type, , object, original]: Run) => act(type, object, original));
}

/** Calls `act` before each trigger of a file is run, ahead of the trigger's validator. */
export function beforeEachFileTrigger(
  registry: TriggerRegistry,
  act: (type: string, upload: { file: Parse.File }) => void,
): void {
  callFirst(registry, 'maybeRunFileTrigger', 2, act);
}

/**
 * Calls `check` before each create and update of this application, by whatever way it came (REST, batch, GraphQL, Cloud
 * Code), and ahead of Parse Server's own checks. What `check` throws rejects the write.
 * @returns false where Parse Server's `lib/rest.js` is not found: then nothing is checked
 */
export function beforeEachWrite(check: (write: Write) => void): boolean {
  const rest = internalModule<Record<'create' | 'update', Wrappable>>('rest', ['create', 'update']);
  if (!rest) return false;
  type Target = [config: unknown, auth: Write['auth'], className: string];
  callFirst(rest, 'create', 0, (...[, auth, className, body]: [...Target, unknown]) =>
    check({ className, auth, body: Object(body) }),
  );
  callFirst(rest, 'update', 0, (...[, auth, className, where, body]: [...Target, object, unknown]) =>
    check({ className, auth, where, body: Object(body) }),
  );
  return true;
}

function internalModule<Module>(name: string, functions: (keyof Module & string)[]): Module | undefined {
  const path = new RegExp(`[\\\\/]parse-server[\\\\/]lib[\\\\/]${name}\\.js$`);
  const file = Object.keys(require.cache).find((loaded) => path.test(loaded));
  const module = (file && require.cache[file]?.exports) || {};
  return functions.every((one) => typeof module[one] === 'function') ? module : undefined;
}

/**
 * Wraps one function of a module, once a process.
 * @param configAt which argument is Parse Server's configuration, which names the application
 */
function callFirst<Name extends string>(
  module: Record<Name, Wrappable>,
  name: Name,
  configAt: number,
  act: (...args: never) => void,
): void {
  type Acts = Map<string | undefined, { load: symbol; acts: Act[] }>;
  const original: Wrappable & { [ACTS]?: Acts } = module[name];
  const all: Acts = original[ACTS] ?? new Map();
  if (!original[ACTS]) {
    const wrapped = (...args: unknown[]) => {
      const { applicationId } = Object(args[configAt]);
      try {
        for (const first of all.get(applicationId)?.acts ?? []) first(...args);
      } catch (error) {
        return Promise.reject(error);
      }
      return original(...(args as never[]));
    };
    module[name] = Object.assign(wrapped, { [ACTS]: all });
  }
  const ours = all.get(Parse.applicationId);
  if (ours?.load === LOAD) ours.acts.push(act as Act);
  else all.set(Parse.applicationId, { load: LOAD, acts: [act as Act] });
}
