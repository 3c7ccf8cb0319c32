import type { RequestHandler } from 'express';
import { ERASURE_CLASS, registerErasure } from '../../../cloud/triggers/erasure';
import { becomeCloudCode, type CloudRequest } from '../../support/cloud-code';
import { makeVirgilApplication, type VirgilApplication } from '../../support/virgil-application';
import { call, createCardManager, serveVirgilCloud } from '../../support/virgil-cloud';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const MINUTE = 60_000;
const TTL = 1200;
/** What is in front of the path of a request that the server makes. */
const BY_SERVER = '/by-the-server';
const ROOTS = ['e3kit', 'group-sessions', 'unsafe-keys', 'ratchet-peer-to-peer'];

interface Row {
  objectId: string;
  createdAt: string;
  identity: string;
  due: { iso: string };
  again: { iso: string };
  attempts: number;
  marked: boolean;
}
type Trigger = (request: object) => Promise<void>;

/** Rows and users, as the database has them, and what registers the server's triggers. */
let rows: Row[];
let users: Set<string>;
let refused: (request: CloudRequest) => boolean;
/** The look-up of users. */
let hangs: boolean;
/** Milliseconds. */
const waits: number[] = [];
let logged: string[];
let timers: { run: () => Promise<void>; ms: number; unref: jest.Mock }[];
let triggers: Record<string, Trigger>;
let eraseIdentity: (identity: string) => Promise<void>;

/** Each thing that the server asks of another, before it is done and after. */
let step: () => void;
let isDead: boolean;
let crypto: Awaited<ReturnType<typeof loadVirgilCrypto>>;
let application: VirgilApplication;
let cloud: Awaited<ReturnType<typeof serveVirgilCloud>>;
let environment: Record<string, string>;
let fault: RequestHandler | undefined;
let asked: string[];

becomeCloudCode((request) => (act(request) ?? never) as object);
const never = new Promise(() => {});

function act(request: CloudRequest): object | undefined {
  step();
  if (isDead) return undefined;
  expect(request.useMasterKey).toBe(true);
  if (refused(request)) throw new Parse.Error(1, 'the database is away');
  const result = database(request);
  step();
  return isDead ? undefined : result;
}

function database({ method, path, data }: CloudRequest): object {
  const [, className, objectId] = path.split('/');
  expect(className).toBe(ERASURE_CLASS);
  const now = new Date(Date.now()).toISOString();
  if (method === 'POST') {
    const row = structuredClone({ ...data, objectId: `row${rows.length}${Math.random()}`, createdAt: now });
    expect(row.ACL).toEqual({});
    rows.push(row);
    return { objectId: row.objectId, createdAt: now };
  }
  if (method === 'GET') {
    const { identity, marked, due } = data.where;
    const found = rows
      .filter((row) => identity === undefined || row.identity === identity)
      .filter((row) => marked === undefined || row.marked === marked)
      .filter((row) => due?.$gt === undefined || row.due.iso > due.$gt.iso)
      .filter((row) => due?.$lte === undefined || row.due.iso <= due.$lte.iso)
      .sort((a, b) => (a.due.iso < b.due.iso ? -1 : 1))
      .slice(0, data.limit);
    return { results: structuredClone(found) };
  }
  const row = rows.find((one) => one.objectId === objectId);
  if (!row) throw new Parse.Error(101, 'Object not found.');
  if (method === 'PUT') Object.assign(row, structuredClone(data));
  else rows = rows.filter((one) => one !== row);
  return { updatedAt: now };
}

/** A server that starts, with the environment's credentials. */
function start() {
  isDead = false;
  timers = [];
  triggers = {};
  const register = (type: string) => (className: string, handler: Trigger) => {
    triggers[`${type} ${className}`] = handler;
  };
  Object.assign(Parse, {
    Server: {
      database: {
        async find(className: string, { objectId }: { objectId: string }) {
          step();
          if (isDead || hangs) await never;
          expect(className).toBe('_User');
          if (refused({ method: 'GET', path: '_User', data: {}, useMasterKey: true }))
            throw new Error('away');
          return users.has(objectId) ? [{ objectId }] : [];
        },
      },
      loggerController: { error: (line: string) => logged.push(line) },
    },
  });
  Object.assign(Parse.Cloud, {
    beforeSave: register('beforeSave'),
    beforeDelete: register('beforeDelete'),
    afterDelete: register('afterDelete'),
    job: (name: string, handler: Trigger) => {
      triggers[name] = handler;
    },
  });
  eraseIdentity = registerErasure({
    tokenTtlSeconds: TTL,
    guardUserIds: false,
    eraseDeletedUsers: true,
  });
}

const run = (name: string, request: object) => (triggers[name] as Trigger)(request);
const job = (params: object = {}) => run('virgil-erase', { params });
const request = (id: string) => ({ object: new Parse.Object('_User', { id }), master: false });
const storesOrder = (id: string) => run('beforeDelete _User', request(id));

/** As Parse Server deletes a user. */
async function remove(id: string): Promise<void> {
  await storesOrder(id);
  step();
  if (isDead) return;
  users.delete(id);
  step();
  if (isDead) return;
  await run('afterDelete _User', request(id));
}

let people = 0;
/** A user with a card and something in each place of Keyknox. */
async function register(): Promise<string> {
  const identity = `person${++people}`;
  users.add(identity);
  await registerAtVirgil(identity);
  return identity;
}
async function registerAtVirgil(identity: string): Promise<void> {
  const { privateKey, publicKey } = crypto.generateKeys();
  await createCardManager(application, cloud.url, identity).publishCard({ privateKey, publicKey, identity });
  const token = application.token(identity);
  const value = { meta: 'bWV0YQ==', value: 'dmFsdWU=' };
  await call(`${cloud.url}/keyknox/v1`, token, { method: 'PUT', body: value });
  for (const root of ROOTS) {
    const body = { ...value, root, path: 'a path', key: 'a key', identities: [identity] };
    await call(`${cloud.url}/keyknox/v2/push`, token, { body });
  }
}

/** What Virgil Cloud holds of an identity. */
async function held(identity: string) {
  const token = application.token(identity);
  const ask = async (path: string, body?: object) => (await call(cloud.url + path, token, { body })).body;
  const backups = await Promise.all(
    ROOTS.map(async (root) => (await ask('/keyknox/v2/keys', { root, path: 'a path', identity })).length),
  );
  const cards = await ask('/card/v5/actions/search', { identities: [identity] });
  const { value } = await ask('/keyknox/v1');
  return [cards.length, value.length > 0 ? 1 : 0, ...backups].join('');
}
const ALL = '111111';
const NOTHING = '000000';

const later = (ms: number) => jest.advanceTimersByTime(ms);

beforeAll(async () => {
  jest.useFakeTimers({
    doNotFake: [
      'hrtime',
      'nextTick',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'setTimeout',
      'clearTimeout',
    ],
  });
  jest.spyOn(console, 'warn').mockImplementation();
  crypto = await loadVirgilCrypto();
  application = makeVirgilApplication(crypto);
  cloud = await serveVirgilCloud(application, (request, response, next) => {
    if (!request.url.startsWith(BY_SERVER)) return next();
    request.url = request.url.slice(BY_SERVER.length);
    asked.push(request.path);
    step();
    if (isDead) return void request.socket.destroy();
    const answer = response.json.bind(response);
    response.json = (body) => {
      step();
      if (!isDead) return answer(body);
      request.socket.destroy();
      return response;
    };
    if (fault) fault(request, response, next);
    else next();
  });
  environment = {
    ...application.environment,
    VIRGIL_API_URL: cloud.url.replace('/virgil', `${BY_SERVER}/virgil`),
  };
  const realSetTimeout = setTimeout;
  jest.spyOn(globalThis, 'setTimeout').mockImplementation(((
    act: () => Promise<void>,
    ms: number,
    ...rest: []
  ) => {
    if (ms < 10_000) {
      waits.push(ms);
      return realSetTimeout(act, hangs ? 0 : ms, ...rest);
    }
    const unref = jest.fn();
    timers.push({ run: act, ms, unref });
    return { unref };
  }) as typeof setTimeout);
});
afterAll(() => cloud?.close());
beforeEach(() => {
  Object.assign(process.env, environment);
  rows = [];
  users = new Set();
  logged = [];
  asked = [];
  fault = undefined;
  refused = () => false;
  hangs = false;
  step = () => {};
  start();
});

const times = () => rows.map(({ due, again, attempts }) => [due.iso, again.iso, attempts]);
const iso = (ms: number) => new Date(Date.now() + ms).toISOString();

test('a user who is deleted is gone from Virgil, at once and again when every token has ended', async () => {
  const id = await register();
  const other = await register();
  await remove(id);
  expect(await held(id)).toBe(NOTHING);
  const end = iso(MINUTE + TTL * 1000);
  expect(times()).toEqual([[end, end, 0]]);
  await registerAtVirgil(id); // with a token from before
  later(MINUTE + TTL * 1000 - 1);
  await job();
  expect(await held(id)).toBe(ALL);
  later(1);
  await job();
  expect(await held(id)).toBe(NOTHING);
  expect(rows).toEqual([]);
  expect(await held(other)).toBe(ALL);
  expect(logged).toEqual([]);
});

test('whatever step the server is killed at, in the end all is erased and the order is gone', async () => {
  const deletedAt: boolean[] = [];
  for (let isWhole = false; !isWhole; ) {
    start();
    const id = await register();
    let left = deletedAt.length + 1;
    let isOver = false;
    const died = new Promise<boolean>((done) => {
      step = () => {
        if (--left !== 0) return;
        isDead = true;
        isOver = true;
        done(false);
      };
    });
    const wholeLife = async () => {
      await remove(id);
      if (isOver) return false;
      later(TTL * 1000 + MINUTE);
      await job();
      return true;
    };
    isWhole = await Promise.race([wholeLife(), died]).catch(() => false);
    step = () => {};
    deletedAt.push(!users.has(id));
    start();
    later(61 * MINUTE);
    await job();
    later(TTL * 1000 + MINUTE);
    await job();
    const end = [deletedAt.length, await held(id), rows];
    expect(end).toEqual([deletedAt.length, users.has(id) ? ALL : NOTHING, []]);
  }
  expect(deletedAt.length).toBeGreaterThan(40);
  expect(deletedAt.indexOf(true)).toBeGreaterThan(3);
});

describe('an order', () => {
  test('for a user who exists erases nobody, is looked at again, and is dropped when its time has passed', async () => {
    const id = await register();
    await storesOrder(id); // and the deletion is rejected
    const end = Date.now() + MINUTE + TTL * 1000;
    const pauses: number[] = [];
    while (rows[0] && Date.now() < end) {
      const pause = Date.parse(rows[0].due.iso) - Date.now();
      pauses.push(pause / MINUTE);
      later(pause - 1);
      await job();
      expect(rows).toHaveLength(1);
      later(1);
      await job();
    }
    expect(pauses).toEqual([1, 1, 2, 4, 8, 5]);
    expect([rows, asked, logged]).toEqual([[], [], []]);
    expect(await held(id)).toBe(ALL);
  });

  test('of a deletion that is committed after its triggers have run is carried out then', async () => {
    const id = await register();
    await storesOrder(id);
    await run('afterDelete _User', request(id)); // in the transaction: others still see the user
    expect(asked).toEqual([]);
    users.delete(id);
    later(MINUTE);
    await job();
    expect(await held(id)).toBe(NOTHING);
    later(TTL * 1000 + MINUTE);
    await job();
    expect(rows).toEqual([]);
  });

  test('of a deletion that is rolled back after its triggers have run leaves the user alone', async () => {
    const id = await register();
    await storesOrder(id);
    await run('afterDelete _User', request(id));
    for (let looks = 0; rows.length > 0 && looks < 10; looks++) {
      later(MINUTE * 2 ** looks);
      await job();
    }
    expect([rows, asked]).toEqual([[], []]);
    expect(await held(id)).toBe(ALL);
  });

  test('asks the primary of the database whether the user exists: a replica may lag', async () => {
    const find = jest.spyOn(Parse.Server.database, 'find');
    await remove(await register());
    expect(find.mock.calls).toEqual([
      ['_User', expect.anything(), expect.objectContaining({ readPreference: 'PRIMARY' })],
    ]);
  });

  test('for a user who is there again at the second pass is dropped', async () => {
    const id = await register();
    await remove(id);
    users.add(id);
    await registerAtVirgil(id);
    later(TTL * 1000 + MINUTE);
    await job();
    expect(rows).toEqual([]);
    expect(await held(id)).toBe(ALL);
  });

  test('is not carried out where the look-up of the user fails', async () => {
    const id = await register();
    refused = ({ path }) => path === '_User';
    await remove(id);
    expect(asked).toEqual([]);
    expect(rows).toHaveLength(1);
    expect(logged).toEqual(['virgil-erase: tried again later. away']);
  });

  test('that is forged is dropped unless its user is gone, and its text is nowhere', async () => {
    const id = await register();
    const gone = await register();
    users.delete(gone);
    const createdAt = iso(-MINUTE);
    const forge = (fields: object) =>
      rows.push({ ...fields, due: { __type: 'Date', iso: createdAt } } as never);
    forge({ objectId: 'a', createdAt, identity: id, marked: false, attempts: 0 });
    forge({ objectId: 'b', createdAt, identity: `${id}/../x` });
    forge({ objectId: 'c', createdAt, identity: { text: 'a text' }, marked: true });
    forge({ objectId: 'd', createdAt });
    forge({ objectId: 'e', createdAt, identity: id, marked: 'yes' });
    forge({ objectId: 'f', createdAt, identity: gone });
    await job();
    expect([rows, logged]).toEqual([[], []]);
    expect([await held(id), await held(gone)]).toEqual([ALL, NOTHING]);
  });

  test('is one for an identity, and renewed; a new one where somebody may be about to drop it', async () => {
    const id = await register();
    await storesOrder(id); // and the deletion is refused
    later(MINUTE / 2 - 1);
    await storesOrder(id);
    expect(times()).toEqual([[iso(MINUTE), iso(MINUTE + TTL * 1000), 0]]);
    later(MINUTE / 2);
    await storesOrder(id);
    expect(rows).toHaveLength(2);
    await remove(id);
    expect(await held(id)).toBe(NOTHING);
    later(TTL * 1000 + MINUTE);
    await job();
    expect(rows).toEqual([]);
  });

  test('that cannot be stored does not stop the deletion, and is in the log', async () => {
    const id = await register();
    refused = ({ method }) => method === 'POST';
    await remove(id);
    expect(users.has(id)).toBe(false);
    const line = `virgil-erase: no order for ${id} can be stored: once deleted, run this job with it. the database is away`;
    expect(logged).toEqual([line, line]);
    expect(await held(id)).toBe(ALL);
    refused = () => false;
    await job({ identity: id });
    expect(await held(id)).toBe(NOTHING);
  });

  test('is not stored for who cannot have had a token', async () => {
    for (const id of ['*', 'role:Admins', 'a b', 'a'.repeat(65)]) {
      users.add(id);
      await remove(id);
    }
    expect([rows, logged]).toEqual([[], []]);
  });
});

describe('a Virgil Cloud that fails', () => {
  const fail =
    (status: number): RequestHandler =>
    (_request, response) =>
      void response.status(status).end();

  test.each([401, 404, 429, 500, 503])(
    'with %i at any request: it is tried again until all is done',
    async (status) => {
      const id = await register();
      let requests = 0;
      fault = (request, response, next) =>
        requests-- === 0 ? fail(status)(request, response, next) : next();
      await remove(id);
      for (let n = 1; logged.length === n; n++) {
        expect(logged.at(-1)).toMatch(
          new RegExp(`^virgil-erase: tried again later\\. POST /\\S+ was answered ${status}\\.$`),
        );
        requests = n;
        later(61 * MINUTE);
        await job().catch(() => {});
      }
      expect(logged.length).toBeGreaterThan(3);
      expect(await held(id)).toBe(NOTHING);
      expect(rows).toEqual([]);
    },
  );

  test('is tried after growing pauses, of an hour at most, with a line in the log each', async () => {
    fault = fail(500);
    await remove(await register());
    const pauses: number[] = [];
    for (let n = 1; n < 9; n++) {
      expect(logged).toHaveLength(n);
      expect(rows[0]?.attempts).toBe(n);
      const pause = Date.parse(rows[0]?.due.iso as string) - Date.now();
      pauses.push(pause / MINUTE);
      later(pause - 1);
      await job();
      later(1);
      await expect(job()).rejects.toThrow('Not all is done, and is tried again. See the log.');
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  });

  test('is left alone for half a minute, whoever is deleted meanwhile', async () => {
    fault = fail(500);
    await remove(await register());
    asked.length = 0;
    fault = undefined;
    const next = await register();
    await remove(next);
    later(MINUTE / 2 - 1);
    await remove(await register());
    expect(asked).toEqual([]);
    later(1);
    await remove(await register());
    expect(await held(next)).toBe(NOTHING);
    expect(logged).toHaveLength(1);
  });

  test.each([400, 413])(
    'with %i for one user does not keep others waiting, and the job says that it is left',
    async (status) => {
      const faulty = await register();
      fault = (request, response, next) => {
        const [, payload = ''] = (request.headers.authorization ?? '').split('.');
        const { sub } = JSON.parse(Buffer.from(payload, 'base64url').toString());
        if (sub === `identity-${faulty}`) fail(status)(request, response, next);
        else next();
      };
      await remove(faulty);
      const next = await register();
      await remove(next);
      expect(await held(next)).toBe(NOTHING);
      expect(logged).toEqual([
        expect.stringMatching(`^virgil-erase: tried again later. POST /\\S+ was answered ${status}.$`),
      ]);
      later(MINUTE);
      await expect(job()).rejects.toThrow('Not all is done, and is tried again. See the log.');
      fault = undefined;
      later(61 * MINUTE);
      await job();
      expect(await held(faulty)).toBe(NOTHING);
    },
  );

  test('keeps a deletion waiting for 3 s, whatever it hangs at', async () => {
    const id = await register();
    waits.length = 0;
    hangs = true;
    await remove(id);
    expect(users.has(id)).toBe(false);
    expect(waits).toEqual([3000]);
    expect(logged).toEqual([]);
  });

  test('for want of credentials: the log says which, once an attempt', async () => {
    process.env.VIRGIL_APP_KEY = 'no key';
    const id = await register();
    await remove(id);
    expect(logged).toEqual([
      expect.stringMatching(/^virgil-erase is not configured: VIRGIL_APP_KEY is no private key/),
    ]);
    expect(logged.join()).not.toContain('no key');
    Object.assign(process.env, environment);
    later(MINUTE);
    await job();
    expect(await held(id)).toBe(NOTHING);
  });
});

test('of many orders five are carried out at a time, and none is lost', async () => {
  const ids = await Promise.all(Array.from({ length: 23 }, register));
  const held5: (() => void)[] = [];
  fault = (_request, _response, next) => held5.push(next);
  const removed = Promise.all(ids.map(remove));
  while (held5.length < 5) await new Promise(setImmediate);
  for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate);
  expect(held5).toHaveLength(5);
  fault = undefined;
  for (const next of held5) next();
  await removed;
  await job();
  expect(await Promise.all(ids.map(held))).toEqual(ids.map(() => NOTHING));
});

test('without lib/rest.js, a trigger rejects whoever writes an order without the master key', async () => {
  const write = (master: boolean) =>
    run(`beforeSave ${ERASURE_CLASS}`, { object: new Parse.Object(ERASURE_CLASS, {}), master });
  await expect(write(false)).rejects.toMatchObject({ code: 119 });
  await write(true);
});

describe('the timer', () => {
  test('is one, does not keep the process alive, and comes after a minute, give or take', () => {
    expect(timers).toHaveLength(1);
    expect(timers[0]?.unref).toHaveBeenCalledTimes(1);
    expect(timers[0]?.ms).toBeGreaterThanOrEqual(45_000);
    expect(timers[0]?.ms).toBeLessThanOrEqual(75_000);
  });

  test('carries out what is due, also after it has failed', async () => {
    const id = await register();
    await storesOrder(id);
    users.delete(id); // and the server is killed
    start();
    refused = () => true;
    await timers[0]?.run();
    expect(logged).toEqual(['virgil-erase: tried again later. the database is away']);
    refused = () => false;
    later(MINUTE);
    await timers[1]?.run();
    expect(timers).toHaveLength(3);
    expect(await held(id)).toBe(NOTHING);
  });
});

describe('a user whom the app only marks', () => {
  test('is erased although the user is there, and again', async () => {
    const id = await register();
    await eraseIdentity(id);
    expect(await held(id)).toBe(NOTHING);
    expect(rows).toMatchObject([{ identity: id, marked: true }]);
    await registerAtVirgil(id);
    later(TTL * 1000 + MINUTE);
    await job();
    expect(await held(id)).toBe(NOTHING);
    expect(rows).toEqual([]);
  });

  test('must be an identity, and the order is stored or the app told', async () => {
    for (const id of ['', '*', 'role:Admins', undefined]) {
      await expect(eraseIdentity(id as string)).rejects.toThrow('An identity is the objectId of a user.');
    }
    const id = await register();
    refused = () => true;
    await expect(eraseIdentity(id)).rejects.toThrow('the database is away');
    expect([rows, asked]).toEqual([[], []]);
  });
});

describe('the job, given an identity', () => {
  test('erases whom somebody has deleted past the triggers', async () => {
    const id = await register();
    users.delete(id);
    await job({ identity: id });
    expect(await held(id)).toBe(NOTHING);
    expect(rows).toMatchObject([{ identity: id, marked: false, attempts: 0 }]);
  });

  test('refuses a user who is there, and what is no identity', async () => {
    const id = await register();
    await expect(job({ identity: id })).rejects.toThrow('This user is there still: delete the user.');
    await expect(job({ identity: 'role:Admins' })).rejects.toThrow('An identity is the objectId of a user.');
    expect([rows, asked]).toEqual([[], []]);
  });
});
