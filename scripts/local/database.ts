import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../command-line/user-error';
import { findMongod, openMongoDb } from './database/mongodb';
import { openPGlite } from './database/pglite';
import { openServer } from './database/server';

export interface Database {
  /** For Parse Server's `databaseURI`. */
  uri: string;
  /** For its `databaseOptions`. */
  options: object;
  /** In words, for the table that `npm start` prints. */
  name: string;
  close(): Promise<void>;
}

type Kind = 'mongodb' | 'postgres';

/**
 * Opens the database of the local server (docs/local-server.md): `DATABASE_URI` if it is set; else the kind that
 * `DATABASE` forces; else the kind that holds this folder's data; else MongoDB where a `mongod` is at hand or can be
 * downloaded, and PGlite where not.
 *
 * @param folder where an embedded database keeps its data
 * @param environment `DATABASE_URI`, `DATABASE`, and the `MONGOMS_*` variables of mongodb-memory-server
 * @param say prints a line for the user
 * @throws UserError
 */
export async function openDatabase(
  folder: string,
  environment: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<Database> {
  if (environment.DATABASE_URI) return openServer(environment.DATABASE_URI);
  const memory = join(folder, 'database');
  const kind =
    kindOf(environment.DATABASE, 'DATABASE') ??
    (existsSync(memory) ? kindOf(readFileSync(memory, 'utf8').trim(), memory) : undefined);
  mkdirSync(folder, { recursive: true });

  const mongod = kind === 'postgres' ? undefined : await findMongod(environment, say);
  if (kind === 'mongodb' && !mongod) {
    throw new UserError(
      'MongoDB cannot run here: no mongod is on the PATH, and none can be downloaded. ' +
        'Install one, set DATABASE_URI, or start with DATABASE=postgres.',
    );
  }
  if (!kind && !mongod)
    say('No mongod is at hand and none can be downloaded: using PGlite (PostgreSQL) instead.');
  writeFileSync(memory, mongod ? 'mongodb' : 'postgres');
  return mongod ? openMongoDb(mongod, join(folder, 'mongodb')) : openPGlite(join(folder, 'postgres'));
}

function kindOf(value: string | undefined, source: string): Kind | undefined {
  if (!value) return undefined;
  if (value === 'mongodb' || value === 'postgres') return value;
  throw new UserError(`${source} must be mongodb or postgres.`);
}
