import { createHash } from 'node:crypto';
import { resolveSrv } from 'node:dns/promises';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { DryMongoBinary, MongoBinary, MongoMemoryServer } from 'mongodb-memory-server-core';
import { MongoBinaryDownloadUrl } from 'mongodb-memory-server-core/lib/util/MongoBinaryDownloadUrl';
import { UserError } from '../user-error';

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

const MONGODB_VERSION = '8.2.6';
// An offline machine must not wait: it is on PGlite within 3 seconds.
const REACHABLE_WITHIN_MS = 2000;
// A batch with `transaction: true` deadlocks on PGlite, whose connections share one session. This ends the wait.
const PGLITE_QUERY_TIMEOUT_MS = 15_000;

const POSTGRES_PORT = 5432;
// The path of a socket may have 103 bytes on macOS, 107 on Linux; what is longer is cut without a word.
const MAX_SOCKET_FOLDER = 103 - '/.s.PGSQL.5432'.length;

const HOST_AND_PORT = /^(?:\[([^[\]]+)\]|([^:[\]]+))(?::(\d+))?$/;
const ENCODE = 'In its user and password, characters such as "@", "/" and ":" must be percent-encoded.';

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

/** Checks that something listens, since a driver would try for half a minute and then say little. */
async function openServer(uri: string): Promise<Database> {
  const [, scheme, authority = '', rest = ''] =
    /^(mongodb(?:\+srv)?|postgres(?:ql)?):\/\/([^/?#]*)(.*)$/s.exec(uri) ?? [];
  if (!scheme) throw new UserError('DATABASE_URI must start with mongodb:// or postgres://.');
  const hosts = authority.slice(authority.lastIndexOf('@') + 1);
  const servers = hosts.split(',').map((server) => HOST_AND_PORT.exec(server) ?? []);
  if (!servers.every(([server]) => server)) throw new UserError(`DATABASE_URI names no server. ${ENCODE}`);
  // An "@" further on may end a password that is not encoded: what looks like the hosts is then a part of it.
  const isShown = !rest.includes('@');
  const usual = scheme === 'mongodb' ? 27017 : POSTGRES_PORT;
  const reached = servers.map(([, ipv6, name = '', port]) =>
    scheme === 'mongodb+srv'
      ? resolveSrv(`_mongodb._tcp.${name}`)
      : reach(ipv6 ?? name, Number(port ?? usual)),
  );
  await Promise.any<unknown>(reached).catch(({ errors: [{ code, message }] }: AggregateError) => {
    // The message of a system error repeats the host.
    const reason = code ?? message;
    throw new UserError(
      isShown
        ? `The server of DATABASE_URI cannot be reached at ${hosts}: ${reason}.`
        : `The server of DATABASE_URI cannot be reached: ${reason}. ${ENCODE}`,
    );
  });
  return {
    uri,
    options: {},
    name: isShown ? `DATABASE_URI (${hosts})` : 'DATABASE_URI',
    close: async () => {},
  };
}

function reach(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: REACHABLE_WITHIN_MS });
    socket.once('connect', () => resolve(void socket.destroy()));
    socket.once('timeout', () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
  });
}

async function findMongod(
  environment: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<string | undefined> {
  const onPath = (environment.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, process.platform === 'win32' ? 'mongod.exe' : 'mongod'))
    .find((file) => existsSync(file));
  const atHand = onPath ?? (await DryMongoBinary.locateBinary({ version: MONGODB_VERSION }));
  if (atHand) return atHand;
  if (!(await canDownload())) return undefined;
  say(`Downloading MongoDB ${MONGODB_VERSION}, once …`);
  return MongoBinary.getPath({ version: MONGODB_VERSION }).catch(() => undefined);
}

async function canDownload(): Promise<boolean> {
  try {
    const url = await new MongoBinaryDownloadUrl({
      version: MONGODB_VERSION,
      platform: process.platform,
      arch: process.arch,
    }).getDownloadUrl();
    const answer = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(REACHABLE_WITHIN_MS) });
    return answer.ok;
  } catch {
    return false;
  }
}

async function openMongoDb(mongod: string, folder: string): Promise<Database> {
  mkdirSync(folder, { recursive: true });
  const server = await MongoMemoryServer.create({
    binary: { systemBinary: mongod },
    instance: { dbPath: folder, dbName: 'parse', storageEngine: 'wiredTiger' },
  });
  return {
    uri: server.getUri('parse'),
    options: {},
    name: 'MongoDB',
    close: async () => {
      await server.stop({ doCleanup: false });
    },
  };
}

/**
 * PGlite lets in whoever connects, as superuser. So it listens on a Unix socket in a folder that only its owner may enter;
 * Windows, where there is none, has a port of 127.0.0.1 instead.
 */
async function openPGlite(folder: string): Promise<Database> {
  const db = await PGlite.create(folder);
  const socket = process.platform === 'win32' ? undefined : makeSocketFolder(folder);
  const port = socket ? POSTGRES_PORT : await freePort();
  const server = new PGLiteSocketServer({
    db,
    ...(socket ? { path: join(socket, `.s.PGSQL.${port}`) } : { port }),
    // By default it takes one connection; Parse Server's pool has ten.
    maxConnections: 20,
  });
  await server.start();
  return {
    // A URI cannot name a socket.
    uri: `postgres://postgres:postgres@127.0.0.1:${port}/postgres?query_timeout=${PGLITE_QUERY_TIMEOUT_MS}`,
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

/** A port that nothing listens on: PGLiteSocketServer does not tell which one it was given for port 0. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
