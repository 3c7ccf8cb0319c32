import { mkdirSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { type Db, MongoClient, type MongoServerError } from 'mongodb';
import { DryMongoBinary, MongoBinary, MongoInstance } from 'mongodb-memory-server-core';
import { MongoBinaryDownloadUrl } from 'mongodb-memory-server-core/lib/util/MongoBinaryDownloadUrl';
import { MongoInstanceEvents } from 'mongodb-memory-server-core/lib/util/MongoInstance';
import { ResolveConfigVariables, setDefaultValue } from 'mongodb-memory-server-core/lib/util/resolveConfig';
import { UserError } from '../../command-line/user-error';
import { programOnPath } from '../../engines/program-on-path';
import type { Database } from '../database';
import { freePort } from './free-port';

const VERSION = '8.2.6';
// An offline machine must not wait: it is on PGlite within 3 seconds.
const REACHABLE_WITHIN_MS = 2000;
// A mongod whose parent was killed ends within seconds, but for a loaded machine.
const FOLDER_FREE_WITHIN_MS = 30_000;
// A mongod asks for up to 30 seconds whether the member at its old port is itself, where something listens and keeps silent.
const PRIMARY_WITHIN_MS = 60_000;
const SET = 'local';

/**
 * The `mongod` on the PATH, else one that has been downloaded, else one that can be.
 *
 * @returns its path, or undefined where there is none
 */
export async function findMongod(
  environment: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<string | undefined> {
  const atHand =
    programOnPath('mongod', environment.PATH) ?? (await DryMongoBinary.locateBinary({ version: VERSION }));
  if (atHand) return atHand;
  if (!(await canDownload())) return undefined;
  say(`Downloading MongoDB ${VERSION}, once …`);
  return MongoBinary.getPath({ version: VERSION }).catch(() => undefined);
}

async function canDownload(): Promise<boolean> {
  try {
    const url = await new MongoBinaryDownloadUrl({
      version: VERSION,
      platform: process.platform,
      arch: process.arch,
    }).getDownloadUrl();
    const answer = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(REACHABLE_WITHIN_MS) });
    return answer.ok;
  } catch {
    return false;
  }
}

/** Starts a replica set of one, as Back4App's MongoDB is a replica set: a single `mongod` has no transactions. */
export async function openMongoDb(mongod: string, folder: string): Promise<Database> {
  mkdirSync(folder, { recursive: true });
  // Whichever is on the PATH is used, and a warning about its version would not change that.
  setDefaultValue(ResolveConfigVariables.SYSTEM_BINARY_VERSION_CHECK, 'false');
  const server = await startMongod(mongod, folder, Date.now() + FOLDER_FREE_WITHIN_MS);
  const host = `127.0.0.1:${server.instanceOpts.port}`;
  try {
    await becomePrimary(host);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    uri: `mongodb://${host}/parse?directConnection=true`,
    options: {},
    name: 'MongoDB',
    close: async () => {
      await server.stop();
    },
  };
}

async function startMongod(mongod: string, folder: string, deadline: number): Promise<MongoInstance> {
  const instance = { dbPath: folder, port: await freePort(), ip: '127.0.0.1', replSet: SET };
  // Ctrl-C goes to a whole group of processes, and we stop it ourselves.
  const spawn = { detached: true, windowsHide: true };
  const server = new Mongod({ binary: { systemBinary: mongod }, instance, spawn });
  let printed = '';
  server.on(MongoInstanceEvents.instanceSTDOUT, (lines: string) => {
    printed += lines;
  });
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.stop();
    // The one before it was killed with its parent, and is about to end.
    if (printed.includes('DBPathInUse') && Date.now() < deadline) {
      await wait(200);
      return startMongod(mongod, folder, deadline);
    }
    const [, reason = (error as Error).message] = /"error":"(.+?)"/.exec(printed) ?? [];
    throw new UserError(`MongoDB does not start: ${reason}`);
  }
}

/** Without its reader of errors, which throws where it gets two lines of the log at once. That it has ended is enough. */
class Mongod extends MongoInstance {
  override checkErrorInLine(): void {}
}

async function becomePrimary(host: string): Promise<void> {
  const client = await MongoClient.connect(`mongodb://${host}/?directConnection=true`);
  const deadline = Date.now() + PRIMARY_WITHIN_MS;
  let reason = 'it does not become primary.';
  try {
    for (; Date.now() < deadline; await wait(50)) {
      try {
        if (await isPrimary(client.db('admin'), host)) return;
      } catch (error) {
        // While it reads its configuration it refuses, or hangs up.
        reason = (error as Error).message;
      }
    }
  } finally {
    await client.close();
  }
  throw new UserError(`MongoDB does not start: ${reason}`);
}

/** Asks, and where it is none does what makes it one: a set, or a set that is told on which port it is now. */
async function isPrimary(admin: Db, host: string): Promise<boolean> {
  if ((await admin.command({ hello: 1 })).isWritablePrimary) return true;
  try {
    const { config } = await admin.command({ replSetGetConfig: 1 });
    const [member] = config.members;
    if (member.host === host) return false;
    const moved = { ...config, version: config.version + 1, members: [{ ...member, host }] };
    await admin.command({ replSetReconfig: moved, force: true });
  } catch (error) {
    if ((error as MongoServerError).codeName !== 'NotYetInitialized') throw error;
    await admin.command({ replSetInitiate: { _id: SET, members: [{ _id: 0, host }] } });
  }
  return false;
}
