import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

/** Opens and closes the database in a process of its own, and tells what it has printed. */
function open(environment: Record<string, string>): Promise<Outcome> {
  const script = `
    require('./scripts/local/database').openDatabase(${JSON.stringify(join(folder, '.local'))}, process.env, console.log)
      .then(async (database) => { console.log(database.name, database.uri); await database.close(); process.exit(0); })
      .catch((error) => { console.log(error.message); process.exit(1); });
  `;
  return new Promise((done) => {
    execFile(
      process.execPath,
      ['--require', 'tsx/cjs', '-e', script],
      {
        env: { PATH: '/nowhere', HOME: folder, MONGOMS_DOWNLOAD_DIR: join(folder, 'cache'), ...environment },
      },
      (error, stdout, stderr) => done({ code: error ? 1 : 0, printed: stdout + stderr }),
    );
  });
}

const remembered = () => readFileSync(join(folder, '.local/database'), 'utf8');

/** A `mongod` as far as its supervisor can tell: it says that it waits for connections, and ends when told to. */
function fakeMongod(): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const file = join(bin, 'mongod');
  writeFileSync(
    file,
    `#!${process.execPath}
    const fs = require('node:fs');
    fs.writeFileSync(${JSON.stringify(join(folder, 'mongod-arguments'))}, process.argv.join(' '));
    if (process.argv.includes('--version')) console.log('db version v8.2.6');
    else {
      console.log('{"msg":"Waiting for connections"}');
      setInterval(() => {}, 1000);
      for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
    }`,
  );
  chmodSync(file, 0o755);
  return bin;
}

test('a mongod on the PATH is used, with its data kept in the folder, and remembered', async () => {
  const { code, printed } = await open({ PATH: fakeMongod() });
  expect(printed).toMatch(/^MongoDB mongodb:\/\/127\.0\.0\.1:\d+\/parse/m);
  expect(code).toBe(0);
  expect(readFileSync(join(folder, 'mongod-arguments'), 'utf8')).toContain(join(folder, '.local/mongodb'));
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
  const silent = createServer();
  await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
  const mirror = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  expect((await open({ MONGOMS_DOWNLOAD_MIRROR: mirror })).printed).toMatch(/^PGlite/m);
  silent.close();
});

test('DATABASE=postgres forces PGlite, DATABASE=mongodb MongoDB, whatever is remembered', async () => {
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
