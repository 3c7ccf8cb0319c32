import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { onMongoDb } from '../../support/engine';
import { restClient } from '../../support/rest';

const FORBIDDEN = 119;
const INVALID = 142;

const folder = mkdtempSync(join(tmpdir(), 'e2ee-mail-'));
const mails = join(folder, 'mails');

// An app's own trigger, which sees the user as it is, and whose validator is an object.
const cloudCode = `
  require('./e2ee');
  Parse.Cloud.beforeSave(Parse.User, ({ object }) => {
    if (object.get('username') === 'refused by the app') throw 'not here';
    if (object.get('username')?.startsWith('moved by the app')) object.id = 'somebodyElse';
    object.set('seenByTheApp', object.toJSON().username);
  }, { fields: { username: { options: (name) => name !== 'refused by the validator' } } });
`;

let server: BareParseServer;
let rest: ReturnType<typeof restClient>;

beforeAll(async () => {
  server = await startBareParseServer({
    policy: { virgil: { tokenTtlSeconds: 1200, guardUserIds: true }, classes: {} },
    cloudCode,
    parseOptions: {
      allowCustomObjectId: true,
      appName: 'test',
      publicServerURL: 'http://127.0.0.1:1/parse',
      verifyUserEmails: true,
      emailAdapter: { module: require.resolve('../../support/mail-adapter'), options: { file: mails } },
      accountLockout: { duration: 1, threshold: 2 },
      auth: { mine: { module: require.resolve('../../support/auth-adapter'), enabled: true } },
      cacheTTL: 1000,
    },
  });
  rest = restClient(server);
});
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true });
});

const login = (username: string, password = 'a password') =>
  rest.call('POST', '/login', { username, password });
const mailed = () => (existsSync(mails) ? readFileSync(mails, 'utf8') : '');

describe('an objectId that changes is refused', () => {
  test.each(['zzzzzzzzzz', '*', 'role:Admins', 'Ĝŉ', ''])(
    'to %j, by the user and by the master key',
    async (objectId) => {
      const user = await rest.signUp();
      for (const caller of [user, { master: true }]) {
        const { body } = await rest.call('PUT', `/users/${user.id}`, { objectId, phone: '1' }, caller);
        expect(body).toEqual({ code: FORBIDDEN, error: "A user's objectId cannot change." });
      }
      expect((await login(user.username)).body.objectId).toBe(user.id);
    },
  );

  test("to a deleted user's, whose identity it would take over", async () => {
    const victim = await rest.signUp();
    const user = await rest.signUp();
    await rest.call('DELETE', `/users/${victim.id}`, undefined, victim);
    const requests = [{ method: 'PUT', path: `/parse/users/${user.id}`, body: { objectId: victim.id } }];
    expect((await rest.call('POST', '/batch', { requests }, user)).body[0].error.code).toBe(FORBIDDEN);
    expect((await rest.call('PUT', `/users/${user.id}`, { objectId: victim.id }, user)).body.code).toBe(
      FORBIDDEN,
    );
  });

  test("and one that the app's own trigger sets is not stored, by Parse Server itself", async () => {
    const user = await rest.signUp();
    const change = { username: `moved by the app: ${user.username}` };
    expect((await rest.call('PUT', `/users/${user.id}`, change, user)).status).toBe(200);
    expect((await login(change.username)).body.objectId).toBe(user.id);
  });

  test('one that stays may be sent along', async () => {
    const user = await rest.signUp();
    expect((await rest.call('PUT', `/users/${user.id}`, { objectId: user.id, n: 1 }, user)).status).toBe(200);
  });
});

test.each(['Ĝŉ', '*', 'role:Admins', 'a b', 'a'.repeat(65)])('a new user cannot be %j', async (objectId) => {
  const username = `would-be ${objectId}`;
  const { body } = await rest.call('POST', '/users', { username, password: 'a password', objectId });
  expect(body.code).toBe(FORBIDDEN);
  expect((await login(username)).body.code).toBe(101);
});

test('a new user may have an ID of the app’s own making', async () => {
  // Parse Server makes a key of it, and MongoDB's has no ".".
  const objectId = onMongoDb ? 'user@example' : 'user@example.com';
  const fields = { username: 'custom', password: 'a password', objectId };
  expect((await rest.call('POST', '/users', fields)).body.objectId).toBe(objectId);
});

describe('all else goes on as before', () => {
  test('sign-up, log-in, a new password, an email and its verification, a reset', async () => {
    const user = await rest.signUp();
    const email = `${user.username}@secret.example`;
    expect(
      (await rest.call('PUT', `/users/${user.id}`, { email, phone: '+1 555 SECRET' }, user)).status,
    ).toBe(200);
    await until(() => mailed().includes(`username=${user.username}`) || mailed().includes('token='));
    expect((await rest.call('PUT', `/users/${user.id}`, { password: 'another' }, user)).status).toBe(200);
    expect((await login(user.username)).body.code).toBe(101);
    const { status, body } = await login(user.username, 'another');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      objectId: user.id,
      email,
      emailVerified: false,
      seenByTheApp: user.username,
    });
    const link = new URL(/http[^"]*verify_email[^"]*/.exec(mailed())?.[0] as string);
    const verified = await fetch(server.url + link.pathname.replace('/parse', '') + link.search, {
      redirect: 'manual',
    });
    expect(verified.status).toBeLessThan(400);
    const { body: now } = await rest.call('GET', `/users/${user.id}`, undefined, { master: true });
    expect(now.emailVerified).toBe(true);
    expect((await rest.call('POST', '/requestPasswordReset', { email })).status).toBe(200);
    await until(() => mailed().includes('"reset"'));
  });

  test('an anonymous user, and its upgrade', async () => {
    const authData = { anonymous: { id: 'anonymous-SECRET-id' } };
    const { body } = await rest.call('POST', '/users', { authData });
    expect(body.objectId).toBeTruthy();
    const again = await rest.call('POST', '/users', { authData });
    expect(again.body.objectId).toBe(body.objectId);
    const upgrade = { username: 'upgraded', password: 'a password', authData: { anonymous: null } };
    expect((await rest.call('PUT', `/users/${body.objectId}`, upgrade, body)).status).toBe(200);
    expect((await login('upgraded')).body.objectId).toBe(body.objectId);
  });

  test('linked auth data', async () => {
    const user = await rest.signUp();
    const authData = { mine: { id: 'linked-SECRET-id' } };
    expect((await rest.call('PUT', `/users/${user.id}`, { authData }, user)).status).toBe(200);
    expect((await rest.call('POST', '/users', { authData })).body.objectId).toBe(user.id);
  });

  test('the lockout of an account', async () => {
    const { username } = await rest.signUp();
    await login(username, 'wrong');
    await login(username, 'wrong');
    expect((await login(username)).body.error).toMatch(/locked/);
  });

  test("the app's own trigger and validator", async () => {
    const signUp = (username: string) => rest.call('POST', '/users', { username, password: 'a password' });
    expect((await signUp('refused by the app')).body).toEqual({ code: 141, error: 'not here' });
    expect((await signUp('refused by the validator')).body.code).toBe(INVALID);
  });
});

// Without the refusal Parse Server ends: it cannot write the value into its log.
describe('what would end the server is refused', () => {
  const file = { __type: 'File', name: 'x' };
  const date = { __type: 'Date', iso: 'no date' };
  test.each([
    ['a File without a url', file],
    ['one in an object in a list', [{ a: [{ b: file }] }]],
    ['one in an Add', { __op: 'Add', objects: [file] }],
    ['one in an AddUnique', { __op: 'AddUnique', objects: [{ a: file }] }],
    ['one in a Remove', { __op: 'Remove', objects: [file] }],
    ['a Date that is none', date],
    ['one in a list', [[date]]],
    ['one in an Add', { __op: 'Add', objects: [date] }],
  ])('%s', async (_name, extra) => {
    const user = await rest.signUp();
    const fields = { username: `${user.username}-2`, password: 'a password', extra };
    const requests = [{ method: 'POST', path: '/parse/users', body: fields }];
    for (const { body } of [
      await rest.call('POST', '/users', fields),
      await rest.call('PUT', `/users/${user.id}`, { extra }, user),
      await rest.call('PUT', `/users/${user.id}`, { 'extra.deep': extra }, user),
      { body: (await rest.call('POST', '/batch', { requests })).body[0].error },
    ]) {
      expect(body).toEqual({
        code: INVALID,
        error:
          '_User contains a File without a url, or an invalid Date: upload the file first, or set a valid Date.',
      });
    }
    expect((await rest.call('GET', '/health')).body.status).toBe('ok');
  });
});

test('a sign-up with thousands of fields is rejected, and makes no column', async () => {
  const username = 'with many fields';
  for (const name of ['f', 'f.x']) {
    const many = Object.fromEntries(Array.from({ length: 8000 }, (_, i) => [`${name}${i}`, {}]));
    const fields = { username, password: 'a password', ...many };
    expect((await rest.call('POST', '/users', fields)).body).toEqual({
      code: INVALID,
      error: '_User is sent more than 100 fields at once: send those that have changed.',
    });
  }
  expect((await login(username)).body.code).toBe(101);
  const { body } = await rest.call('GET', '/schemas/_User', undefined, { master: true });
  expect(Object.keys(body.fields)).not.toContain('f0');
});

test('of email, phone and auth data nothing is in a log with default levels', async () => {
  const logged = await server.logged();
  expect(logged).toContain('beforeSave triggered for _User');
  expect(logged).toContain('beforeSave failed for _User');
  expect(logged.includes('SECRET')).toBe(false);
  expect(logged.includes('secret.example')).toBe(false);
});

async function until(isDone: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !isDone(); i++) await new Promise((done) => setTimeout(done, 20));
  expect(isDone()).toBe(true);
}
