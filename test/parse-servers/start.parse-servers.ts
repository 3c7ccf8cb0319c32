import { readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { WebSocket } from 'ws';
import { envelopeMaker } from '../support/envelopes';
import { failToStart, type LocalServer, prepareDatabase, startLocalServer } from '../support/local-server';
import { packPackage, type TestApp } from '../support/package';
import { restClient } from '../support/rest';
import { loadVirgilCrypto } from '../support/virgil-crypto';

// `npm run test:oldest` installs others beside ours, and names their folders.
const folders = (process.env.PARSE_SERVER_MODULES ?? '').split(delimiter).filter(Boolean);
const parseServers = [...folders, resolve('node_modules/parse-server')].map((folder) => {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return { version, folder };
});
const tooOld = parseServers.filter(({ version }) => version.startsWith('5.'));
const supported = parseServers.filter((one) => !tooOld.includes(one));

const policy = {
  virgil: { tokenTtlSeconds: 1200, guardUserIds: true, eraseDeletedUsers: true },
  classes: {
    Message: {
      encrypted: ['body'],
      plain: { from: 'Pointer<_User>', sentAt: 'Date' },
      sender: 'from',
      recipients: 'acl',
      files: ['photo'],
    },
    Note: { encrypted: ['text'], plain: { from: 'Pointer<_User>', seen: 'Boolean' }, sender: 'from' },
  },
  files: {},
};
const main = `
  require('./e2ee');
  Parse.Cloud.define('userNames', async () => {
    const users = await new Parse.Query(Parse.User).find({ useMasterKey: true });
    return users.map((user) => user.get('username'));
  });
  let fields;
  Parse.Cloud.beforeSave('Note', ({ original }) => {
    if (original) fields = Object.keys(original.attributes);
  });
  Parse.Cloud.define('fieldsOfOriginal', () => fields);
`;

let tarball: ReturnType<typeof packPackage>;
beforeAll(() => {
  tarball = packPackage();
});
afterAll(() => tarball?.remove());

test.each(tooOld)('Parse Server $version is too old for it', async ({ folder }) => {
  const app = tarball.makeApp({ 'back4app.json': JSON.stringify(policy), 'cloud/main.js': main });
  app.addParts(folder);
  prepareDatabase(app.folder);
  const { code, printed } = await failToStart({ folder: app.folder, program: app.program });
  const error = 'The local stack needs Parse Server 6 to 9, and this project has 5.6.0.\n';
  expect([code, printed]).toEqual([1, error]);
});

describe.each(supported)("start in an app's project with Parse Server $version", ({ folder }) => {
  let app: TestApp;
  let server: LocalServer;
  let client: ReturnType<typeof restClient>;
  let credentials: Record<string, string>;

  beforeAll(async () => {
    app = tarball.makeApp({ 'back4app.json': JSON.stringify(policy), 'cloud/main.js': main });
    app.addParts(folder);
    prepareDatabase(app.folder);
    server = await startLocalServer({ folder: app.folder, program: app.program });
    credentials = JSON.parse(readFileSync(join(app.folder, '.local/credentials.json'), 'utf8'));
    const { PARSE_MASTER_KEY = '' } = credentials;
    client = restClient({ url: `${server.url}/parse`, appId: 'e2ee-local', masterKey: PARSE_MASTER_KEY });
  });
  afterAll(() => server?.kill());

  test('prints the table alone', () => {
    expect(server.printed().trimStart()).toMatch(/^Parse Server /);
  });

  test("runs the app's own Cloud Code, which may query", async () => {
    const { username } = await client.signUp();
    expect((await client.run('userNames')).body).toEqual({ result: [username] });
  });

  test('the doctor finds no fault, without a run of schema', async () => {
    const user = await client.signUp();
    const { status, stdout } = await app.run(
      'doctor',
      ['--server', `${server.url}/parse`, '--app-id', 'e2ee-local'],
      {
        ...credentials,
        VIRGIL_API_URL: `${server.url}/virgil`,
        DOCTOR_USER: user.username,
        DOCTOR_PASSWORD: 'a password',
      },
    );
    expect([status, stdout]).toEqual([0, expect.not.stringMatching(/^fault/m)]);
    expect(stdout).toMatch(/^ok +Message save /m);
  });

  test('shows a trigger what one sees on a deployed server: no protected field', async () => {
    const user = await client.signUp();
    const master = { master: true };
    const { classLevelPermissions } = (await client.call('GET', '/schemas/Note', undefined, master)).body;
    const permissions = { ...classLevelPermissions, protectedFields: { '*': ['from'] } };
    await client.call('PUT', '/schemas/Note', { classLevelPermissions: permissions }, master);
    const text = envelopeMaker(await loadVirgilCrypto())();
    const from = { __type: 'Pointer', className: '_User', objectId: user.id };
    const { objectId } = (await client.call('POST', '/classes/Note', { text, from }, user)).body;
    const update = await client.call('PUT', `/classes/Note/${objectId}`, { text, seen: true }, user);
    expect(update.body).toEqual({ updatedAt: expect.any(String) });
    expect((await client.run('fieldsOfOriginal')).body.result).toContain('text');
    expect((await client.run('fieldsOfOriginal')).body.result).not.toContain('from');
  });

  test('has GraphQL and LiveQuery', async () => {
    const answer = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Parse-Application-Id': 'e2ee-local' },
      body: JSON.stringify({ query: '{ health }' }),
    });
    expect(await answer.json()).toEqual({ data: { health: true } });
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/parse`);
    await new Promise((done, fail) => socket.once('open', done).once('error', fail));
    socket.close();
  });

  test('Ctrl-C stops it', async () => {
    expect(await server.interrupt()).toBe(0);
  });
});
