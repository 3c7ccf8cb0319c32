import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from '../../../scripts/doctor/finding';
import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { makeCertificate } from '../../support/certificate';
import { onMongoDb, onPGlite } from '../../support/engine';
import { envelopeMaker } from '../../support/envelopes';
import { startHttpServer, unusedUrl } from '../../support/http-server';
import { makeProject } from '../../support/project';
import { restClient } from '../../support/rest';
import { tokensIn } from '../../support/tokens-in';
import { makeVirgilApplication } from '../../support/virgil-application';
import { createCardManager, serveVirgilCloud } from '../../support/virgil-cloud';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const project = makeProject();
const master = { master: true };
const password = 'a password';
const printed: string[] = [];
const secrets = new Set([password, 'a wrong password', 'a-wrong-key', 'test-master-key']);

/** Runs the doctor on a server, with nothing but what is given, and on no Virgil Cloud but one that is given. */
async function doctor(server: { url: string; appId: string }, environment = {}, args: string[] = []) {
  const app = ['--server', server.url, '--app-id', server.appId];
  const run = await project.run('doctor', [...app, '--json', ...args], {
    VIRGIL_API_URL: nowhere,
    ...environment,
  });
  printed.push(run.stdout, run.stderr);
  expect(run.stderr).toBe('');
  const report = JSON.parse(run.stdout) as { ok: boolean; findings: Finding[] };
  expect(run.status).toBe(report.ok ? 0 : 1);
  for (const { check, message } of report.findings) {
    const [name] = /^(?:Message|ChatThread|virgil-jwt)\b/.exec(check) ?? [];
    if (name) expect(message).not.toContain(name);
  }
  const byCheck = Object.fromEntries(report.findings.map(({ check, ...finding }) => [check, finding]));
  return { ...report, byCheck, checks: report.findings.map(({ check }) => check) };
}

const fault = (message: RegExp) => ({ status: 'fault', message: expect.stringMatching(message) });
const ok = expect.objectContaining({ status: 'ok' });

let crypto: Awaited<ReturnType<typeof loadVirgilCrypto>>;
let nowhere: string;
beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  nowhere = await unusedUrl();
});
afterAll(() => project.remove());

describe('an app that is deployed as it should be', () => {
  let server: BareParseServer;
  let client: ReturnType<typeof restClient>;
  let user: { DOCTOR_USER: string; DOCTOR_PASSWORD: string };
  let virgilCloud: Awaited<ReturnType<typeof serveVirgilCloud>>;
  let credentials: Record<string, string>;
  const key = { PARSE_MASTER_KEY: 'test-master-key' };

  beforeAll(async () => {
    server = await startBareParseServer({ parseOptions: { allowClientClassCreation: false } });
    client = restClient(server);
    user = { DOCTOR_USER: (await client.signUp()).username, DOCTOR_PASSWORD: password };
    const application = makeVirgilApplication(crypto);
    virgilCloud = await serveVirgilCloud(application);
    credentials = { ...application.environment, VIRGIL_API_URL: virgilCloud.url };
    secrets.add(application.environment.VIRGIL_APP_KEY);
  });
  afterAll(async () => {
    await server.stop();
    await virgilCloud.close();
  });

  test('before npm run schema: each class is named, and the credentials that the server lacks', async () => {
    const { byCheck } = await doctor(server, { ...user, ...key });
    expect(byCheck['Message class']).toEqual(fault(/not there: npm run schema/));
    expect(byCheck['ChatThread class']).toEqual(fault(/not there: npm run schema/));
    expect(byCheck['Message guard']).toEqual(fault(/npm run schema/));
    expect(byCheck.token).toEqual(fault(/set the VIRGIL_ variables on the server; its log names/));
    const app = ['--server', server.url, '--app-id', server.appId, '--yes'];
    expect((await project.run('schema', app, key)).status).toBe(0);
    await server.setEnvironment(credentials);
  });

  test('all is well, twice in a row, and it leaves nothing behind', async () => {
    const body = envelopeMaker(crypto)();
    const { id, sessionToken } = await client.signUp();
    await client.call('POST', '/classes/Message', { body, senderId: id }, { sessionToken });
    const rows = async () => [
      (await client.call('GET', '/sessions', undefined, master)).body.results.length,
      (await client.call('GET', '/classes/Message', undefined, master)).body.results.length,
      (await client.call('GET', '/schemas', undefined, master)).body.results.length,
    ];
    const before = await rows();
    const first = await doctor(server, { ...user, ...key, ...credentials });
    const second = await doctor(server, { ...user, ...key, ...credentials });
    expect(first.ok).toBe(true);
    expect(second.findings).toEqual(first.findings);
    expect(first.findings.filter(({ status }) => status !== 'ok')).toEqual([]);
    expect(first.byCheck['Message rows']?.message).toBe('no plaintext in 1 rows');
    expect(first.checks).toEqual([
      'policy',
      'server',
      'virgil-jwt',
      'class creation',
      'Parse.Config',
      'IDs of users',
      'log in',
      'token',
      'signature',
      'Virgil Cloud',
      'user IDs',
      'Message guard',
      'Message save',
      'ChatThread save',
      'files',
      'log out',
      'master key',
      'webhooks',
      'fields of users',
      ...['Message permissions', 'Message fields', 'Message defaults', 'Message rows'],
      ...['ChatThread permissions', 'ChatThread fields', 'ChatThread defaults'],
      ...['database', 'sessions', 'VirgilErasure permissions', 'erasures'],
    ]);
    expect(await rows()).toEqual(before);
  });

  test('a class whose permissions are narrower than those of npm run schema is well, and stays so', async () => {
    const doctorUser = (
      await client.call('GET', `/users?where={"username":"${user.DOCTOR_USER}"}`, undefined, master)
    ).body.results[0];
    const pointer = { __type: 'Pointer', className: '_User', objectId: doctorUser.objectId };
    const users = { __op: 'AddRelation', objects: [pointer] };
    await client.call('POST', '/roles', { name: 'clinician', users, ACL: {} }, master);
    const { classLevelPermissions: before } = (
      await client.call('GET', '/schemas/Message', undefined, master)
    ).body;
    const role = { 'role:clinician': true };
    const classLevelPermissions = { ...before, find: role, get: role, create: role, count: {} };
    await client.call('PUT', '/schemas/Message', { classLevelPermissions }, master);
    const { byCheck, ok: isWell } = await doctor(server, { ...user, ...key, ...credentials });
    expect(isWell).toBe(true);
    expect(byCheck['Message permissions']).toEqual({
      status: 'ok',
      message:
        'closed to the public; find: role:clinician; get: role:clinician; count: nobody; create: role:clinician',
    });
    expect(byCheck['Message save']).toEqual(ok);
    const app = ['--server', server.url, '--app-id', server.appId, '--yes'];
    expect((await project.run('schema', app, key)).stdout).toContain('Nothing to change');

    const stranger = { DOCTOR_USER: (await client.signUp()).username, DOCTOR_PASSWORD: password };
    expect((await doctor(server, { ...stranger, ...credentials })).byCheck['Message guard']).toEqual(
      fault(/If the class lets only some users create rows, name one of them: DOCTOR_USER/),
    );
    const readers = { ...classLevelPermissions, create: before.create };
    await client.call('PUT', '/schemas/Message', { classLevelPermissions: readers }, master);
    expect((await doctor(server, { ...stranger, ...credentials })).byCheck['Message save']).toEqual(
      fault(/this user cannot read what it has saved \(status .*see who may get rows of this class/),
    );
    await client.call('PUT', '/schemas/Message', { classLevelPermissions: before }, master);
  });

  test('erasures: one that is a day late is a fault, and so is a class of them that clients can read', async () => {
    const dayAgo = (days: number) => ({
      __type: 'Date',
      iso: new Date(Date.now() - days * 86_400_000).toISOString(),
    });
    const order = (again: object) =>
      client.call(
        'POST',
        '/classes/VirgilErasure',
        { identity: 'nobody', due: dayAgo(-1), again, ACL: {} },
        master,
      );
    const { objectId } = (await order(dayAgo(0.9))).body;
    const { byCheck } = await doctor(server, key);
    expect(byCheck.erasures).toMatchObject({
      status: 'ok',
      message: expect.stringContaining('One Virgil application per database'),
    });
    await client.call('PUT', `/classes/VirgilErasure/${objectId}`, { again: dayAgo(1.1) }, master);
    const find = async (permission: object) =>
      client.call('PUT', '/schemas/VirgilErasure', { classLevelPermissions: { find: permission } }, master);
    await find({ '*': true });
    const late = (await doctor(server, key)).byCheck;
    expect(late.erasures).toEqual(fault(/^1 overdue by more than a day: is the job virgil-erase scheduled/));
    expect(late['VirgilErasure permissions']).toEqual(fault(/open to the public: npm run schema/));
    await client.call('DELETE', `/classes/VirgilErasure/${objectId}`, undefined, master);
    await find({});
  });

  test('a token that Virgil Cloud does not take, and a Virgil Cloud that cannot be asked', async () => {
    const askedAt = async (url: string) => {
      const { byCheck, ok: isWell } = await doctor(server, { ...user, VIRGIL_API_URL: url });
      return { ...byCheck['Virgil Cloud'], isWell };
    };
    const other = await serveVirgilCloud(makeVirgilApplication(crypto));
    expect(await askedAt(other.url)).toEqual({
      ...fault(
        /does not take the token \(status 401, code 20304\): set the VIRGIL_APP_ID, .* of one application/,
      ),
      isWell: false,
    });
    await other.close();
    expect(await askedAt(other.url)).toEqual({
      status: 'warning',
      message: `${other.url} cannot be asked: nothing listens there.`,
      isWell: true,
    });
    const page = await startHttpServer(() => ({ status: 404, body: '<!doctype html>' }));
    expect(await askedAt(page.url)).toMatchObject({
      status: 'warning',
      message: expect.stringMatching(/\(status 404\).*VIRGIL_API_URL/),
    });
    await page.stop();
    expect(await askedAt('http://virgil.example')).toMatchObject(fault(/^VIRGIL_API_URL is not an https:/));
  });

  test('without a user and the master key: what needs them is skipped, and says so', async () => {
    const { byCheck, ok: isWell } = await doctor(server);
    expect(isWell).toBe(true);
    expect(byCheck['token and guards']).toEqual({
      status: 'skipped',
      message: expect.stringContaining('set DOCTOR_USER and DOCTOR_PASSWORD'),
    });
    expect(byCheck['schema and rows']?.message).toContain('set PARSE_MASTER_KEY');
  });

  test('on a terminal it asks, and shows neither password nor master key', async () => {
    const { status, shown } = await project.runOnTerminal(
      'doctor',
      ['--server', server.url, '--app-id', server.appId],
      [
        ['Name of a user', user.DOCTOR_USER],
        ['Password', password],
        ['Master key', server.masterKey],
        ['copy what is encrypted', ''],
      ],
    );
    printed.push(shown);
    expect(shown).toContain(user.DOCTOR_USER);
    expect(shown).toContain('the user has a session');
    expect(shown).toContain('none replaces a guard or a function');
    expect(status).toBe(0);
  });

  test('a user with another password', async () => {
    const { byCheck } = await doctor(server, { ...user, DOCTOR_PASSWORD: 'a wrong password' });
    expect(byCheck['log in']).toEqual(fault(/another password/));
  });

  test('wrong keys: application ID, master key', async () => {
    const elsewhere = await doctor({ ...server, appId: 'another' });
    expect(elsewhere.byCheck.server).toEqual(fault(/refuses the application ID or the key: check --app-id/));
    const { byCheck } = await doctor(server, { PARSE_MASTER_KEY: 'a-wrong-key' });
    expect(byCheck.server).toEqual(fault(/refuses the master key: check PARSE_MASTER_KEY/));
  });

  test('tells whether the App Key there is the one here', async () => {
    const signatureWith = async (changes: Record<string, string | undefined>) =>
      (await doctor(server, { ...user, ...credentials, ...changes })).byCheck.signature;
    const { VIRGIL_APP_ID, VIRGIL_APP_KEY_ID } = credentials;
    const other = makeVirgilApplication(crypto).environment;
    secrets.add(other.VIRGIL_APP_KEY);
    expect(await signatureWith(other)).toMatchObject({
      status: 'skipped',
      message: expect.stringMatching(/another VIRGIL_APP_ID/),
    });
    expect(await signatureWith({ ...other, VIRGIL_APP_ID })).toMatchObject({
      status: 'skipped',
      message: expect.stringMatching(/another App Key/),
    });
    expect(await signatureWith({ VIRGIL_APP_KEY: other.VIRGIL_APP_KEY })).toEqual(
      fault(/another key than here, under the same VIRGIL_APP_KEY_ID/),
    );
    const swapped = { VIRGIL_APP_ID: VIRGIL_APP_KEY_ID, VIRGIL_APP_KEY_ID: VIRGIL_APP_ID };
    expect(await signatureWith(swapped)).toEqual(fault(/swapped/));
  });
});

describe('an app without this package, with a past', () => {
  let server: BareParseServer;
  let client: ReturnType<typeof restClient>;
  let webhooks: Awaited<ReturnType<typeof startHttpServer>>;
  let hookAnswer: unknown;
  let user: { DOCTOR_USER: string; DOCTOR_PASSWORD: string };
  let identity: string;
  const key = { PARSE_MASTER_KEY: 'test-master-key' };
  const OLD_MESSAGE = 'what was said before there was a guard';

  beforeAll(async () => {
    server = await startBareParseServer({ cloudCode: '', parseOptions: { allowCustomObjectId: true } });
    client = restClient(server);
    webhooks = await startHttpServer(() => ({
      headers: { 'Content-Type': 'application/json' },
      body: { success: hookAnswer },
    }));
    const { id, username } = await client.signUp();
    identity = id;
    user = { DOCTOR_USER: username, DOCTOR_PASSWORD: password };
    secrets.add(OLD_MESSAGE);
    const fields = {
      body: { type: 'String', defaultValue: OLD_MESSAGE },
      senderId: { type: 'String' },
      preview: { type: 'String' },
    };
    await client.call('POST', '/schemas/Message', { className: 'Message', fields }, master);
    const bodies = [OLD_MESSAGE, envelopeMaker(crypto)(), OLD_MESSAGE];
    for (const body of bodies) await client.call('POST', '/classes/Message', { body }, master);
    const chatThread = { className: 'ChatThread', fields: { senderId: { type: 'String' } } };
    await client.call('POST', '/schemas/ChatThread', chatThread, master);
  });
  afterAll(async () => {
    await server.stop();
    await webhooks.stop();
  });

  test('is seen from outside: no virgil-jwt, and classes by whoever likes', async () => {
    const { byCheck } = await doctor(server);
    expect(byCheck['virgil-jwt']).toEqual(fault(/not there: npm run deploy/));
    expect(byCheck['class creation']).toEqual(fault(/clients may create classes/));
    expect(byCheck['IDs of users']).toEqual({
      status: 'warning',
      message: expect.stringContaining('with the ID of a deleted user'),
    });
    // Also where nobody is erased.
    const policy = readFileSync('back4app.json', 'utf8');
    project.write('back4app.json', policy.replace('"eraseDeletedUsers": true', '"eraseDeletedUsers": false'));
    expect((await doctor(server)).byCheck['IDs of users']).toEqual(byCheck['IDs of users']);
    project.write('back4app.json', policy);
    expect((await client.call('GET', '/schemas', undefined, master)).body.results).not.toContainEqual(
      expect.objectContaining({ className: expect.stringMatching(/^Doctor/) }),
    );
  });

  test('credentials that the public can read in Parse.Config are named, and those that it cannot are not', async () => {
    const params = { VIRGIL_APP_KEY: 'a public App Key', NEXMO_APP_ID: 'a hidden ID', welcome: 'hello' };
    for (const secret of [params.VIRGIL_APP_KEY, params.NEXMO_APP_ID]) secrets.add(secret);
    await client.call('PUT', '/config', { params, masterKeyOnly: { NEXMO_APP_ID: true } }, master);
    const { byCheck } = await doctor(server, key);
    expect(byCheck['Parse.Config']).toEqual(fault(/^the public can read VIRGIL_APP_KEY: make new ones/));
    await client.call(
      'PUT',
      '/config',
      { params, masterKeyOnly: { VIRGIL_APP_KEY: true, NEXMO_APP_ID: true } },
      master,
    );
    expect((await doctor(server, key)).byCheck['Parse.Config']).toEqual(ok);
  });

  test('is seen by a user: no token, and plaintext is taken, which is deleted again', async () => {
    const rows = async () => (await client.call('GET', '/classes/Message', undefined, master)).body.results;
    const before = await rows();
    const { byCheck } = await doctor(server, user);
    expect(byCheck.token).toEqual(fault(/virgil-jwt is not there/));
    expect(byCheck['Message guard']).toEqual(fault(/plaintext is accepted: npm run deploy/));
    expect(byCheck['Message save']).toEqual(ok);
    expect(byCheck['log out']).toEqual(ok);
    expect(await rows()).toEqual(before);
  });

  test('files that are not encrypted are taken: what was uploaded is deleted with the master key, and named without', async () => {
    const files = async () => (await server.stored()).split('_e2ee.bin').length - 1;
    const before = await files();
    const alone = await doctor(server, user);
    expect(alone.byCheck.files).toEqual(fault(/one that is not encrypted is accepted: npm run deploy/));
    expect(alone.byCheck['files left']).toEqual(
      fault(/^the doctor's \w+_e2ee\.bin is still there: only the master key/),
    );
    expect(await files()).toBe(before + 1);
    const withKey = await doctor(server, { ...user, ...key });
    expect(withKey.byCheck.files).toEqual(alone.byCheck.files);
    expect(withKey.byCheck['files left']).toEqual(ok);
    expect(await files()).toBe(before + 1);
  });

  test("users' IDs that the policy says are guarded, tried in a save that changes nothing", async () => {
    const stored = async () => (await client.call('GET', `/users/${identity}`, undefined, master)).body;
    const before = await stored();
    const { byCheck } = await doctor(server, user);
    expect(byCheck['user IDs']).toEqual(fault(/are not guarded on the server.*npm run deploy/));
    expect(await stored()).toEqual(before);
  });

  test('a policy that lets users change their IDs, where the database lets them too', async () => {
    const elsewhere = makeProject();
    const policy = { virgil: { tokenTtlSeconds: 1200 }, classes: {} };
    elsewhere.write('back4app.json', JSON.stringify(policy));
    const app = ['--server', server.url, '--app-id', server.appId];
    const { stdout } = await elsewhere.run('doctor', app, { ...user, ...key });
    elsewhere.remove();
    printed.push(stdout);
    expect(stdout).not.toContain('user IDs');
    expect(stdout).toMatch(
      onMongoDb
        ? /^ok +database +MongoDB$/m
        : /^fault +database +PostgreSQL: users may change .*Set virgil\.guardUserIds to true/m,
    );
  });

  test('more than 10,000 sessions: the index that is missing, by the statement that makes it', async () => {
    await server.rows.insert('_Session', [{ objectId: 'original', sessionToken: 'r:original' }]);
    const tokenField = onMongoDb ? '_session_token' : 'sessionToken';
    await server.rows.copy('_Session', 'original', { [tokenField]: 'r:' }, 1, 10_000);
    const { byCheck } = await doctor(server, key);
    expect(byCheck.sessions).toEqual({
      status: 'warning',
      message: expect.stringContaining('no index on session tokens'),
    });
    const [, statement = ''] = /Make it, in the database: (.*)$/.exec(byCheck.sessions?.message ?? '') ?? [];
    const [, storedField] = /createIndex\(\{ (\w+): 1 \}\)$/.exec(statement) ?? [];
    await (storedField ? server.rows.makeIndex('_Session', storedField) : server.sql(statement));
    expect((await doctor(server, key)).byCheck.sessions).toEqual({
      status: 'ok',
      message: 'more than 10000, found by an index',
    });
  });

  test('is seen with the master key: permissions, fields, default values, old plaintext', async () => {
    const { byCheck, findings } = await doctor(server, key);
    expect(byCheck['Message permissions']).toEqual(fault(/open to the public: find, get, count, create/));
    expect(byCheck['fields of users']).toEqual({
      status: 'warning',
      message: expect.stringMatching(/^clients may add fields to _User .*npm run schema.*maxUploadSize/),
    });
    expect(findings).toContainEqual({ check: 'Message fields', ...fault(/not in the policy: preview\./) });
    expect(findings).toContainEqual({
      check: 'Message fields',
      ...fault(/not there: threadId, timestamp\./),
    });
    expect(byCheck['ChatThread fields']).toEqual(
      fault(/not there: senderUsername, recipient.*npm run schema/),
    );
    expect(byCheck['Message defaults']).toEqual(fault(/default values.*: body\./));
    expect(byCheck['Message rows']).toEqual(fault(/^2 of 3 rows hold plaintext/));
  });

  test('an encrypted field that cannot hold an envelope, and whatever else is wrong with the fields', async () => {
    const policy = {
      virgil: { tokenTtlSeconds: 1200 },
      classes: { Photo: { encrypted: ['image'], plain: ['sentAt'] } },
    };
    const photo = { className: 'Photo', fields: { image: { type: 'Object' }, stray: { type: 'String' } } };
    await client.call('POST', '/schemas/Photo', photo, master);
    await client.call('POST', '/classes/Photo', { image: { text: OLD_MESSAGE } }, master);
    const elsewhere = makeProject();
    elsewhere.write('back4app.json', JSON.stringify(policy));
    const app = ['--server', server.url, '--app-id', server.appId];
    const { stdout } = await elsewhere.run('doctor', app, { ...user, ...key });
    elsewhere.remove();
    printed.push(stdout);
    expect(stdout).toMatch(/^fault +Photo fields +not in the policy: stray\./m);
    expect(stdout).toMatch(/^fault +Photo fields +not there: sentAt\./m);
    expect(stdout).toMatch(/^fault +Photo fields +image is of type Object, and must be String\./m);
    expect(stdout).toMatch(/^fault +Photo rows +1 of 1 rows hold plaintext/m);
    expect(stdout).toMatch(/^fault +Photo guard +what it refuses is not plaintext \(status 400, code 111\)/m);
  });

  test('of a thousand old rows and more, the oldest thousand are looked at', async () => {
    const old = Array.from({ length: 1100 }, (_, i) => ({
      objectId: `old${i}`,
      createdAt: { __type: 'Date', iso: new Date(Date.UTC(2020, 0, 1, 0, i)).toISOString() },
      body: 'plaintext',
    }));
    await server.rows.insert('Message', old);
    const { byCheck } = await doctor(server, key);
    expect(byCheck['Message rows']).toEqual(fault(/^1000 of the oldest 1000 rows hold plaintext/));
    await server.rows.delete('Message', { objectId: { $regex: '^old' } });
  });

  test('webhooks in place of a guard and of a function; no token, and one for somebody else', async () => {
    const trigger = { className: 'Message', triggerName: 'beforeSave', url: webhooks.url };
    const ofErasure = ['beforeDelete', 'afterDelete'].map((triggerName) => ({
      className: '_User',
      triggerName,
      url: webhooks.url,
    }));
    for (const one of [trigger, ...ofErasure]) await client.call('POST', '/hooks/triggers', one, master);
    const functions = ['virgil-jwt', 'nexmo-jwt', 'nexmo-create-user', 'another'];
    for (const functionName of functions) {
      await client.call('POST', '/hooks/functions', { functionName, url: webhooks.url }, master);
    }
    hookAnswer = { token: 'not.a.jwt' };
    const { byCheck } = await doctor(server, { ...user, ...key });
    expect(byCheck.webhooks).toEqual(
      fault(
        /a webhook replaces the guard of Message, our beforeDelete of _User, our afterDelete of _User, virgil-jwt, nexmo-jwt, nexmo-create-user: delete it/,
      ),
    );
    expect(byCheck['virgil-jwt']).toEqual(fault(/answers a call without a session/));
    expect(byCheck.token).toEqual(fault(/another function answers as virgil-jwt/));

    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const forged = { iss: 'virgil-x', sub: 'identity-somebodyElse', iat: 1, exp: 2 };
    const token = `${part({ alg: 'VEDS512', typ: 'JWT', cty: 'virgil-jwt;v=1', kid: 'x' })}.${part(forged)}.AAAA`;
    secrets.add(token);
    hookAnswer = { token, identity: 'somebodyElse', expiresAt: new Date().toISOString() };
    const other = await doctor(server, user);
    expect(other.byCheck.token).toEqual(fault(/kid is not.*iss is not.*sub is not.*iat is not now/));
    expect(other.byCheck.token).toEqual(fault(/identity is not the user's objectId; expiresAt is not/));
    hookAnswer = {};
    expect((await doctor(server, user)).byCheck.token).toEqual(fault(/gives none/));
    hookAnswer = { body: OLD_MESSAGE };
    expect((await doctor(server, user)).byCheck['Message save']).toEqual(
      fault(/not what was saved: see what other triggers/),
    );
    for (const { className, triggerName } of [trigger, ...ofErasure]) {
      const path = `/hooks/triggers/${className}/${triggerName}`;
      await client.call('PUT', path, { __op: 'Delete' }, master);
    }
    for (const functionName of functions) {
      await client.call('PUT', `/hooks/functions/${functionName}`, { __op: 'Delete' }, master);
    }
  });

  test('a class that the user may not write', async () => {
    const classLevelPermissions = { create: {} };
    await client.call('PUT', '/schemas/Message', { className: 'Message', classLevelPermissions }, master);
    const { byCheck } = await doctor(server, user);
    expect(byCheck['Message guard']).toEqual(fault(/this user may not save here/));
  });

  test('a row that the user may save and not delete is named', async () => {
    const classLevelPermissions = {
      create: { '*': true },
      get: { '*': true },
      find: { '*': true },
      delete: {},
    };
    await client.call('PUT', '/schemas/Message', { className: 'Message', classLevelPermissions }, master);
    const { findings } = await doctor(server, user);
    const { results } = (
      await client.call('GET', `/classes/Message?where={"senderId":"${identity}"}`, undefined, master)
    ).body;
    expect(findings).toContainEqual({
      check: 'Message guard',
      ...fault(new RegExp(`may not delete its row ${results[0].objectId}`)),
    });
    expect(results).toHaveLength(1);
  });
});

test('a class with files: its columns, and those in it whose names tell', async () => {
  const elsewhere = makeProject();
  const Photo = { encrypted: [], plain: [], files: ['photo'] };
  const policy = { virgil: { tokenTtlSeconds: 1200 }, files: {}, classes: { Photo } };
  elsewhere.write('back4app.json', JSON.stringify(policy));
  const server = await startBareParseServer({
    cloudCode: '',
    parseOptions: { fileUpload: { enableForAuthenticatedUser: false } },
  });
  const client = restClient(server);
  const user = { DOCTOR_USER: (await client.signUp()).username, DOCTOR_PASSWORD: password };
  const key = { PARSE_MASTER_KEY: server.masterKey };
  const app = ['--server', server.url, '--app-id', server.appId];
  const schema = await elsewhere.run('schema', [...app, '--yes'], key);
  expect(schema.stdout).toContain('+ field photo: File\n');
  const names = [
    'MRI scan of Bob.png',
    `e2ee-${'0'.repeat(32)}.bin`,
    `${'1'.repeat(32)}_e2ee-${'0'.repeat(32)}.bin`,
  ];
  for (const photo of [
    ...names.map((name) => ({ __type: 'File', name, url: `${server.url}/${name}` })),
    null,
  ]) {
    const { status } = await client.call('POST', '/classes/Photo', { photo }, master);
    expect(status).toBe(201);
  }
  const { stdout } = await elsewhere.run('doctor', app, { ...user, ...key });
  printed.push(stdout);
  await server.stop();
  elsewhere.remove();
  expect(stdout).toMatch(/^ok +Photo fields +those of the policy$/m);
  expect(stdout).toMatch(
    /^fault +Photo files +1 of 4 rows hold a file from before the guard, whose name may tell/m,
  );
  expect(stdout).not.toContain('MRI');
  expect(stdout).toMatch(
    /^fault +files +the server lets users upload no e2ee\.bin: see enableForAuthenticatedUser/m,
  );
});

test('a class of typed fields, with a Pointer as sender: a client can save', async () => {
  const policy = {
    virgil: { tokenTtlSeconds: 1200 },
    classes: {
      Chat: {
        encrypted: ['text'],
        plain: {
          from: 'Pointer<_User>',
          in: 'Pointer<Room>',
          topic: 'String',
          count: 'Number',
          seen: 'Boolean',
          at: 'Date',
        },
        sender: 'from',
      },
    },
  };
  const server = await startBareParseServer({ policy });
  const elsewhere = makeProject();
  elsewhere.write('back4app.json', JSON.stringify(policy));
  const key = { PARSE_MASTER_KEY: server.masterKey };
  const app = ['--server', server.url, '--app-id', server.appId];
  expect((await elsewhere.run('schema', [...app, '--yes'], key)).status).toBe(0);
  const { username } = await restClient(server).signUp();
  const user = { DOCTOR_USER: username, DOCTOR_PASSWORD: password, VIRGIL_API_URL: nowhere };
  const { stdout } = await elsewhere.run('doctor', app, { ...user, ...key });
  printed.push(stdout);
  elsewhere.remove();
  await server.stop();
  expect(stdout).toMatch(/^ok +Chat guard +plaintext is refused/m);
  expect(stdout).toMatch(/^ok +Chat save +a client can save/m);
  expect(stdout).toMatch(/^ok +Chat fields/m);
});

describe('a class that asks whom its ciphertext is for', () => {
  const classOf = (recipients: 'acl' | string[], mode = 'enforce') => ({
    encrypted: ['text'],
    plain: { from: 'Pointer<_User>', to: 'String', ward: 'String' },
    sender: 'from',
    mode,
    recipients,
    recipientsOutage: 'refuse',
    group: 'ward',
  });
  const policy = {
    virgil: { tokenTtlSeconds: 1200 },
    classes: {
      Chat: classOf('acl'),
      Letter: classOf(['to']),
      Seen: classOf('acl', 'report'),
      Board: { encrypted: ['text'], plain: ['ward'], group: 'ward' },
    },
  };
  const elsewhere = makeProject();
  let server: BareParseServer;
  let virgilCloud: Awaited<ReturnType<typeof serveVirgilCloud>>;
  let application: ReturnType<typeof makeVirgilApplication>;
  let person: { id: string; username: string };

  beforeAll(async () => {
    application = makeVirgilApplication(crypto);
    secrets.add(application.environment.VIRGIL_APP_KEY);
    virgilCloud = await serveVirgilCloud(application);
    elsewhere.write('back4app.json', JSON.stringify(policy));
    const none = { VIRGIL_APP_ID: null, VIRGIL_APP_KEY_ID: null, VIRGIL_APP_KEY: null };
    server = await startBareParseServer({ policy, environment: none });
    const args = ['--server', server.url, '--app-id', server.appId, '--yes'];
    expect((await elsewhere.run('schema', args, { PARSE_MASTER_KEY: server.masterKey })).status).toBe(0);
    person = await restClient(server).signUp();
  });
  afterAll(async () => {
    await server.stop();
    await virgilCloud.close();
    elsewhere.remove();
  });

  const cards = () => createCardManager(application, virgilCloud.url, person.id);
  const look = async (VIRGIL_API_URL = virgilCloud.url) => {
    const { stdout } = await elsewhere.run('doctor', ['--server', server.url, '--app-id', server.appId], {
      DOCTOR_USER: person.username,
      DOCTOR_PASSWORD: password,
      VIRGIL_API_URL,
    });
    printed.push(stdout);
    return stdout;
  };

  test('without credentials on the server it is a fault', async () => {
    const said = await look();
    expect(said).toMatch(
      /^fault +recipients +"recipients" of Chat, Letter, Seen: the server needs good VIRGIL_/m,
    );
    expect(said).toMatch(/^skipped +Chat save/m);
    expect(said).toMatch(/^ok +Board group message/m);
  });

  test('whose server cannot ask Virgil Cloud is a fault', async () => {
    await server.setEnvironment({ ...application.environment, VIRGIL_API_URL: nowhere });
    const said = await look();
    expect(said).toMatch(/^fault +Chat recipients +are not checked: .*VIRGIL_API_URL/m);
    expect(said).toMatch(/^fault +Chat save +a client cannot save \(status 400, code 100\)/m);
    expect(await cards().searchCards(person.id)).toEqual([]);
    expect(await look(nowhere)).toMatch(/^skipped +recipients +needs a card of the user's/m);
    await server.kill();
    await server.startAgain();
  });

  test('is well, and a user without a card has none afterwards; one who has a card keeps it', async () => {
    await server.setEnvironment({ ...application.environment, VIRGIL_API_URL: virgilCloud.url });
    const well = [
      /^ok +Chat save/m,
      /^ok +Chat recipients +a message for somebody else is refused/m,
      /^ok +Chat group message/m,
      /^ok +Letter save/m,
      /^ok +Letter recipients/m,
      /^ok +Seen save/m,
      /^ok +Board save/m,
    ];
    const first = await look();
    for (const line of well) expect(first).toMatch(line);
    expect(await cards().searchCards(person.id)).toEqual([]);
    const { privateKey, publicKey } = crypto.generateKeys();
    const { id } = await cards().publishCard({ privateKey, publicKey });
    const second = await look();
    for (const line of well) expect(second).toMatch(line);
    expect((await cards().searchCards(person.id)).map((card) => card.id)).toEqual([id]);
    expect(second).not.toMatch(/^fault +(?!class creation|database)\S/m);
  });
});

test.each([
  ['info', 'ok', /^are in the log$/],
  ['error', 'warning', /^are not in the log: .*logLevel/],
])(
  'a class that only reports warns, and is well; at logLevel %s its reports: %s',
  async (logLevel, status, message) => {
    const policy = {
      virgil: { tokenTtlSeconds: 1200 },
      classes: { Chat: { encrypted: ['text'], plain: [], mode: 'report' } },
    };
    const server = await startBareParseServer({
      policy,
      environment: makeVirgilApplication(crypto).environment,
      parseOptions: { allowClientClassCreation: false, logLevel },
    });
    const client = restClient(server);
    const fields = { text: { type: 'String' } };
    await client.call('POST', '/schemas/Chat', { className: 'Chat', fields }, master);
    await client.call('POST', '/classes/Chat', { text: 'an old row' }, master);
    const { username } = await client.signUp();
    const elsewhere = makeProject();
    elsewhere.write('back4app.json', JSON.stringify(policy));
    const app = ['--server', server.url, '--app-id', server.appId];
    const user = { DOCTOR_USER: username, DOCTOR_PASSWORD: password, VIRGIL_API_URL: nowhere };
    const key = { PARSE_MASTER_KEY: server.masterKey };
    const { stdout, ...run } = await elsewhere.run('doctor', [...app, '--json'], { ...user, ...key });
    printed.push(stdout);
    elsewhere.remove();
    const { results } = (await client.call('GET', '/classes/Chat', undefined, master)).body;
    await server.stop();
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    const found = (check: string) => findings.find((finding) => finding.check === check);
    expect(run).toEqual({ status: onMongoDb ? 0 : 1, stderr: '' }); // on PostgreSQL: guardUserIds
    expect(findings.filter((finding) => finding.status === 'fault').map(({ check }) => check)).toEqual(
      onMongoDb ? [] : ['database'],
    );
    expect(found('Chat guard')).toMatchObject({
      status: 'warning',
      message: expect.stringMatching(/plaintext is accepted/),
    });
    expect(found('Chat save')).toEqual(ok);
    expect(found('Chat permissions')).toMatchObject({
      status: 'warning',
      message: expect.stringMatching(/when "mode" is "enforce"/),
    });
    expect(found('Chat rows')).toMatchObject({
      status: 'warning',
      message: expect.stringMatching(/^1 of 1 rows/),
    });
    expect(found('Chat reports')).toMatchObject({ status, message: expect.stringMatching(message) });
    expect(results).toHaveLength(1);
  },
);

// It has no database.
(onPGlite ? describe : describe.skip)('a server that is no Parse Server', () => {
  const serverFinding = async (url: string) => (await doctor({ url, appId: 'app' })).byCheck.server;

  test('it is down', async () => {
    expect(await serverFinding(await unusedUrl())).toEqual(fault(/failed: nothing listens there/));
  });

  test.each([
    [
      'it answers with a web page',
      { body: '<!doctype html>' },
      /does not answer as Parse Server does \(status 200\)/,
    ],
    [
      'it has no such page',
      { status: 404, body: 'Not Found' },
      /does not answer as Parse Server does \(status 404\)/,
    ],
    [
      'it redirects',
      { status: 301, headers: { Location: 'https://example.com' } },
      /redirects to another address/,
    ],
  ])('%s', async (_name, answer, message) => {
    const { url, stop } = await startHttpServer(() => answer);
    expect(await serverFinding(url)).toEqual(fault(message));
    await stop();
  });

  test('it fails', async () => {
    const { url, stop } = await startHttpServer(() => ({ status: 500, body: {} }));
    const { byCheck } = await doctor({ url, appId: 'app' });
    await stop();
    expect(byCheck['virgil-jwt']).toEqual(fault(/no answer of its own \(status 500\)/));
  });

  test('it never answers', async () => {
    const { url, stop } = await startHttpServer(() => undefined);
    expect(await serverFinding(url)).toEqual(fault(/no answer within 10 seconds/));
    await stop();
  });

  test('the REST key is asked for where the server wants one', async () => {
    const { url, stop } = await startHttpServer(({ headers }) =>
      headers['x-parse-rest-api-key'] === 'rest'
        ? { status: 400, body: { code: 209, error: 'Invalid session token' } }
        : { status: 403, body: { error: 'unauthorized' } },
    );
    expect(await serverFinding(url)).toEqual(fault(/set PARSE_REST_KEY \(or give --rest-key\)/));
    const given = await doctor({ url, appId: 'app' }, {}, ['--rest-key', 'rest']);
    expect(given.byCheck['virgil-jwt']).toEqual(ok);
    const set = await doctor({ url, appId: 'app' }, { PARSE_REST_KEY: 'rest' });
    expect(set.byCheck['virgil-jwt']).toEqual(ok);
    await stop();
  });

  test('it speaks no TLS, or its certificate is not to be trusted', async () => {
    const plain = await startHttpServer(() => ({}));
    expect(await serverFinding(plain.url.replace('http:', 'https:'))).toEqual(fault(/speaks no TLS/));
    await plain.stop();
    const findingFor = async (host: string, until: string, isTrusted: boolean) => {
      const tls = makeCertificate(host, '20', until);
      project.write('authority.pem', tls.cert);
      const { url, stop } = await startHttpServer(() => ({}), tls);
      const trust = isTrusted ? { NODE_EXTRA_CA_CERTS: join(project.folder, 'authority.pem') } : {};
      const { byCheck } = await doctor({ url, appId: 'app' }, trust);
      await stop();
      return byCheck.server;
    };
    expect(await findingFor('127.0.0.1', '40', false)).toEqual(fault(/certificate is signed by itself/));
    expect(await findingFor('example.com', '40', true)).toEqual(fault(/certificate is for another host/));
    expect(await findingFor('127.0.0.1', '21', true)).toEqual(fault(/certificate has expired/));
  });
});

test('a policy that is not valid is found before anything is sent', async () => {
  const elsewhere = makeProject();
  elsewhere.write('back4app.json', '{}');
  const { status, stdout } = await elsewhere.run('doctor', [
    '--server',
    await unusedUrl(),
    '--app-id',
    'app',
  ]);
  elsewhere.remove();
  expect(status).toBe(1);
  expect(stdout.trim().split('\n')).toHaveLength(1);
  expect(stdout).toMatch(/^fault +policy /);
});

// The last test: it reads what all the others have printed.
test('none of its output holds a password, key, session token, JWT or message', () => {
  expect(printed.length).toBeGreaterThan(30);
  for (const text of printed) {
    for (const secret of secrets) expect(text).not.toContain(secret);
    expect(tokensIn(text)).toEqual([]);
  }
});

describe('an app with code of its own', () => {
  const cloudCode = `
    require('./e2ee');
    Parse.Cloud.beforeSave('Message', async ({ object }) => {
      const thread = object.get('thread');
      if (!thread) throw new Parse.Error(101, 'no such thread');
      await thread.fetch({ useMasterKey: true });
    });
  `;
  const policy = {
    virgil: { tokenTtlSeconds: 1200 },
    nexmo: false,
    classes: {
      Message: {
        encrypted: ['body'],
        plain: { senderId: 'String', thread: 'Pointer<Thread>', readBy: 'Array<Pointer<_User>>' },
        sender: 'senderId',
      },
    },
  };
  let server: BareParseServer;
  let client: ReturnType<typeof restClient>;
  let user: Record<string, string>;
  const own = makeProject();
  afterAll(async () => {
    await server?.stop();
    own.remove();
  });
  const run = (args: string[] = [], environment = {}) => {
    const all = ['--json', '--server', server.url, '--app-id', server.appId, ...args];
    return own.run('doctor', all, { ...user, ...environment });
  };
  const doctor = async (args?: string[], environment?: object) => {
    const { findings } = JSON.parse((await run(args, environment)).stdout);
    return Object.fromEntries(findings.map(({ check, ...rest }: { check: string }) => [check, rest]));
  };
  beforeAll(async () => {
    own.write('back4app.json', JSON.stringify(policy));
    server = await startBareParseServer({ policy, cloudCode });
    client = restClient(server);
    const { username } = await client.signUp();
    user = { DOCTOR_USER: username, DOCTOR_PASSWORD: 'a password' };
  });

  test('whose trigger rejects the row of the doctor: it says so, and takes other values from --row', async () => {
    const without = await doctor();
    expect(without['Message guard']).toEqual(fault(/your app's own code rejects .*--row FILE/));
    const { body } = await client.call('POST', '/classes/Thread', {}, { master: true });
    const thread = { __type: 'Pointer', className: 'Thread', objectId: body.objectId };
    own.write('row.json', JSON.stringify({ Message: { thread } }));
    const found = await doctor(['--row', 'row.json']);
    expect(found['Message guard']).toMatchObject({ status: 'ok' });
    expect(found['Message save']).toMatchObject({ status: 'ok' });
    own.write('row.json', '{ "Message": 1 }');
    const { stdout, stderr } = await run(['--row', 'row.json']);
    expect(stdout + stderr).toContain('--row: row.json must be JSON such as');
  });

  test('whose triggers have copied plaintext elsewhere: --copies counts the rows', async () => {
    const envelope = `M${'E'.repeat(100)}`;
    for (const lastMessage of ['hello', 'MAYBE LATER', envelope]) {
      await client.call('POST', '/classes/Channel', { lastMessage }, { master: true });
    }
    const masterKey = { PARSE_MASTER_KEY: server.masterKey };
    const found = await doctor(['--copies', 'Channel.lastMessage, Channel.title'], masterKey);
    expect(found['Channel.lastMessage copies']).toEqual(fault(/^2 rows hold readable text/));
    expect(found['Channel.title copies']).toMatchObject({ status: 'ok' });
    const { stdout, stderr } = await run(['--copies', 'Channel'], masterKey);
    expect(stdout + stderr).toContain('--copies takes Class.field');
  });

  test('that hides the sender: the doctor names the setting of Parse Server', async () => {
    const open = { '*': true };
    const classLevelPermissions = {
      find: open,
      get: open,
      create: open,
      protectedFields: { '*': ['senderId'] },
    };
    await client.call(
      'PUT',
      '/schemas/Message',
      { className: 'Message', classLevelPermissions },
      { master: true },
    );
    const found = await doctor([], { PARSE_MASTER_KEY: server.masterKey });
    expect(found['Message sender']).toMatchObject({
      status: 'warning',
      message: expect.stringContaining('protectedFieldsTriggerExempt'),
    });
  });

  test.each([
    ['Cannot convert undefined or null to object', /npm install --save-exact router@2\.2\.0/],
    ['any other text', /another function of this name/],
    ['Invalid function: "virgil-jwt"', /is not there: npm run deploy/],
    ['virgil-jwt is not configured on this server; its log says what to mend.', /set the VIRGIL_ variables/],
  ])('whose virgil-jwt answers 141 with %j', async (text, expected) => {
    const foreign = await startHttpServer(() => ({ status: 400, body: { code: 141, error: text } }));
    try {
      const { stdout } = await own.run('doctor', ['--json', '--server', foreign.url, '--app-id', 'app'], {});
      const { findings } = JSON.parse(stdout);
      expect(findings.find(({ check }: Finding) => check === 'virgil-jwt')).toMatchObject(fault(expected));
    } finally {
      await foreign.stop();
    }
  });
});
