import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { UserError } from '../../command-line/user-error';
import type { Database } from '../database';
import { freePort } from './free-port';

// A batch with `transaction: true` deadlocks on PGlite, whose connections share one session. This ends the wait.
const QUERY_TIMEOUT_MS = 15_000;
// Any, on a socket of its own.
const SOCKET_PORT = 5432;
// The path of a socket may have 103 bytes on macOS, 107 on Linux; what is longer is cut without a word.
const MAX_SOCKET_FOLDER = 103 - `/.s.PGSQL.${SOCKET_PORT}`.length;

/**
 * PGlite lets in whoever connects, as superuser. So it listens on a Unix socket in a folder that only its owner may enter;
 * Windows, where there is none, has a port of 127.0.0.1 instead.
 */
export async function openPGlite(folder: string): Promise<Database> {
  const db = await PGlite.create(folder);
  const socket = process.platform === 'win32' ? undefined : makeSocketFolder(folder);
  const port = socket ? SOCKET_PORT : await freePort();
  const server = new PGLiteSocketServer({
    db,
    ...(socket ? { path: join(socket, `.s.PGSQL.${port}`) } : { port }),
    // By default it takes one connection; Parse Server's pool has ten.
    maxConnections: 20,
  });
  await server.start();
  return {
    // A URI cannot name a socket.
    uri: `postgres://postgres:postgres@127.0.0.1:${port}/postgres?query_timeout=${QUERY_TIMEOUT_MS}`,
    options: socket ? { host: socket, port } : {},
    name: 'PGlite (PostgreSQL)',
    close: async () => {
      await server.stop();
      await db.close();
      if (socket) rmSync(socket, { recursive: true });
    },
  };
}

/**
 * Makes an empty folder for the socket of a database. The name comes from where the data is, so that the next start finds,
 * and removes, what a killed process has left.
 */
function makeSocketFolder(data: string): string {
  const name = `e2ee-${createHash('sha256').update(realpathSync(data)).digest('hex').slice(0, 16)}`;
  const usual = join(tmpdir(), name);
  const folder = Buffer.byteLength(usual) > MAX_SOCKET_FOLDER ? join('/tmp', name) : usual;
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { mode: 0o700 }); // fails where somebody else has made it meanwhile
  } catch (error) {
    throw new UserError(`The socket of the database cannot be made: ${(error as Error).message}.`);
  }
  return folder;
}
