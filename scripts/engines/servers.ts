import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MongoClient } from 'mongodb';
import { freePort } from '../local/database/free-port';
import { ServerProgram } from './program';

const SET = 'tests';

/** Starts MongoDB as a replica set of one. */
export async function startMongoDb(mongod: string): Promise<ServerProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-mongodb-'));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const args = ['--dbpath', folder, '--bind_ip', '127.0.0.1', '--port', `${port}`, '--replSet', SET];
  const server = new ServerProgram(`mongodb://${host}/?replicaSet=${SET}`, mongod, args, folder);
  await server.start();
  const client = await MongoClient.connect(`mongodb://${host}/?directConnection=true`);
  await client.db('admin').command({ replSetInitiate: { _id: SET, members: [{ _id: 0, host }] } });
  await client.close();
  // Waits for the primary.
  await (await MongoClient.connect(server.uri)).close();
  return server;
}

/**
 * Starts PostgreSQL on a port of 127.0.0.1, as the user `postgres` if we are root, whom it refuses.
 *
 * @param postgres with `initdb` beside it
 */
export async function startPostgres(postgres: string): Promise<ServerProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-postgres-'));
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : undefined;
  if (user) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const initdb = join(dirname(postgres), 'initdb');
  const options = ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync'];
  execFileSync(initdb, options, { ...user, cwd: folder });
  const port = await freePort();
  const settings = [
    `port=${port}`,
    'unix_socket_directories=',
    'fsync=off',
    'max_connections=300', // Each Parse Server takes ten.
    'shared_preload_libraries=pg_stat_statements',
  ];
  const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
  const uri = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const server = new ServerProgram(uri, postgres, args, folder, user);
  await server.start();
  return server;
}

const idOf = (which: string) => Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }));

/** Starts a Redis that stores nothing. */
export async function startRedis(redisServer: string): Promise<ServerProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-redis-'));
  const port = await freePort();
  const args = ['--bind', '127.0.0.1', '--port', `${port}`, '--save', ''];
  const server = new ServerProgram(`redis://127.0.0.1:${port}`, redisServer, args, folder);
  await server.start();
  return server;
}
