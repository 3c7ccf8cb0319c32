import { createRequire } from 'node:module';
import { objectsOfSave } from './cloud-code';

/** The file of a module of Parse Server: of the oldest one that is supported, in `npm run test:oldest`. */
export function parseServerFile(module: string): string {
  process.env.PARSE_SERVER_LOGS_FOLDER = 'null'; // it makes the folder when it is loaded
  return require.resolve(`${process.env.PARSE_SERVER_MODULE ?? 'parse-server'}/lib/${module}`);
}

interface Caller {
  user?: Parse.User;
  master?: boolean;
}

interface Save {
  written: object;
  /** The row that is updated; none on create. */
  stored?: { objectId: string };
  by?: Caller;
}

/**
 * Parse Server's own triggers in this process: it keeps them, checks their validators, runs them and logs. Cloud Code's
 * global is its SDK, with `Parse.Cloud.beforeSave` as its `Parse.Cloud.js` has it.
 */
export function startTriggers() {
  const file = parseServerFile('triggers');
  const triggers = require(file);
  const ParseSdk = createRequire(file)('parse/node');
  const original = { ...triggers };
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const logger = { info: log, warn: log, error: log, truncateLogMessage: (line: string) => line };
  require(parseServerFile('logger')).setLogger(logger);
  Object.assign(globalThis, { Parse: ParseSdk });
  ParseSdk.initialize('app');
  const applicationId = 'app';
  const logLevels = { triggerBeforeSuccess: 'info', triggerBeforeError: 'error', triggerAfter: 'info' };

  return {
    /** As the process was before the bundle was required. */
    reset() {
      triggers._unregisterAll();
      Object.assign(triggers, original);
      lines.length = 0;
      ParseSdk.Cloud.beforeSave = (parseClass: unknown, handler: unknown, validator: unknown) =>
        triggers.addTrigger(
          'beforeSave',
          triggers.getClassName(parseClass),
          handler,
          applicationId,
          validator,
        );
    },
    triggers: triggers as Record<string, ((...how: unknown[]) => unknown) | undefined>,
    /** What it has logged of saves since it was last asked. */
    logged: () => lines.splice(0).join('\n'),
    /**
     * Runs a trigger as Parse Server does, `beforeSave` unless another is named.
     *
     * @returns what it would store, or the error that the client would get
     */
    async save(className: string, { written, stored, by = {} }: Save, type = 'beforeSave'): Promise<unknown> {
      const { object, original: row } = objectsOfSave(className, written, stored);
      const auth = { isMaster: by.master === true, user: by.user, getUserRoles: async () => [] };
      const config = { applicationId, logLevels, loggerController: logger };
      try {
        const run = triggers.maybeRunTrigger(type, auth, object, row, config, {});
        return (await Promise.race([run, neverSettled()]))?.object;
      } catch (error) {
        if (error instanceof ParseSdk.Error)
          return `${(error as Parse.Error).code} ${(error as Error).message}`;
        throw error;
      }
    },
  };
}

/** What Parse Server has not settled when it has nothing more to do, it never will: what throws while it logs ends it. */
function neverSettled(): Promise<never> {
  return new Promise((_resolve, reject) => {
    setImmediate(() => reject(new Error('Parse Server would have ended.')));
  });
}
