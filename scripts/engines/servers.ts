import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MongoMemoryReplSet } from 'mongodb-memory-server-core';
import { UserError } from '../command-line/user-error';
import { freePort } from '../local/database/free-port';

export interface EngineServer {
  uri: string;
  stop(): Promise<void>;
}

/** Starts MongoDB as a replica set of one. */
export async function startMongoDb(mongod: string): Promise<EngineServer> {
  const set = await MongoMemoryReplSet.create({
    binary: { systemBinary: mongod },
    replSet: { count: 1, storageEngine: 'wiredTiger' },
  });
  return {
    uri: set.getUri(),
    stop: async () => {
      await set.stop();
    },
  };
}

/**
 * Starts PostgreSQL on a port of 127.0.0.1, as the user `postgres` if we are root, whom it refuses.
 *
 * @param postgres with `initdb` beside it
 */
export async function startPostgres(postgres: string): Promise<EngineServer> {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-postgres-'));
  const options = { cwd: folder, ...(process.getuid?.() === 0 && { uid: idOf('-u'), gid: idOf('-g') }) };
  if (options.uid !== undefined) chownSync(folder, options.uid, options.gid as number);
  const data = join(folder, 'data');
  const initdb = join(dirname(postgres), 'initdb');
  execFileSync(initdb, ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync'], options);
  const port = await freePort();
  const settings = [
    `port=${port}`,
    'unix_socket_directories=',
    'fsync=off',
    'max_connections=300', // Each Parse Server takes ten.
    'shared_preload_libraries=pg_stat_statements',
  ];
  const server = spawn(postgres, ['-D', data, ...settings.flatMap((setting) => ['-c', setting])], {
    ...options,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise((done) => server.once('close', done));
  await ready(server);
  return {
    uri: `postgres://postgres@127.0.0.1:${port}/postgres`,
    stop: async () => {
      server.kill('SIGINT'); // waits for nobody's connections
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

const idOf = (which: string) => Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }));

/** Waits until it says that it takes connections. */
function ready(server: ChildProcess): Promise<void> {
  return new Promise((done, fail) => {
    let log = '';
    server.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('ready to accept connections')) done();
    });
    server.once('close', () => fail(new UserError(`PostgreSQL does not start:\n${log}`)));
  });
}
