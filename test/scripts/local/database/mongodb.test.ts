import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { freePort } from '../../../../scripts/local/database/free-port';
import { failToStart, type LocalServer, startLocalServer } from '../../../support/local-server';
import { describeWithMongod } from '../../../support/mongod';
import { restClient } from '../../../support/rest';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'e2ee-mongodb-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Opens the folder's MongoDB in a process of its own, runs code on it, and tells what was printed. */
function open(code: string): Promise<string> {
  const script = `
    require('./scripts/local/database').openDatabase(${JSON.stringify(folder)}, { ...process.env, DATABASE: 'mongodb' }, console.log)
      .then(async (database) => {
        const client = await new (require('mongodb').MongoClient)(database.uri).connect();
        const rows = client.db().collection('rows');
        ${code}
        await client.close();
        await database.close();
      })
      .catch((error) => console.log(error))
      .finally(() => process.exit());`;
  return new Promise((done) => {
    execFile(process.execPath, ['--require', 'tsx/cjs', '-e', script], (_error, stdout, stderr) =>
      done((stdout + stderr).trim()),
    );
  });
}

/** A `mongod` by itself, on the folder's data. */
async function startSingle(...args: string[]) {
  const data = join(folder, 'mongodb');
  mkdirSync(data);
  const host = `127.0.0.1:${await freePort()}`;
  const mongod = spawn('mongod', ['--dbpath', data, '--port', host.slice(10), ...args], { stdio: 'ignore' });
  const ended = new Promise((done) => mongod.once('close', done));
  const client = await MongoClient.connect(`mongodb://${host}`);
  return {
    host,
    client,
    async stop(): Promise<void> {
      await client.close();
      mongod.kill();
      await ended;
    },
  };
}

const COUNT = 'console.log(await rows.countDocuments());';
const INSERT = 'await rows.insertOne({});';

describeWithMongod('the data of a MongoDB', () => {
  test('is there for the next start, on another port', async () => {
    expect(await open(`${INSERT} ${COUNT}`)).toBe('1');
    expect(await open(`${INSERT} ${COUNT}`)).toBe('2');
  });

  test('is waited for while the mongod of a killed start still has it', async () => {
    await open(`${INSERT} process.kill(process.pid, 'SIGKILL');`);
    const old = Number(readFileSync(join(folder, 'mongodb/mongod.lock'), 'utf8'));
    process.kill(old, 'SIGSTOP'); // so that it does not end too soon
    const next = open(COUNT);
    await new Promise((done) => setTimeout(done, 5000));
    process.kill(old, 'SIGCONT');
    expect(await next).toBe('1');
  });

  test('is there where something else listens on the port that it had', async () => {
    const uri = await open(`${INSERT} console.log(database.uri);`);
    const other = createServer();
    await new Promise<void>((done) => other.listen(Number(new URL(uri).port), '127.0.0.1', done));
    expect(await open(COUNT)).toBe('1');
    other.close();
  });

  test('of 0.1, which was no replica set, is there', async () => {
    const single = await startSingle();
    await single.client.db('parse').collection('rows').insertOne({});
    await single.stop();
    expect(await open(COUNT)).toBe('1');
  });

  test('that cannot be read is an error that says why', async () => {
    rmSync(join(folder, 'mongodb'), { recursive: true, force: true });
    mkdirSync(join(folder, 'mongodb/WiredTiger'), { recursive: true });
    expect(await open('')).toMatch(/^UserError: MongoDB does not start: .+/);
  });
});

describeWithMongod('npm start on MongoDB', () => {
  let server: LocalServer;
  beforeEach(async () => {
    server = await startLocalServer({ folder, environment: { DATABASE: 'mongodb' } });
  });
  afterEach(() => server.kill());

  test('prints the table alone, whichever mongod it is, and nothing at Ctrl-C', async () => {
    expect(server.printed().trimStart()).toMatch(/^See it work/);
    const before = server.printed();
    expect(await server.interrupt()).toBe(0);
    expect(server.printed()).toBe(before);
  });

  test('has transactions', async () => {
    const client = restClient({ url: `${server.url}/parse`, appId: 'e2ee-local', masterKey: '' });
    const user = await client.signUp();
    const create = (body: object) => ({ method: 'POST', path: '/parse/classes/ChatThread', body });
    const batch = (...requests: object[]) =>
      client.call('POST', '/batch', { transaction: true, requests }, user);
    const thread = { senderId: user.id };
    // One: of several that begin a transaction together Parse Server loses one at times.
    expect((await batch(create(thread))).status).toBe(200);
    expect((await batch(create(thread), create({ senderId: 'somebodyElse' }))).status).toBe(500);
    const { body } = await client.call('GET', '/classes/ChatThread', undefined, user);
    expect(body.results).toHaveLength(1);
  });
});

describeWithMongod('a MongoDB that wants a password', () => {
  test('gets the one of DATABASE_URI, whatever is in it; a wrong one is an error that says so', async () => {
    const { host, client, stop } = await startSingle('--auth');
    const pwd = 'p@s/s:w%o?r#d';
    await client.db('admin').command({ createUser: 'us:er', pwd, roles: ['root'] });
    const start = (password: string) => ({
      folder,
      environment: {
        DATABASE_URI: `mongodb://us%3Aer:${encodeURIComponent(password)}@${host}/parse?authSource=admin`,
      },
    });
    await (await startLocalServer(start(pwd))).kill();
    const { code, printed } = await failToStart(start('s3cr'));
    const error = `Parse Server cannot start on DATABASE_URI (${host}): Authentication failed.\n`;
    expect([code, printed]).toEqual([1, error]);
    await stop();
  });
});
