import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { putEmptyPGlite } from '../../../scripts/engines/empty-pglite';

const NO_DOWNLOAD = { MONGOMS_DOWNLOAD_MIRROR: 'http://127.0.0.1:1' };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'e2ee-database-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  code: number;
  printed: string;
}

/** Runs code in a process of its own, in which `open()` opens the database, and tells what it has printed. */
function run(code: string, environment: Record<string, string>): Promise<Outcome> {
  const script = `
    const { openDatabase } = require('./scripts/local/database');
    const open = () => openDatabase(${JSON.stringify(join(folder, '.local'))}, process.env, console.log);
    (async () => { ${code} })()
      .then(() => process.exit(0))
      .catch((error) => { console.log(error.message); process.exit(1); });
  `;
  return new Promise((done) => {
    execFile(
      process.execPath,
      // For a few queries V8 would spend more on compiling PGlite well than it saves.
      ['--liftoff-only', '--require', 'tsx/cjs', '-e', script],
      {
        env: {
          PATH: '/nowhere',
          HOME: folder,
          TMPDIR: folder,
          MONGOMS_DOWNLOAD_DIR: join(folder, 'cache'),
          ...environment,
        },
      },
      (error, stdout, stderr) => done({ code: error ? 1 : 0, printed: stdout + stderr }),
    );
  });
}

const open = (environment: Record<string, string>) =>
  run('const { name, uri, close } = await open(); console.log(name, uri); await close();', environment);

/** PGlite would make an empty database itself, in many times the time. */
const prepare = () => putEmptyPGlite(join(folder, '.local/postgres'));

const remembered = () => readFileSync(join(folder, '.local/database'), 'utf8');

/** A `mongod` that says with which arguments it was started, and ends. */
function fakeMongod(): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const file = join(bin, 'mongod');
  writeFileSync(
    file,
    `#!${process.execPath}
    console.log(JSON.stringify({ attr: { error: process.argv.slice(2).join(' ') } }));
    process.exit(100);`,
  );
  chmodSync(file, 0o755);
  return bin;
}

test('a mongod on the PATH is used, with its data kept in the folder, and remembered', async () => {
  const { code, printed } = await open({ PATH: fakeMongod() });
  expect(printed).toMatch(/^MongoDB does not start: --port /);
  expect(printed).toContain(`--dbpath ${join(folder, '.local/mongodb')} --replSet `);
  expect(code).toBe(1);
  expect(remembered()).toBe('mongodb');
});

test('a download that is refused: PGlite, with one line that says so, and remembered without it', async () => {
  const first = await open(NO_DOWNLOAD);
  expect(first.printed.trim().split('\n')).toEqual([
    'No mongod is at hand and none can be downloaded: using PGlite (PostgreSQL) instead.',
    expect.stringMatching(/^PGlite \(PostgreSQL\) postgres:\/\//),
  ]);
  expect(remembered()).toBe('postgres');
  const second = await open({ ...NO_DOWNLOAD, PATH: fakeMongod() });
  expect(second.printed.trim()).toMatch(/^PGlite/);
});

test('a download server that never answers: PGlite', async () => {
  prepare();
  const silent = createServer();
  await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
  const mirror = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  expect((await open({ MONGOMS_DOWNLOAD_MIRROR: mirror })).printed).toMatch(/^PGlite/m);
  silent.close();
});

test('DATABASE=postgres forces PGlite, DATABASE=mongodb MongoDB, whatever is remembered', async () => {
  prepare();
  const PATH = fakeMongod();
  expect((await open({ PATH, DATABASE: 'postgres' })).printed.trim()).toMatch(/^PGlite/);
  expect((await open({ PATH, DATABASE: 'mongodb' })).printed.trim()).toMatch(/^MongoDB/);
  expect(remembered()).toBe('mongodb');
});

test('DATABASE=mongodb without a mongod says how to get on', async () => {
  const { code, printed } = await open({ ...NO_DOWNLOAD, DATABASE: 'mongodb' });
  expect(printed.trim()).toBe(
    'MongoDB cannot run here: no mongod is on the PATH, and none can be downloaded. ' +
      'Install one, set DATABASE_URI, or start with DATABASE=postgres.',
  );
  expect(code).toBe(1);
});

test('DATABASE_URI wins over all, once something listens there', async () => {
  const listening = createServer();
  await new Promise<void>((done) => listening.listen(0, '127.0.0.1', done));
  const DATABASE_URI = `mongodb://127.0.0.1:${(listening.address() as AddressInfo).port}/parse`;
  const { printed } = await open({ DATABASE_URI, DATABASE: 'postgres' });
  expect(printed.trim()).toBe(`DATABASE_URI (${DATABASE_URI.slice(10, -6)}) ${DATABASE_URI}`);
  listening.close();
});

describe('of DATABASE_URI no part of a password is shown', () => {
  // All hold "s3cr": raw or encoded, with what ends a host, a user or a URI around it.
  const UNREACHABLE = [
    ['mongodb://user:s3cr@127.0.0.1:1/parse', '127.0.0.1:1'],
    ['mongodb://user:%40s3cr%2F@127.0.0.1:1,127.0.0.1:2/parse', '127.0.0.1:1,127.0.0.1:2'],
    ['postgres://user:p@s3cr@127.0.0.1:1/parse', '127.0.0.1:1'],
    ['postgres://user:p,s3cr:@[::1]:1/parse?password=s3cr', '[::1]:1'],
    ['postgres://user@127.0.0.1:1', '127.0.0.1:1'],
  ] as const;
  const NOT_ENCODED = [
    'postgres://user:p/s3cr@127.0.0.1:1/parse',
    'postgres://user:1/s3cr@127.0.0.1:1/parse',
    'postgres://user:p@s3cr/p@127.0.0.1:1/parse',
    'postgres://user:p@1.s3cr:1?p@127.0.0.1:1/parse',
    'postgres://127.0.0.1:1/parse?password=p@s3cr/',
    'mongodb://user:p?s3cr@127.0.0.1:1/parse',
    'mongodb://user:p#s3cr@127.0.0.1:1/parse',
    'mongodb+srv://user:p@s3cr/p@cluster.invalid/parse',
    'mongodb://user:s3cr@/parse',
    'mongodb://user:s3cr',
  ];
  let printed: Map<string, string | undefined>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'e2ee-database-'));
    const uris = [...UNREACHABLE.map(([uri]) => uri), ...NOT_ENCODED];
    const outcome = await run(
      `for (const uri of ${JSON.stringify(uris)}) {
        process.env.DATABASE_URI = uri;
        await open().then(() => console.log('opened'), (error) => console.log(error.message));
      }`,
      {},
    );
    rmSync(folder, { recursive: true });
    const lines = outcome.printed.trimEnd().split('\n');
    expect(lines).toHaveLength(uris.length);
    printed = new Map(uris.map((uri, i) => [uri, lines[i]]));
  });

  test.each(UNREACHABLE)('in the error of %s', (uri, hosts) => {
    expect(printed.get(uri)).toBe(`The server of DATABASE_URI cannot be reached at ${hosts}: ECONNREFUSED.`);
  });

  test.each(NOT_ENCODED)('in the error of %s, which says what to do', (uri) => {
    expect(printed.get(uri)).not.toContain('s3cr');
    expect(printed.get(uri)).toMatch(/^(The server of )?DATABASE_URI .+ must be percent-encoded\.$/);
  });

  test('in the table, nor is any in the URI that Parse Server gets', async () => {
    const listening = createServer();
    await new Promise<void>((done) => listening.listen(0, '127.0.0.1', done));
    const { port } = listening.address() as AddressInfo;
    const opened = async (DATABASE_URI: string) =>
      JSON.parse((await run('console.log(JSON.stringify(await open()));', { DATABASE_URI })).printed);
    // A set whose first member is down is reached by the second.
    const hosts = `127.0.0.1:1,127.0.0.1:${port}`;
    expect(await opened(`mongodb://us%3Aer:p%40s3cr%2F@${hosts}/parse?replicaSet=set`)).toEqual({
      name: `DATABASE_URI (${hosts})`,
      uri: `mongodb://${hosts}/parse?replicaSet=set`,
      options: { auth: { username: 'us:er', password: 'p@s3cr/' } },
    });
    expect(await opened(`postgres://user:100%:s3cr@127.0.0.1:${port}/parse`)).toEqual({
      name: `DATABASE_URI (127.0.0.1:${port})`,
      uri: `postgres://127.0.0.1:${port}/parse`,
      options: { user: 'user', password: '100%:s3cr' },
    });
    expect((await opened(`postgres://127.0.0.1:${port}/parse?password=p@s3cr`)).name).toBe('DATABASE_URI');
    listening.close();
  });
});

describe("PGlite's socket", () => {
  beforeEach(prepare);
  const DATABASE = 'postgres';
  const listen = `
    const database = await open();
    console.log(JSON.stringify({ ...database.options, servers: process.getActiveResourcesInfo() }));`;

  test('is for its owner alone; one that a killed process has left is taken over, and removed in the end', async () => {
    const killed = await run(`${listen} process.kill(process.pid, 'SIGKILL');`, { DATABASE });
    const { host, port, servers } = JSON.parse(killed.printed);
    expect(statSync(host).mode & 0o777).toBe(0o700);
    expect(statSync(join(host, `.s.PGSQL.${port}`)).isSocket()).toBe(true);
    expect(servers).not.toContain('TCPServerWrap');
    const next = await run(`${listen} await database.close();`, { DATABASE });
    expect(JSON.parse(next.printed).host).toBe(host);
    expect(existsSync(host)).toBe(false);
  });

  test('is not at the end of a path that is too long for one', async () => {
    const TMPDIR = join(folder, 'a'.repeat(100));
    mkdirSync(TMPDIR);
    const { printed } = await run(`${listen} await database.close();`, { DATABASE, TMPDIR });
    expect(JSON.parse(printed).host).toMatch(/^\/tmp\/e2ee-\w+$/);
  });

  test('Windows has none: a port of 127.0.0.1', async () => {
    const code = `
      Object.defineProperty(process, 'platform', { value: 'win32' });
      const { uri, options, close } = await open();
      const { hostname, port } = new URL(uri);
      require('node:net').connect(port, hostname).once('connect', async () => {
        console.log(options);
        process.exit();
      });
      await new Promise(() => {});`;
    expect((await run(code, { DATABASE })).printed).toBe('{}\n');
  });
});
