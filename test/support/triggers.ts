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
  const config = () => ({ applicationId, logLevels, loggerController: logger });
  const authOf = (by: Caller) => ({
    isMaster: by.master === true,
    user: by.user,
    getUserRoles: async () => [],
  });
  /** @returns what the trigger leads to, or the error that the client would get */
  async function outcomeOf<Result>(run: Promise<Result>): Promise<Result | string> {
    try {
      return await Promise.race([run, neverSettled()]);
    } catch (error) {
      if (error instanceof ParseSdk.Error)
        return `${(error as Parse.Error).code} ${(error as Error).message}`;
      throw error;
    }
  }
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
      const run = triggers.maybeRunTrigger(type, authOf(by), object, row, config(), {});
      const outcome = await outcomeOf<{ object: unknown } | undefined>(run);
      return typeof outcome === 'string' ? outcome : outcome?.object;
    },
    /**
     * Runs `beforeSave` of a file as Parse Server does, and any other trigger of a file.
     *
     * @param how a stream has no `_data`
     * @returns the file that it would store, or the error that the client would get
     */
    async upload(
      file: Parse.File,
      { by = {}, stream }: { by?: Caller; stream?: boolean } = {},
      type = 'beforeSave',
    ): Promise<Parse.File | string> {
      const upload = { file, fileSize: 1, ...(stream && { stream }) };
      const outcome = await outcomeOf<unknown>(
        triggers.maybeRunFileTrigger(type, upload, config(), authOf(by)),
      );
      return typeof outcome === 'string' || outcome instanceof ParseSdk.File ? (outcome as string) : file;
    },
  };
}

/** What Parse Server has not settled when it has nothing more to do, it never will: what throws while it logs ends it. */
function neverSettled(): Promise<never> {
  return new Promise((_resolve, reject) => {
    setImmediate(() => reject(new Error('Parse Server would have ended.')));
  });
}
