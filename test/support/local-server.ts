import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { databaseFor } from '../../scripts/engines/databases';
import { putEmptyPGlite } from '../../scripts/engines/empty-pglite';
import { projectRoot } from '../../scripts/project/bundle';
import { onPGlite } from './engine';

export interface LocalServer {
  /** `http://127.0.0.1:port` */
  url: string;
  printed(): string;
  /** Ctrl-C, which goes to its children too. Resolves to the exit code. */
  interrupt(): Promise<number | null>;
  kill(): Promise<unknown>;
}

export interface Ending {
  code: number | null;
  printed: string;
}

interface StartOptions {
  /** Where `.local/` and `.env` are: the working directory. */
  folder: string;
  /** A copy of this project to start. */
  project?: string;
  /** The package's program to start instead. */
  program?: string;
  args?: string[];
  environment?: Record<string, string>;
}

/** Puts an empty database into the folder of a server, which would else make one, in many times the time. */
export function prepareDatabase(folder: string): void {
  if (onPGlite) putEmptyPGlite(join(folder, '.local/postgres'));
}

function spawnStart({
  folder,
  project = projectRoot,
  program,
  args = [],
  environment = {},
}: StartOptions): [ChildProcess, () => string] {
  const tsx = ['--import', pathToFileURL(require.resolve('tsx')).href, join(project, 'scripts/start.ts')];
  const child = spawn(
    process.execPath,
    // For a test's few queries V8 would spend more on compiling PGlite well than it saves.
    ['--liftoff-only', ...(program ? [program, 'start'] : tsx), ...args],
    {
      cwd: folder,
      // What a killed server leaves goes with the folder.
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        TMPDIR: folder,
        PORT: '0',
        DATABASE: 'postgres',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true, // a group of its own, as on a terminal
    },
  );
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      printed += chunk;
    });
  }
  return [child, () => printed];
}

const ending = (child: ChildProcess) => new Promise<number | null>((done) => child.once('close', done));

/** Runs `npm start` in a folder, on the engine that is tested unless its environment names a database, and waits until it is up. */
export async function startLocalServer(options: StartOptions): Promise<LocalServer> {
  const { DATABASE, DATABASE_URI } = options.environment ?? {};
  const database =
    DATABASE === undefined && DATABASE_URI === undefined && (await databaseFor(options.folder));
  const environment = { ...options.environment, ...database };
  const [child, printed] = spawnStart({ ...options, environment });
  const ended = ending(child);
  const { url } = await new Promise<{ url: string }>((done, fail) => {
    child.once('message', (message) => done(message as { url: string }));
    ended.then((code) => fail(new Error(`npm start ended with ${code}:\n${printed()}`)));
  });
  return {
    url,
    printed,
    interrupt: () => {
      process.kill(-(child.pid as number), 'SIGINT');
      return ended;
    },
    kill: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}

/** Runs `npm start` where it cannot start, and tells how it ended. */
export async function failToStart(options: StartOptions): Promise<Ending> {
  const [child, printed] = spawnStart(options);
  const code = await ending(child);
  return { code, printed: printed() };
}
