import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { databaseFor } from '../engines/databases';
import { putEmptyPGlite } from '../engines/empty-pglite';
import { bundle, compile, projectRoot } from '../project/bundle';
import { readPolicy } from '../project/policy';
import type { Row, StoredRows } from './stored-rows';

/** Where Parse Server logs an error: the terminal, a file for all, and a file for errors. */
const LOGS = 3;

interface BareParseServerOptions {
  /** In place of the project's back4app.json. */
  policy?: object;
  /** Cloud Code of an app that requires the bundle as `./e2ee`. Default: the bundle alone. */
  cloudCode?: string;
  /** Of the server's process. `null` unsets a variable. */
  environment?: Record<string, string | null>;
  /** More options of Parse Server, on top of its defaults. With a `liveQuery.redisURL` that Redis has the cache too. */
  parseOptions?: object;
  /** The environment for `openDatabase`. Default: a database of its own. */
  database?: Record<string, string>;
}

export interface ChildSettings {
  folder: string;
  /** 0 takes any. */
  port: number;
  /** The environment for `openDatabase`. */
  database: Record<string, string>;
  parseServerModule: string;
  parseOptions: Record<string, unknown> & { liveQuery?: { redisURL?: string } };
}

export interface BareParseServer {
  /** Of the REST API. */
  url: string;
  graphQLUrl: string;
  appId: string;
  masterKey: string;
  /** All that the server has printed or written to its log files until now. */
  logged(): Promise<string>;
  /** Every row of every class, and every file with its name, as they are stored. */
  stored(): Promise<string>;
  /** What the database holds, past Parse Server. */
  rows: Omit<StoredRows, 'dump' | 'deleteFiles'>;
  /** Deletes every file, past Parse Server. */
  deleteFiles(): Promise<void>;
  /** Runs SQL past Parse Server, on PostgreSQL: for what takes too long row by row. */
  sql(sql: string): Promise<Row[]>;
  setEnvironment(environment: Record<string, string | null>): Promise<void>;
  /** What the server's process has used of the processor until now, the kernel's work for it included. */
  cpuMilliseconds(): Promise<number>;
  /** Has it forget all that it caches of sessions and users, as it does by itself some seconds after. */
  emptyCache(): Promise<void>;
  /** As `kill -9` does. */
  kill(): Promise<void>;
  /** At the same URL, over the same database and logs. */
  startAgain(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Boots a Parse Server with the bundle, on PGlite unless `npm run test:engines` says otherwise, in a process of its own, for tests and the benchmark. Unlike `npm start`'s
 * it has Parse Server's default options, log levels among them.
 */
export async function startBareParseServer(options: BareParseServerOptions = {}): Promise<BareParseServer> {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-test-'));
  const policyFile = join(folder, 'back4app.json');
  if (options.policy) writeFileSync(policyFile, JSON.stringify(options.policy));
  await bundle({
    outfile: join(folder, 'e2ee.js'),
    ...(options.policy && { policy: readPolicy(policyFile) }),
  });
  writeFileSync(join(folder, 'main.js'), options.cloudCode ?? "require('./e2ee');");

  const program = join(folder, 'server.js');
  await compile('scripts/local/bare-parse-server-process.ts', program, {
    packages: 'external',
    // Its packages are the project's, though it is outside.
    banner: { js: `require = require('node:module').createRequire(${JSON.stringify(`${projectRoot}/`)});` },
  });
  const database = options.database ?? (await databaseFor(folder));
  const nodeOptions: string[] = [];
  if (!options.database && database.DATABASE === 'postgres') {
    putEmptyPGlite(join(folder, 'data/postgres'));
    // For a test's few queries V8 would spend more on compiling PGlite well than it saves.
    nodeOptions.push('--liftoff-only');
  }

  const appId = 'test-app';
  const masterKey = 'test-master-key';
  const settings: ChildSettings = {
    folder,
    port: 0,
    database,
    // `npm run test:oldest` runs these tests on the oldest Parse Server that the bundle supports.
    parseServerModule: process.env.PARSE_SERVER_MODULE ?? 'parse-server',
    parseOptions: {
      appId,
      masterKey,
      cloud: join(folder, 'main.js'),
      allowClientClassCreation: true,
      ...options.parseOptions,
    },
  };
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    // Nobody listens there: what a test deletes is not erased at the real one.
    VIRGIL_API_URL: 'http://127.0.0.1:1',
    // The database's socket goes with the folder, since the process is killed.
    TMPDIR: folder,
    // Else Parse Server makes a folder for logs here before it sees its options.
    PARSE_SERVER_LOGS_FOLDER: join(folder, 'logs'),
  };
  // Parse Server takes an environment that says so for its own tests', and keeps quiet in it.
  delete environment.NODE_ENV;
  delete environment.TESTING;
  for (const [name, value] of Object.entries(options.environment ?? {})) {
    if (value === null) delete environment[name];
    else environment[name] = value;
  }
  let printed = '';
  const written = () => {
    const logs = join(folder, 'logs');
    return (
      printed +
      readdirSync(logs)
        .map((file) => readFileSync(join(logs, file), 'utf8'))
        .join('')
    );
  };
  let child: ChildProcess;
  async function launch(): Promise<string> {
    child = fork(program, [JSON.stringify(settings)], {
      cwd: projectRoot,
      execArgv: nodeOptions,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        printed += chunk;
      });
    }
    return new Promise((done, fail) => {
      child.once('message', ({ url }: { url: string }) => done(url));
      child.once('exit', (code) => fail(new Error(`Parse Server exited with ${code}:\n${printed}`)));
    });
  }
  const url = await launch();
  settings.port = Number(new URL(url).port);
  const ask = asker(() => child);
  const rows = new Proxy({} as StoredRows, {
    get:
      (_rows, method) =>
      (...args: unknown[]) =>
        ask({ call: { method, args } }),
  });

  // On MongoDB they are rows.
  const files = join(folder, 'files');
  const filesBesideRows = () =>
    existsSync(files) ? readdirSync(files).map((name) => join(files, name)) : [];

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  return {
    url: `${url}/parse`,
    graphQLUrl: `${url}/graphql`,
    appId,
    masterKey,
    async logged() {
      // The log is written behind the answer: once a last line is in it, so is all that came before.
      const line = `line ${randomUUID()}`;
      await ask({ line });
      while (written().split(line).length - 1 < LOGS) {
        await new Promise((done) => setTimeout(done, 10));
      }
      return written();
    },
    async stored() {
      const contents = filesBesideRows().map((file) => `${basename(file)}: ${readFileSync(file, 'latin1')}`);
      return [await rows.dump(), ...contents].join('\n');
    },
    rows,
    async deleteFiles() {
      for (const file of filesBesideRows()) rmSync(file);
      await rows.deleteFiles();
    },
    sql: (query) => ask({ sql: query }) as Promise<Row[]>,
    async setEnvironment(changes) {
      await ask({ environment: changes });
    },
    cpuMilliseconds: () => ask({ cpu: true }) as Promise<number>,
    async emptyCache() {
      await ask({ emptyCache: true });
    },
    kill,
    async startAgain() {
      await launch();
    },
    async stop() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function asker(childNow: () => ChildProcess): (question: object) => Promise<unknown> {
  let lastId = 0;
  return (question) =>
    new Promise((done, fail) => {
      const child = childNow();
      const id = ++lastId;
      const listen = (message: unknown) => {
        const answer = message as { id: number; result?: unknown; error?: string };
        if (answer.id !== id) return;
        child.off('message', listen);
        if (answer.error === undefined) done(answer.result);
        else fail(new Error(answer.error));
      };
      child.on('message', listen);
      child.send({ id, ...question });
    });
}
