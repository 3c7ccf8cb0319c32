import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EThree } from '@virgilsecurity/e3kit-node';
import type { RequestHandler } from 'express';
import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { type Caller, restClient } from '../../support/rest';
import { makeVirgilApplication, type VirgilApplication } from '../../support/virgil-application';
import { call, serveVirgilCloud } from '../../support/virgil-cloud';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const FORBIDDEN = 119;
const INVALID = 142;
const ORDERS = 'VirgilErasure';
const master = { master: true };

// An app with triggers of its own on users: what a name begins with says what becomes of its deletion.
const cloudCode = `
  const { eraseIdentity } = require('./e2ee');
  const begins = (object, word) => object.get('username').startsWith(word);
  const seen = [];
  Parse.Cloud.beforeDelete(Parse.User, ({ object }) => {
    seen.push('before ' + object.toJSON().username);
    if (begins(object, 'kept')) throw 'kept by the app';
  }, { skipWithMasterKey: true, requireUserKeys: { username: { options: (name) => !name.startsWith('refused') } } });
  Parse.Cloud.afterDelete('_User', ({ object }) => {
    seen.push('after ' + object.get('username'));
    if (begins(object, 'loud')) throw 'thrown by the app';
    if (begins(object, 'killer')) process.kill(process.pid, 'SIGKILL');
  }, ({ object }) => {
    if (begins(object, 'invalid')) throw 'refused by a validator';
  });
  const hidden = [];
  Parse.Cloud.beforeFind('_User', ({ query, user }) => user ? query : query.notContainedIn('username', hidden));
  Parse.Cloud.define('hide', ({ params }) => void hidden.push(params.username));
  Parse.Cloud.define('seen', () => seen);
  Parse.Cloud.define('mark', ({ params }) => eraseIdentity(params.id));
`;

const folder = mkdtempSync(join(tmpdir(), 'e2ee-erasure-'));
let application: VirgilApplication;
let cloud: Awaited<ReturnType<typeof serveVirgilCloud>>;
let fault: RequestHandler | undefined;
let server: BareParseServer;
let rest: ReturnType<typeof restClient>;
let finder: Person;

beforeAll(async () => {
  application = makeVirgilApplication(await loadVirgilCrypto());
  cloud = await serveVirgilCloud(application, (request, response, next) => {
    if (fault) fault(request, response, next);
    else next();
  });
  server = await startBareParseServer({
    policy: { virgil: { tokenTtlSeconds: 1200, guardUserIds: true, eraseDeletedUsers: true }, classes: {} },
    cloudCode,
    environment: { ...application.environment, VIRGIL_API_URL: cloud.url },
  });
  rest = restClient(server);
  finder = await register();
});
afterAll(async () => {
  await server?.stop();
  await cloud?.close();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  fault = undefined;
});

let devices = 0;
interface Person {
  id: string;
  username: string;
  sessionToken: string;
  e3kit: EThree;
}

/** A device with the one token that it has now. */
async function newDevice(user: { sessionToken: string }): Promise<EThree> {
  const { token } = (await rest.run('virgil-jwt', {}, user)).body.result;
  const storage = join(folder, `device-${++devices}`);
  return EThree.initialize(async () => token, {
    apiUrl: cloud.url,
    storageName: join(storage, 'keys'),
    groupStorageName: join(storage, 'groups'),
  });
}

/** Somebody with a card and two key backups. */
async function register(word = 'user', fields: object = {}): Promise<Person> {
  const username = `${word}-${++devices}`;
  const { body } = await rest.call('POST', '/users', { username, password: 'a password', ...fields });
  const user = { id: body.objectId, username, sessionToken: body.sessionToken };
  const e3kit = await newDevice(user);
  await e3kit.register();
  await e3kit.backupPrivateKey('a password');
  await e3kit.backupPrivateKey('a password', 'a name');
  return { ...user, e3kit };
}

const remove = ({ id }: Person, caller: Caller) => rest.call('DELETE', `/users/${id}`, undefined, caller);

/** Whether others find the user, and which key backups are there. */
async function stateOf({ id }: Person): Promise<string> {
  const token = application.token(id);
  const ask = async (path: string, body?: object) => (await call(cloud.url + path, token, { body })).body;
  const isFound = await finder.e3kit.findUsers(id).then(
    () => true,
    (error) => {
      expect(error.name).toBe('UsersNotFoundError');
      return false;
    },
  );
  const { value } = await ask('/keyknox/v1');
  const named = await ask('/keyknox/v2/keys', { root: 'e3kit', path: 'backup', identity: id });
  return [isFound && 'found', value && 'backup', ...named].filter(Boolean).join(', ');
}
const ALL = 'found, backup, a name';
const NOTHING = '';

const orders = (where = {}) => server.rows.find(ORDERS, where);
const date = (ms: number) => ({ __type: 'Date', iso: new Date(Date.now() + ms).toISOString() });

/** Turns the clock: all is due, and every token has ended. */
const turnClock = () => server.rows.update(ORDERS, {}, { due: date(-1000), again: date(-1000) });

/** Runs the Cloud Job, and waits for its end. */
async function job(params: object = {}): Promise<string> {
  await rest.call('POST', '/jobs/virgil-erase', params, master);
  for (;;) {
    const { results } = (
      await rest.call('GET', '/classes/_JobStatus?order=-createdAt&limit=1', undefined, master)
    ).body;
    if (results[0].status !== 'running') return results[0].status;
    await new Promise((done) => setTimeout(done, 20));
  }
}

describe('a user who is deleted', () => {
  test.each(['by the user', 'by the master key', 'in a batch', 'through GraphQL'])(
    '%s: nobody finds the user, no backup is left, and others stay as they are',
    async (how) => {
      const user = await register();
      const path = `/parse/users/${user.id}`;
      expect(await stateOf(user)).toBe(ALL);
      if (how === 'by the user') expect((await remove(user, user)).body).toEqual({});
      if (how === 'by the master key') expect((await remove(user, master)).body).toEqual({});
      if (how === 'in a batch') {
        const requests = [path, '/parse/users/nobody'].map((one) => ({ method: 'DELETE', path: one }));
        const { body } = await rest.call('POST', '/batch', { requests }, master);
        expect(body).toMatchObject([{ success: {} }, { error: { code: 101 } }]);
      }
      if (how === 'through GraphQL') {
        const { data } = await graphQL(
          `mutation { deleteUser(input: { id: "${user.id}" }) { user { objectId } } }`,
          user,
        );
        expect(data.deleteUser.user.objectId).toBe(user.id);
      }
      expect(await stateOf(user)).toBe(NOTHING);
      expect(await stateOf(finder)).toBe(ALL);
    },
  );

  test('makes room: somebody else may register', async () => {
    const { username, ...user } = await register();
    await remove({ username, ...user }, user);
    const { body } = await rest.call('POST', '/users', { username, password: 'a password' });
    const e3kit = await newDevice(body);
    await e3kit.register();
    expect(await stateOf({ ...user, username, id: body.objectId })).toBe('found');
  });

  test('and registers again with a token from before is gone when that has ended', async () => {
    const ghost = await register();
    await remove(ghost, ghost);
    const [order] = await orders({ identity: ghost.id });
    const { iso } = (order as { again: { iso: string } }).again;
    expect(Date.parse(iso) - Date.parse(order?.createdAt as string)).toBeGreaterThan(1_200_000 + 50_000);
    expect(order).toMatchObject({ due: { iso }, attempts: 0, marked: false });
    await ghost.e3kit.cleanup();
    await ghost.e3kit.register();
    await ghost.e3kit.backupPrivateKey('a password');
    expect(await stateOf(ghost)).toBe('found, backup');
    await turnClock();
    expect(await job()).toBe('succeeded');
    expect(await stateOf(ghost)).toBe(NOTHING);
    expect(await orders()).toEqual([]);
  });
});

describe('nobody else can order an erasure', () => {
  let victim: Person;
  let stranger: Person;
  beforeAll(async () => {
    [victim, stranger] = await Promise.all([register(), register()]);
    await rest.run('hide', { username: stranger.username });
    const where = encodeURIComponent(JSON.stringify({ objectId: stranger.id }));
    expect((await rest.call('GET', `/users?where=${where}`, undefined, master)).body.results).toEqual([]);
  });
  afterEach(async () => {
    await turnClock();
    expect(await job()).toBe('succeeded');
    expect(await orders()).toEqual([]);
    expect(await stateOf(victim)).toBe(ALL);
    expect(await stateOf(stranger)).toBe(ALL);
  });

  test('by deleting somebody else, whom everybody can read', async () => {
    const ACL = { '*': { read: true }, [victim.id]: { read: true, write: true } };
    expect((await rest.call('PUT', `/users/${victim.id}`, { ACL }, master)).status).toBe(200);
    for (const caller of [stranger, {}]) expect((await remove(victim, caller)).body.code).toBe(206);
    expect(await orders()).toEqual([]);
  });

  test('by writing one, whoever has not the master key', async () => {
    const order = () => ({
      identity: victim.id,
      due: date(-1000),
      again: date(-1000),
      attempts: 0,
      marked: true,
    });
    const path = `/parse/classes/${ORDERS}`;
    for (const caller of [{}, stranger, victim]) {
      const made = await rest.call('POST', `/classes/${ORDERS}`, order(), caller);
      expect(made.body).toEqual({ code: FORBIDDEN, error: 'VirgilErasure is for the server alone.' });
      const requests = [{ method: 'POST', path, body: order() }];
      expect((await rest.call('POST', '/batch', { requests }, caller)).body[0].error.code).toBe(FORBIDDEN);
    }
    const { errors } = await graphQL(
      `mutation { create${ORDERS}(input: { fields: {} }) { clientMutationId } }`,
      stranger,
    );
    expect(errors).toHaveLength(1);
    const many = Object.fromEntries(Array.from({ length: 8000 }, (_, i) => [`f${i}`, {}]));
    expect((await rest.call('POST', `/classes/${ORDERS}`, many)).body.code).toBe(FORBIDDEN);
    expect(await orders()).toEqual([]);
  });

  test('nor read, change or delete one, whatever the permissions of class and row are', async () => {
    const [closed, open] = [
      { _rperm: [], _wperm: [] },
      { _rperm: ['*'], _wperm: ['*'] },
    ];
    const row = { identity: victim.id, due: date(60_000), again: date(60_000), attempts: 0, marked: false };
    await server.rows.insert(ORDERS, [
      { ...row, ...closed, objectId: 'closed' },
      { ...row, ...open, objectId: 'open' },
    ]);
    const { body } = await rest.call('GET', `/classes/${ORDERS}`, undefined, stranger);
    expect(body.results.map(({ objectId }: { objectId: string }) => objectId)).toEqual(['open']);
    for (const id of ['closed', 'open']) {
      const path = `/classes/${ORDERS}/${id}`;
      const code = id === 'open' ? FORBIDDEN : 101;
      expect((await rest.call('PUT', path, { marked: true }, stranger)).body.code).toBe(FORBIDDEN);
      expect((await rest.call('DELETE', path, undefined, stranger)).body.code).toBe(code);
    }
    expect(await orders()).toHaveLength(2);
  });

  test('nor in the database, where the user is there, hidden from queries or not', async () => {
    const now = { due: date(-1000), again: date(-1000) };
    await server.rows.insert(ORDERS, [
      { objectId: 'a', identity: victim.id, ...now },
      { objectId: 'b', identity: stranger.id, ...now, attempts: 3, marked: false },
      { objectId: 'c', identity: 'role:Admins', ...now, marked: true },
    ]);
  });

  test('by the job, which takes the master key', async () => {
    for (const caller of [{}, victim]) {
      const { status } = await rest.call('POST', '/jobs/virgil-erase', { identity: victim.id }, caller);
      expect(status).toBe(403);
    }
    expect(await job({ identity: victim.id })).toBe('failed');
  });
});

describe("the app's own triggers", () => {
  const seen = async () => (await rest.run('seen')).body.result;

  test('run before ours, but for the master key where they say so', async () => {
    const [one, other] = [await register(), await register()];
    await remove(one, one);
    await remove(other, master);
    expect((await seen()).slice(-3)).toEqual([
      `before ${one.username}`,
      `after ${one.username}`,
      `after ${other.username}`,
    ]);
  });

  test.each([
    ['kept', 141, 'kept by the app'],
    ['refused', INVALID, 'Validation failed. Invalid value for username.'],
  ])('can refuse the deletion (%s)', async (word, code, error) => {
    const user = await register(word);
    expect((await remove(user, user)).body).toEqual({ code, error });
    await turnClock();
    await job();
    expect(await stateOf(user)).toBe(ALL);
  });

  test('cannot stop the erasure once the user is gone: one that throws', async () => {
    const user = await register('loud');
    expect((await remove(user, user)).body).toEqual({ code: 141, error: 'thrown by the app' });
    expect(await stateOf(user)).toBe(NOTHING);
  });

  test('nor a validator', async () => {
    const user = await register('invalid');
    expect((await remove(user, user)).body.code).toBe(INVALID);
    await turnClock();
    expect(await job()).toBe('succeeded');
    expect(await stateOf(user)).toBe(NOTHING);
  });
});

test('a user whom the app marks is erased by eraseIdentity', async () => {
  const user = await register();
  expect((await rest.run('mark', { id: user.id })).body).toEqual({});
  expect(await stateOf(user)).toBe(NOTHING);
  expect(await orders({ identity: user.id })).toMatchObject([{ marked: true, _rperm: [], _wperm: [] }]);
  expect((await rest.run('mark', { id: '*' })).body.error).toBe('An identity is the objectId of a user.');
});

test('a user whom Parse Server cannot delete, for a File without url from before: past it, and by the job', async () => {
  const user = await register('user', { map: {} });
  const map = { file: { __type: 'File', name: 'x' } };
  expect((await rest.call('PUT', `/users/${user.id}`, { map }, user)).body.code).toBe(INVALID);
  await server.rows.update('_User', { objectId: user.id }, { map });
  expect((await remove(user, master)).status).toBe(500);
  await server.rows.delete('_User', { objectId: user.id });
  expect(await job({ identity: user.id })).toBe('succeeded');
  expect(await stateOf(user)).toBe(NOTHING);
});

test('a Virgil Cloud that hangs, and a server that is killed before and after it is asked', async () => {
  const [killer, first] = [await register('killer'), await register()];
  let asked = 0;
  fault = ({ path }, _response, next) => {
    asked++;
    // The card is revoked, the backups are there still.
    if (!path.includes('/keyknox/')) next();
  };
  await remove(first, first);
  expect(asked).toBe(8);
  expect(await orders({ identity: first.id })).toMatchObject([{ attempts: 1 }]);
  await expect(remove(killer, killer)).rejects.toThrow('fetch failed');
  fault = undefined;
  expect(await stateOf(killer)).toBe(ALL);
  await server.kill(); // waits until it is dead
  await server.startAgain();
  await turnClock();
  expect(await job()).toBe('succeeded');
  expect(await stateOf(killer)).toBe(NOTHING);
  expect(await stateOf(first)).toBe(NOTHING);
  expect(await orders()).toEqual([]);
});

// Last: it reads what all the others have left.
test('of a user nothing is in the log but the ID', async () => {
  const user = await register('kept', { phone: 'SECRET', email: 'kept@secret.example' });
  await remove(user, user);
  await remove(user, master);
  const refused = await register('refused', { phone: 'SECRET' });
  await remove(refused, refused);
  const logged = await server.logged();
  for (const line of ['beforeDelete triggered', 'beforeDelete failed', 'afterDelete triggered']) {
    expect(logged).toContain(`${line} for _User`);
  }
  expect(logged).toContain(`{\\"className\\":\\"_User\\",\\"objectId\\":\\"${user.id}\\"}`);
  expect(logged).not.toMatch(/SECRET|secret\.example/);
  // What hung, where the server lived to see it.
  expect(logged).not.toMatch(
    /virgil-erase: (?!tried again later\. POST \/\S+ was not answered within 3 s\.)/,
  );
});

// biome-ignore lint/suspicious/noExplicitAny: what a server answers is what the test finds out
async function graphQL(query: string, { sessionToken }: { sessionToken: string }): Promise<any> {
  const response = await fetch(server.graphQLUrl, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'X-Parse-Application-Id': server.appId,
      'X-Parse-Session-Token': sessionToken,
    },
    body: JSON.stringify({ query }),
  });
  return response.json();
}
