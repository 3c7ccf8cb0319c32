import type { RequestHandler } from 'express';
import { databaseFor } from '../../scripts/engines/databases';
import { type BareParseServer, startBareParseServer } from '../../scripts/local/bare-parse-server';
import { restClient } from '../support/rest';
import { makeVirgilApplication, type VirgilApplication } from '../support/virgil-application';
import { call, createCardManager, serveVirgilCloud } from '../support/virgil-cloud';
import { loadVirgilCrypto } from '../support/virgil-crypto';

jest.setTimeout(300_000);
const MANY = 1000;
const ORDERS = 'VirgilErasure';
const master = { master: true };

// Ends the server right after the n-th time that it has written a user or an order.
const cloudCode = `
  require('./e2ee');
  let left = Infinity;
  Parse.Cloud.define('killAfterWrite', ({ params }) => {
    left = params.n;
    const { adapter } = Parse.Server.database;
    for (const method of ['createObject', 'deleteObjectsByQuery', 'findOneAndUpdate']) {
      const write = adapter[method];
      adapter[method] = async (className, ...rest) => {
        const result = await write.call(adapter, className, ...rest);
        if (['_User', '${ORDERS}'].includes(className) && --left === 0) process.kill(process.pid, 'SIGKILL');
        return result;
      };
    }
  });
`;

let crypto: Awaited<ReturnType<typeof loadVirgilCrypto>>;
let application: VirgilApplication;
let cloud: Awaited<ReturnType<typeof serveVirgilCloud>>;
let before: RequestHandler | undefined;
let victim: BareParseServer;
let other: BareParseServer;
let rest: ReturnType<typeof restClient>;

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  application = makeVirgilApplication(crypto);
  cloud = await serveVirgilCloud(application, (request, response, next) => {
    if (before) before(request, response, next);
    else next();
  });
  const options = {
    policy: { virgil: { tokenTtlSeconds: 1200, eraseDeletedUsers: true }, classes: {} },
    environment: { ...application.environment, VIRGIL_API_URL: cloud.url },
    database: await databaseFor('erasure'),
  };
  victim = await startBareParseServer({ ...options, cloudCode });
  other = await startBareParseServer(options);
  rest = restClient(other);
});
afterAll(async () => {
  await victim?.stop();
  await other?.stop();
  await cloud?.close();
});

const backUp = async (id: string) => {
  const body = { meta: 'bWV0YQ==', value: 'dmFsdWU=' };
  expect((await call(`${cloud.url}/keyknox/v1`, application.token(id), { method: 'PUT', body })).status).toBe(
    200,
  );
};
type User = Awaited<ReturnType<typeof rest.signUp>>;
async function register(): Promise<User> {
  const user = await rest.signUp();
  const { id } = user;
  const { privateKey, publicKey } = crypto.generateKeys();
  await createCardManager(application, cloud.url, id).publishCard({ privateKey, publicKey, identity: id });
  await backUp(id);
  return user;
}
async function isErased(id: string): Promise<boolean> {
  const token = application.token(id);
  const body = { identities: [id] };
  const cards = await call(`${cloud.url}/card/v5/actions/search`, token, { body });
  const backup = await call(`${cloud.url}/keyknox/v1`, token);
  return cards.body.length === 0 && backup.body.value === '';
}

const orders = () => other.rows.find(ORDERS, {});
const past = () => ({ __type: 'Date', iso: new Date(Date.now() - 1000).toISOString() });
async function turnClock(): Promise<void> {
  await other.rows.update(ORDERS, {}, { due: past(), again: past() });
}
/** Runs the job on a server, and waits for its end. */
async function job(server: BareParseServer): Promise<void> {
  const response = await fetch(`${server.url}/jobs/virgil-erase`, {
    method: 'POST',
    headers: { 'X-Parse-Application-Id': server.appId, 'X-Parse-Master-Key': server.masterKey },
  });
  const path = `/classes/_JobStatus/${response.headers.get('X-Parse-Job-Status-Id')}`;
  while ((await rest.call('GET', path, undefined, master)).body.status === 'running') {
    await new Promise((done) => setTimeout(done, 20));
  }
}

describe('a server that is killed', () => {
  /** Deletes a user on the server that is killed, and has the other one do what is left. */
  async function lifeOf(id: string): Promise<boolean> {
    const deletion = restClient(victim).call('DELETE', `/users/${id}`, undefined, master);
    const isWhole = await deletion.then(
      () => true,
      () => false,
    );
    before = undefined;
    const { status } = await rest.call('GET', `/users/${id}`, undefined, master);
    await turnClock();
    await job(other);
    expect(await orders()).toEqual([]);
    expect(await isErased(id)).toBe(status !== 200);
    return isWhole;
  }

  test('after any of its writes: in the end all is erased and the order is gone', async () => {
    let writes = 0;
    for (let isWhole = false; !isWhole; writes++) {
      await restClient(victim).run('killAfterWrite', { n: writes + 1 });
      isWhole = await lifeOf((await register()).id);
      await victim.kill();
      await victim.startAgain();
    }
    expect(writes).toBe(6); // an order, the user, the order three times; and none
  });

  test('after any of its requests to Virgil Cloud: in the end all is erased and the order is gone', async () => {
    let requests = 0;
    for (let isWhole = false; !isWhole; requests++) {
      const { id } = await register();
      let left = requests + 1;
      before = (_request, response, next) => {
        const answer = response.json.bind(response);
        response.json = (body) => {
          if (--left === 0) victim.kill();
          return left > 0 ? answer(body) : response;
        };
        next();
      };
      isWhole = await lifeOf(id);
      await victim.kill();
      await victim.startAgain();
    }
    expect(requests).toBe(9); // two searches, the revocation, five places of Keyknox; and none
  });
});

// Parse Server runs afterDelete before it commits: until then every other connection sees the user.
describe('a batch with `transaction: true`', () => {
  const removeInBatch = (ids: string[], caller: object) => {
    const requests = ids.map((id) => ({ method: 'DELETE', path: `/parse/users/${id}` }));
    return rest.call('POST', '/batch', { requests, transaction: true }, caller);
  };

  test('that deletes a user, by the user or by the master key: the user is erased', async () => {
    const [one, another] = [await register(), await register()];
    for (const { id, caller } of [
      { id: one.id, caller: one },
      { id: another.id, caller: master },
    ]) {
      expect((await removeInBatch([id], caller)).status).toBe(200);
      expect(await orders()).toMatchObject([{ identity: id }]);
      await other.rows.update(ORDERS, {}, { due: past() }); // a minute later
      await job(other);
      expect(await isErased(id)).toBe(true);
      await turnClock();
      await job(other);
      expect(await orders()).toEqual([]);
    }
  });

  test('that is rolled back: the user is left alone, and the order ends when its time has passed', async () => {
    const { id } = await register();
    expect((await removeInBatch([id, 'notAUser00'], master)).status).toBeGreaterThanOrEqual(400);
    await other.rows.update(ORDERS, {}, { due: past() });
    await job(other);
    expect(await orders()).toHaveLength(1);
    await turnClock();
    await job(other);
    expect(await orders()).toEqual([]);
    expect((await rest.call('GET', `/users/${id}`, undefined, master)).status).toBe(200);
    expect(await isErased(id)).toBe(false);
  });
});

test('a thousand deletions at once, on two servers, while Virgil Cloud fails at times: not one is lost', async () => {
  const ids = Array.from({ length: MANY }, (_, i) => `many${i}`);
  await other.rows.insert(
    '_User',
    ids.map((id) => ({ objectId: id, username: id })),
  );
  await Promise.all(ids.map(backUp));
  let requests = 0;
  before = (_request, response, next) => (requests++ % 50 === 0 ? void response.status(500).end() : next());
  const clients = [restClient(victim), rest];
  const batches = Array.from({ length: MANY / 50 }, (_, i) => ids.slice(i * 50, i * 50 + 50));
  const answers = await Promise.all(
    batches.map((batch, i) => {
      const requests = batch.map((id) => ({ method: 'DELETE', path: `/parse/users/${id}` }));
      return (clients[i % 2] as typeof rest).call('POST', '/batch', { requests }, master);
    }),
  );
  for (const { body } of answers) {
    expect(body).toHaveLength(50);
    for (const answer of body) expect(answer).toEqual({ success: {} });
  }
  before = undefined;
  for (let rounds = 0; (await orders()).length > 0 && rounds < 10; rounds++) {
    await turnClock();
    await Promise.all([job(victim), job(other)]);
  }
  expect(await orders()).toEqual([]);
  expect((await Promise.all(ids.map(isErased))).filter((erased) => !erased)).toEqual([]);
});
