import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Jwt } from 'virgil-sdk';
import { WebSocket } from 'ws';
import { onPGlite } from '../support/engine';
import { envelopeMaker } from '../support/envelopes';
import { failToStart, type LocalServer, prepareDatabase, startLocalServer } from '../support/local-server';
import { makeProject } from '../support/project';
import { restClient } from '../support/rest';
import { tokensIn } from '../support/tokens-in';
import { loadVirgilCrypto } from '../support/virgil-crypto';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-start-'));
  folders.push(folder);
  return folder;
}

const SIGNED_IN = { requiresAuthentication: true };

const credentialsOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, '.local/credentials.json'), 'utf8')) as Record<string, string>;

const clientOf = ({ url }: LocalServer, folder: string) =>
  restClient({
    url: `${url}/parse`,
    appId: 'e2ee-local',
    masterKey: credentialsOf(folder).PARSE_MASTER_KEY as string,
  });

/** Of this machine in its network, where it is in one. */
const address = Object.values(networkInterfaces())
  .flat()
  .find((one) => one && !one.internal && one.family === 'IPv4')?.address;

test.each([undefined, '0.0.0.0', ...(address ? [address] : [])])(
  'its server asks the local Virgil Cloud, with HOST %s',
  async (HOST) => {
    const project = makeProject();
    const Message = { encrypted: ['body'], plain: [], recipients: 'acl', recipientsOutage: 'refuse' };
    project.write(
      'back4app.json',
      JSON.stringify({ virgil: { tokenTtlSeconds: 1200 }, classes: { Message } }),
    );
    const { folder } = project;
    prepareDatabase(folder);
    const server = await startLocalServer({ folder, project: folder, environment: HOST ? { HOST } : {} });
    const client = clientOf(server, folder);
    const user = await client.signUp();
    const row = { body: envelopeMaker(await loadVirgilCrypto())(), ACL: { [user.id]: { read: true } } };
    const { body } = await client.call('POST', '/classes/Message', row, user);
    await server.kill();
    project.remove();
    expect(body).toEqual({ code: 142, error: expect.stringMatching(/has no card/) });
  },
);

describe('npm start', () => {
  const folder = newFolder();
  let server: LocalServer;
  let user: { username: string; sessionToken: string };

  beforeAll(async () => {
    server = await startLocalServer({ folder });
  });
  afterAll(() => server?.kill());

  test('prints what runs where, and a curl that works as it stands', async () => {
    expect(server.printed().trimStart()).toMatch(/^See it work/);
    for (const path of ['/parse', '/graphql', '/virgil', '/health'])
      expect(server.printed()).toContain(server.url + path);
    const [, username, password, url] =
      /-d '\{"username":"(.+?)","password":"(.+?)"\}' (\S+)/.exec(server.printed()) ?? [];
    const response = await fetch(url as string, {
      method: 'POST',
      headers: { 'X-Parse-Application-Id': 'e2ee-local', 'X-Parse-Revocable-Session': '1' },
      body: JSON.stringify({ username, password }),
    });
    expect(await response.json()).toMatchObject({ sessionToken: expect.stringMatching(/^r:/) });
  });

  test('prints the lines with which another Parse Server works with this Virgil Cloud', () => {
    const [, lines = ''] =
      /: in its shell, before it starts\.\n((?: {2}export .*\n){2})/.exec(server.printed()) ?? [];
    const { stdout } = spawnSync('sh', ['-c', `${lines} env`], { encoding: 'utf8' });
    const { PARSE_MASTER_KEY: _key, ...virgil } = credentialsOf(folder);
    const set = stdout.split('\n').filter((line) => /^(VIRGIL|PARSE)_/.test(line));
    const expected = { ...virgil, VIRGIL_API_URL: `${server.url}/virgil` };
    expect(set.sort()).toEqual(
      Object.entries(expected)
        .map((pair) => pair.join('='))
        .sort(),
    );
    expect(server.printed()).not.toContain(virgil.VIRGIL_APP_KEY);
  });

  test('is healthy', async () => {
    const response = await fetch(`${server.url}/health`);
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }]);
  });

  test('makes an App Key for development, that only its owner may read', async () => {
    expect(statSync(join(folder, '.local/credentials.json')).mode & 0o777).toBe(0o600);
    const client = clientOf(server, folder);
    user = await client.signUp();
    const { token } = (await client.run('virgil-jwt', {}, user)).body.result;
    expect(new Jwt(token).appId()).toBe(credentialsOf(folder).VIRGIL_APP_ID);
  });

  test("has the policy's classes, guarded, and lets clients create no other", async () => {
    const client = clientOf(server, folder);
    const schemas = await client.call('GET', '/schemas', undefined, { master: true });
    const classes = schemas.body.results.map(({ className }: { className: string }) => className);
    expect(classes).toEqual(expect.arrayContaining(['Message', 'ChatThread']));
    expect(
      (await client.call('POST', '/classes/Message', { body: 'text', senderId: 'x' }, user)).body.code,
    ).toBe(142);
    expect((await client.call('POST', '/classes/Other', {}, user)).body.code).toBe(119);
  });

  test('the doctor finds no fault, without a run of schema', async () => {
    const project = makeProject();
    const { username } = await clientOf(server, folder).signUp();
    const { status, stdout } = await project.run(
      'doctor',
      ['--server', `${server.url}/parse`, '--app-id', 'e2ee-local'],
      {
        ...credentialsOf(folder),
        VIRGIL_API_URL: `${server.url}/virgil`,
        DOCTOR_USER: username,
        DOCTOR_PASSWORD: 'a password',
      },
    );
    project.remove();
    expect([status, stdout]).toEqual([0, expect.not.stringMatching(/^fault/m)]);
    expect(stdout).toMatch(/^ok +Message permissions /m);
  });

  const EVERY_PATH = [
    '/',
    '/health',
    '/parse/health',
    '/graphql',
    '/virgil/keyknox/v1',
    '/playground/messages',
  ];

  test('refuses a foreign Host header on every path', async () => {
    for (const path of EVERY_PATH) {
      expect((await answerTo(server.url + path, { Host: 'attacker.example' })).statusCode).toBe(403);
    }
    expect((await answerTo(`${server.url}/health`, { Host: 'localhost' })).statusCode).toBe(200);
  });

  test("refuses a foreign website's requests and their preflights on every path", async () => {
    for (const Origin of ['https://attacker.example', 'null']) {
      for (const path of EVERY_PATH) {
        for (const method of ['GET', 'POST', 'OPTIONS']) {
          const answer = await answerTo(
            server.url + path,
            {
              Origin,
              'Access-Control-Request-Method': 'PUT',
              'Access-Control-Request-Headers': 'content-type',
            },
            method,
          );
          expect([path, method, answer.statusCode]).toEqual([path, method, 403]);
          expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
        }
      }
    }
  });

  test('lets a web app on another port of this machine, and one that is packed as an app, use all of it', async () => {
    for (const Origin of ['http://localhost:5173', 'capacitor://localhost']) {
      const preflight = { Origin, 'Access-Control-Request-Method': 'POST' };
      for (const path of ['/parse/health', '/graphql', '/virgil/keyknox/v1']) {
        const { statusCode, headers } = await answerTo(server.url + path, preflight, 'OPTIONS');
        expect([path, (statusCode as number) < 300]).toEqual([path, true]);
        expect(headers).toMatchObject({ 'access-control-allow-origin': '*' });
      }
      expect((await answerTo(`${server.url}/parse/health`, { Origin })).statusCode).toBe(200);
    }
  });

  test('opens LiveQuery to localhost and native apps, and not to a foreign Host or website', async () => {
    const open = (headers: Record<string, string>) =>
      new Promise<boolean>((done) => {
        const socket = new WebSocket(`${server.url.replace('http', 'ws')}/parse`, { headers });
        socket.once('open', () => done(true)).once('error', () => done(false));
        socket.once('open', () => socket.close());
      });
    expect(await open({})).toBe(true);
    expect(await open({ Host: 'localhost' })).toBe(true);
    expect(await open({ Origin: 'http://localhost:5173' })).toBe(true);
    expect(await open({ Host: 'attacker.example' })).toBe(false);
    expect(await open({ Origin: 'https://attacker.example' })).toBe(false);
    expect(await open({ Origin: 'null' })).toBe(false);
  });

  test('answers who asks for HTTP/2 like anybody else: Java and curl --http2 do', async () => {
    const h2c = {
      Connection: 'Upgrade, HTTP2-Settings',
      Upgrade: 'h2c',
      'HTTP2-Settings': 'AAMAAABkAAQCAAAAAAIAAAAA',
    };
    const status = async (path: string, headers = {}) =>
      (await answerTo(server.url + path, { ...h2c, ...headers })).statusCode;
    expect(await status('/health')).toBe(200);
    expect(await status('/parse/health')).toBe(200);
    expect(await status('/virgil/keyknox/v1')).toBe(401);
    expect(await status('/health', { Host: 'attacker.example' })).toBe(403);
    expect(await status('/health', { Origin: 'null' })).toBe(403);
  });

  test('keeps its logs in .local/, without a token', async () => {
    const logs = join(folder, '.local/logs');
    const written = readdirSync(logs).map((file) => readFileSync(join(logs, file), 'utf8'));
    expect(written.length).toBeGreaterThan(0);
    expect(tokensIn(written.join('') + server.printed())).toEqual([]);
    expect(existsSync(join(folder, 'logs'))).toBe(false);
  });

  test('does not share its folder with a second one', async () => {
    const { code, printed } = await failToStart({ folder });
    expect(code).toBe(1);
    expect(printed.trim()).toMatch(/^\S+\.local is in use by process \d+: .+$/);
  });

  test('Ctrl-C does not wait for an open LiveQuery, and is no error, even where GraphQL was used', async () => {
    const headers = { 'Content-Type': 'application/json', 'X-Parse-Application-Id': 'e2ee-local' };
    const query = { method: 'POST', headers, body: '{ "query": "{ health }" }' };
    expect((await fetch(`${server.url}/graphql`, query)).status).toBe(200);
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/parse`);
    await new Promise((done) => socket.once('open', done));
    const closed = new Promise((done) => socket.once('close', done));
    expect(await server.interrupt()).toBe(0);
    await closed;
    server = await startLocalServer({ folder });
  });

  test('Ctrl-C stops it cleanly, and the next start finds users, keys and database again', async () => {
    const before = credentialsOf(folder);
    const beforehand = server.printed();
    expect(await server.interrupt()).toBe(0);
    expect(server.printed()).toBe(beforehand);
    server = await startLocalServer({ folder, environment: onPGlite ? { DATABASE: '' } : {} });
    expect(server.printed()).toContain(onPGlite ? 'PGlite' : 'DATABASE_URI');
    expect(server.printed()).not.toContain('No mongod is at hand'); // it remembers, and does not look again
    expect(credentialsOf(folder)).toEqual(before);
    const { body } = await clientOf(server, folder).run('virgil-jwt', {}, user);
    expect(body.result.token).toMatch(/^eyJ/);
  });

  test('-- --fresh begins anew', async () => {
    const before = credentialsOf(folder);
    await server.interrupt();
    server = await startLocalServer({ folder, args: ['--fresh'] });
    expect(credentialsOf(folder).VIRGIL_APP_ID).not.toBe(before.VIRGIL_APP_ID);
    // A database of the user's own is not ours to empty.
    const { body } = await clientOf(server, folder).run('virgil-jwt', {}, user);
    expect(body).toEqual(onPGlite ? expect.objectContaining({ code: 209 }) : { result: expect.anything() });
  });

  test('a folder that a killed process has left is taken over', async () => {
    await server.kill();
    server = await startLocalServer({ folder });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });
});

test('a start brings its classes in line with a policy that has changed, and leaves those of another database', async () => {
  const project = makeProject();
  const { folder } = project;
  const write = (plain: object) => {
    const classes = { Message: { encrypted: ['body'], plain } };
    project.write('back4app.json', JSON.stringify({ virgil: { tokenTtlSeconds: 1200 }, classes }));
  };
  const message = { fields: {}, classLevelPermissions: {} as Record<string, object> };
  const start = async () => {
    const server = await startLocalServer({ folder, project: folder });
    const client = clientOf(server, folder);
    const { body } = await client.call('GET', '/schemas/Message', undefined, { master: true });
    Object.assign(message, body);
    return { server, client };
  };
  prepareDatabase(folder);
  write({ size: 'String' });
  const { server, client } = await start();
  expect(message.fields).toMatchObject({ body: { type: 'String' }, size: { type: 'String' } });
  expect(message.classLevelPermissions).toMatchObject({ find: SIGNED_IN, addField: {} });
  const open = { classLevelPermissions: { ...message.classLevelPermissions, find: { '*': true } } };
  await client.call('PUT', '/schemas/Message', open, { master: true });
  await server.interrupt();

  write({ size: 'Number', sentAt: 'Date' });
  const again = await start();
  await again.server.kill();
  project.remove();
  const { find } = message.classLevelPermissions;
  const isNamed = again.server.printed().includes('Message.size is of type String, and must be Number.');
  expect({ find, isNamed, hasDate: 'sentAt' in message.fields }).toEqual(
    onPGlite
      ? { find: SIGNED_IN, isNamed: true, hasDate: true }
      : { find: { '*': true }, isNamed: false, hasDate: false },
  );
});

test('.env comes before what .local/ holds, and the environment before .env', async () => {
  const folder = newFolder();
  writeFileSync(
    join(folder, '.env'),
    `PARSE_APP_ID=from-dotenv\nPARSE_MASTER_KEY=from-dotenv\nVIRGIL_APP_ID=mine\n`,
  );
  prepareDatabase(folder);
  const server = await startLocalServer({ folder, environment: { PARSE_MASTER_KEY: 'from-environment' } });
  try {
    const client = restClient({
      url: `${server.url}/parse`,
      appId: 'from-dotenv',
      masterKey: 'from-environment',
    });
    expect((await client.call('GET', '/schemas', undefined, { master: true })).status).toBe(200);
    // With a Virgil application of the user's own, half configured, nothing is filled in behind the back.
    const { body } = await client.run('virgil-jwt', {}, await client.signUp());
    expect(body.code).toBe(141);
    expect(server.printed()).toContain('not running: ');
  } finally {
    await server.kill();
  }
});

// None of it comes to the engine that is tested.
(onPGlite ? describe : describe.skip)('what cannot start says so in one line and exits with 1', () => {
  async function expectFault(options: Parameters<typeof failToStart>[0], line: RegExp): Promise<void> {
    const { code, printed } = await failToStart(options);
    expect(printed.trim()).toMatch(line);
    expect(printed.trim().split('\n')).toHaveLength(1);
    expect(code).toBe(1);
  }

  test('a port in use', async () => {
    const other = createServer();
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
    const { port } = other.address() as AddressInfo;
    await expectFault(
      { folder: newFolder(), environment: { PORT: String(port) } },
      new RegExp(`^Port ${port} is in use: stop what listens there, or set PORT\\.$`),
    );
    other.close();
  });

  test('a port that is none', () =>
    expectFault({ folder: newFolder(), environment: { PORT: 'http' } }, /^PORT must be 0 to 65535\.$/));

  test.each(['mongodb://user:password@127.0.0.1:1/parse', 'postgres://user:password@127.0.0.1:1/parse'])(
    'an unreachable DATABASE_URI: %s',
    async (DATABASE_URI) => {
      const options = { folder: newFolder(), environment: { DATABASE_URI } };
      await expectFault(
        options,
        /^The server of DATABASE_URI cannot be reached at 127\.0\.0\.1:1: (?!.*password)/,
      );
    },
  );

  test('a DATABASE_URI of another kind', () =>
    expectFault(
      { folder: newFolder(), environment: { DATABASE_URI: 'mysql://127.0.0.1/parse' } },
      /^DATABASE_URI must start with mongodb:\/\/ or postgres:\/\/\.$/,
    ));

  test('a folder that cannot be written', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, '.local'), 'a file');
    await expectFault({ folder }, /\.local cannot be written: .+$/);
  });

  test('a database of an unknown kind', () =>
    expectFault(
      { folder: newFolder(), environment: { DATABASE: 'sqlite' } },
      /^DATABASE must be mongodb or postgres\.$/,
    ));
});

function answerTo(url: string, headers: Record<string, string>, method = 'GET'): Promise<IncomingMessage> {
  return new Promise((done, fail) => {
    request(url, { headers, method }, (response) => {
      response.resume();
      done(response);
    })
      .on('error', fail)
      .end();
  });
}
