import { basename } from 'node:path';
import { MongoClient } from 'mongodb';
import pgPromise from 'pg-promise';

const pgp = pgPromise({ noWarnings: true });

/**
 * Where a server of the tests keeps its data: on the server that `TEST_DATABASE_URI` names, as `npm run test:engines` has it,
 * or on PGlite.
 *
 * @param folder the server's own; the same folder has the same database
 * @returns the environment for `openDatabase`
 */
export async function databaseFor(folder: string): Promise<Record<string, string>> {
  const { TEST_DATABASE_URI, TEST_DATABASE_PREFIX } = process.env;
  if (!TEST_DATABASE_URI) return { DATABASE: 'postgres' };
  const name = `${TEST_DATABASE_PREFIX}${basename(folder).toLowerCase()}`;
  if (isPostgres(TEST_DATABASE_URI)) {
    await onPostgres(TEST_DATABASE_URI, async (server) => {
      const exists = await server.oneOrNone('SELECT FROM pg_database WHERE datname = $1', name);
      if (!exists) await server.none('CREATE DATABASE $1:name', name);
    });
  }
  const [, server, options] = /^([^/]+\/\/[^/?]+)(?:\/[^?]*)?(.*)$/s.exec(TEST_DATABASE_URI) ?? [];
  return { DATABASE_URI: `${server}/${name}${options}` };
}

/** Drops the databases of a server whose names begin with a prefix. */
export async function dropDatabases(uri: string, prefix: string): Promise<void> {
  if (isPostgres(uri)) {
    await onPostgres(uri, async (server) => {
      const mine = await server.any('SELECT datname FROM pg_database WHERE starts_with(datname, $1)', prefix);
      for (const { datname } of mine) await server.none('DROP DATABASE $1:name WITH (FORCE)', datname);
    });
    return;
  }
  const client = await MongoClient.connect(uri);
  try {
    const { databases } = await client.db().admin().listDatabases({ nameOnly: true });
    for (const { name } of databases) if (name.startsWith(prefix)) await client.db(name).dropDatabase();
  } finally {
    await client.close();
  }
}

const isPostgres = (uri: string) => uri.startsWith('postgres');

async function onPostgres(
  uri: string,
  run: (server: pgPromise.IDatabase<object>) => Promise<void>,
): Promise<void> {
  const server = pgp(uri);
  // A connection that is still closing when the server is stopped fails, and nothing else depends on it.
  server.$pool.on('error', () => {});
  try {
    await run(server);
  } finally {
    await server.$pool.end();
  }
}
