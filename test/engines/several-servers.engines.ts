import { setTimeout as wait } from 'node:timers/promises';
import Parse from 'parse/node';
import { databaseFor } from '../../scripts/engines/databases';
import type { ServerProgram } from '../../scripts/engines/program';
import { programOnPath } from '../../scripts/engines/program-on-path';
import { startMongoDb, startPostgres, startRedis } from '../../scripts/engines/servers';
import { type BareParseServer, startBareParseServer } from '../../scripts/local/bare-parse-server';
import { onMongoDb } from '../support/engine';
import { envelopeMaker } from '../support/envelopes';
import { restClient } from '../support/rest';
import { makeVirgilApplication } from '../support/virgil-application';
import { loadVirgilCrypto } from '../support/virgil-crypto';
import { lostSaves, messageOf, PLAINTEXT, startLoad } from './load';

const { PATH, REDIS_URL } = process.env;
const DATABASE_URI = process.env[onMongoDb ? 'MONGODB_URI' : 'POSTGRES_URI'];
jest.setTimeout(120_000);
// Sessions are cached so long.
const cacheTTL = 1000;

/** Ours to kill, where none is given. */
let database: ServerProgram | undefined;
let redis: ServerProgram | undefined;
let options: NonNullable<Parameters<typeof startBareParseServer>[0]>;
let servers: BareParseServer[];
let clients: ReturnType<typeof restClient>[];
let one: (typeof clients)[number];
let other: typeof one;
let envelopes: string[];
/** For docs/self-hosting.md. */
const measured: string[] = [];

beforeAll(async () => {
  if (!DATABASE_URI) {
    database = onMongoDb
      ? await startMongoDb(programOnPath('mongod', PATH) as string)
      : await startPostgres(programOnPath('postgres', PATH) as string);
  }
  if (!REDIS_URL) redis = await startRedis(programOnPath('redis-server', PATH) as string);
  const crypto = await loadVirgilCrypto();
  const makeEnvelope = envelopeMaker(crypto);
  envelopes = Array.from({ length: 100 }, (_, i) => makeEnvelope(`message ${i}`));
  options = {
    environment: makeVirgilApplication(crypto).environment,
    database: database ? { DATABASE_URI: database.uri } : await databaseFor('several-servers'),
    parseOptions: { cacheTTL, liveQuery: { classNames: ['Message'], redisURL: redis?.uri ?? REDIS_URL } },
  };
  servers = [await startBareParseServer(options), await startBareParseServer(options)];
  clients = servers.map(restClient);
  [one, other] = clients as [typeof one, typeof one];
  Parse.initialize((servers[0] as BareParseServer).appId); // gives the client of LiveQuery its WebSocket
});
afterAll(async () => {
  console.log(measured.join('\n'));
  for (const server of servers ?? []) await server.stop();
  await redis?.stop();
  await database?.stop();
});

type User = Awaited<ReturnType<typeof one.signUp>>;

const save = (client: typeof one, user: User, body = envelopes[0] as string) =>
  client.call('POST', '/classes/Message', messageOf(user, body), user);

/** @returns after how many milliseconds */
async function until(condition: () => boolean | Promise<boolean>): Promise<number> {
  const begun = performance.now();
  while (!(await condition())) {
    if (performance.now() - begun > 30_000) throw new Error(`Not within 30 s: ${condition}`);
    await wait(10);
  }
  return Math.round(performance.now() - begun);
}

const listeners: InstanceType<typeof Parse.LiveQueryClient>[] = [];
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
});

/** What LiveQuery of a server tells a user: the IDs of new messages. */
async function listen(server: BareParseServer, user: User): Promise<Set<string | undefined>> {
  const { appId, url } = server;
  const client = new Parse.LiveQueryClient({ applicationId: appId, serverURL: url.replace('http', 'ws') });
  listeners.push(client);
  client.open();
  const subscription = client.subscribe(new Parse.Query('Message'), user.sessionToken);
  const heard = new Set<string | undefined>();
  subscription?.on('create', ({ id }: Parse.Object) => heard.add(id));
  await subscription?.subscribePromise;
  return heard;
}

describe('two servers', () => {
  test('both give tokens to a session that one of them has made', async () => {
    const user = await one.signUp();
    for (const { run } of clients) {
      expect((await run('virgil-jwt', {}, user)).body.result.identity).toBe(user.id);
      expect((await run('virgil-jwt', { sessionToken: user.sessionToken })).body.result.identity).toBe(
        user.id,
      );
    }
  });

  test('a save on one is an event on the other', async () => {
    const user = await one.signUp();
    for (const [server, client] of [
      [servers[0], other],
      [servers[1], one],
    ] as const) {
      const heard = await listen(server as BareParseServer, user);
      const { body } = await save(client, user);
      measured.push(
        `An event comes from the other server after ${await until(() => heard.has(body.objectId))} ms.`,
      );
    }
  });

  test.each([
    ['who logs out', (user: User) => one.call('POST', '/logout', {}, user)],
    ['whom it deletes', (user: User) => one.call('DELETE', `/users/${user.id}`, undefined, user)],
  ])('a user %s on one gets no token from the other', async (who, end) => {
    const user = await one.signUp();
    for (const { run } of clients) expect((await run('virgil-jwt', {}, user)).status).toBe(200);
    expect((await end(user)).status).toBe(200);
    expect((await other.run('virgil-jwt', { sessionToken: user.sessionToken })).body.code).toBe(209);
    const refused = async () => (await other.run('virgil-jwt', {}, user)).body.code === 209;
    measured.push(`A user ${who} on one server is refused by the other after ${await until(refused)} ms.`);
  });

  test('a rolling deploy: the new policy and the old one run side by side', async () => {
    const strict = await startBareParseServer({
      ...options,
      policy: {
        virgil: { tokenTtlSeconds: 1200 },
        nexmo: { tokenTtlSeconds: 900, acl: {} },
        classes: {
          Message: { encrypted: ['body'], plain: ['senderId', 'threadId', 'priority'], sender: 'senderId' },
          Diary: { encrypted: ['note'], plain: ['mood'] },
        },
      },
    });
    try {
      const updated = restClient(strict);
      const user = await one.signUp();
      const [first, second] = envelopes as [string, string];
      const update = (client: typeof one, path: string, fields: object) =>
        client.call('PUT', path, fields, user);
      const read = async (client: typeof one, path: string) =>
        (await client.call('GET', path, undefined, user)).body;

      // A class that only the new policy guards.
      const note = `${PLAINTEXT} as the old policy takes it`;
      const old = await one.call('POST', '/classes/Diary', { note }, user);
      const page = `/classes/Diary/${old.body.objectId}`;
      expect(await read(updated, page)).toMatchObject({ note });
      expect((await updated.call('POST', '/classes/Diary', { note }, user)).body.code).toBe(142);
      expect((await update(updated, page, { note: `${note} again` })).body.code).toBe(142);
      expect((await update(updated, page, { note, mood: 'fair' })).status).toBe(200); // the old text, unchanged
      expect((await update(updated, page, { mood: 'good' })).status).toBe(200);
      expect(await read(one, page)).toMatchObject({ note, mood: 'good' });
      expect((await update(updated, page, { note: first })).status).toBe(200);
      expect(await read(one, page)).toMatchObject({ note: first, mood: 'good' });

      // A field that only the new policy names.
      const withField = { ...messageOf(user, first), priority: 1 };
      expect((await one.call('POST', '/classes/Message', withField, user)).body.code).toBe(142);
      const { body } = await updated.call('POST', '/classes/Message', withField, user);
      const message = `/classes/Message/${body.objectId}`;
      expect(await read(one, message)).toMatchObject(withField);
      expect((await update(one, message, { body: second })).status).toBe(200);
      expect(await read(updated, message)).toMatchObject({ body: second, priority: 1 });

      expect(await strict.logged()).not.toContain(PLAINTEXT);
    } finally {
      await strict.stop();
    }
  });
});

/** With what else the servers may answer, and with nothing at all. */
interface Fault {
  name: string;
  /** Whether what breaks is not ours. */
  given: string | undefined;
  answers: string[];
  happen(): Promise<void>;
}

const USUAL = ['token 200', 'envelope 201', 'plaintext 400 142'];
const KINDS = ['token', 'envelope', 'plaintext'];
const NO_ANSWER = KINDS.map((kind) => `${kind}: no answer`);
const FAULTS: Fault[] = [
  {
    name: 'one server is killed, and comes back',
    given: undefined,
    answers: NO_ANSWER,
    async happen() {
      await servers[1]?.kill();
      await wait(1000);
      await servers[1]?.startAgain();
    },
  },
  {
    name: 'the database is killed, and comes back',
    given: DATABASE_URI && 'database',
    // Parse Server hangs up behind an error of its own.
    answers: [...NO_ANSWER, ...KINDS.map((kind) => `${kind} 500 1`)],
    async happen() {
      await database?.kill();
      await wait(3000);
      await database?.start();
    },
  },
  {
    name: 'the database is frozen for 8 s',
    given: DATABASE_URI && 'database',
    answers: [],
    async happen() {
      database?.signal('STOP');
      await wait(8000);
      database?.signal('CONT');
    },
  },
  {
    name: 'Redis is gone for 5 s',
    given: REDIS_URL && 'Redis',
    answers: [],
    async happen() {
      await redis?.kill();
      await wait(5000);
      await redis?.start();
    },
  },
];

describe('under load', () => {
  for (const { name, given, answers, happen } of FAULTS) {
    const title = given ? `${name} (the ${given} is given: nothing is killed or frozen there)` : name;
    (given ? test.skip : test)(`${title}: nothing acknowledged is lost, no plaintext taken`, async () => {
      const user = await one.signUp();
      const heard = await listen(servers[0] as BareParseServer, user);
      const stop = startLoad(servers, user, envelopes);
      await wait(1000);
      await happen();
      const isBack = (client: typeof one) =>
        save(client, user).then(
          ({ status }) => status === 201,
          () => false,
        );
      const back = await Promise.all(clients.map((client) => until(() => isBack(client))));
      await wait(1000);
      const outcome = await stop();
      measured.push(`${name}: ${outcome.acknowledged.size} saves; back after ${back.join(' and ')} ms`);
      for (const [answer, { count, slowestMs }] of outcome.answers) {
        measured.push(`  ${answer}: ${count} times, within ${slowestMs} ms`);
      }

      const unknown = [...outcome.answers.keys()].filter(
        (answer) => ![...USUAL, ...answers].includes(answer),
      );
      expect(unknown).toEqual([]);
      for (const { run } of clients) expect((await run('virgil-jwt', {}, user)).status).toBe(200);
      const { body } = await save(other, user);
      await until(() => heard.has(body.objectId));
      for (const server of servers) {
        expect(lostSaves(outcome, await server.rows.find('Message', {}))).toEqual([]);
        expect(await server.logged()).not.toContain(PLAINTEXT);
      }
      expect(await servers[0]?.stored()).not.toContain(PLAINTEXT);
    });
  }

  test('a save that is lost is found out', async () => {
    const [server] = servers as [BareParseServer];
    const stop = startLoad(servers, await one.signUp(), envelopes);
    await wait(500);
    const outcome = await stop();
    const [objectId] = [...outcome.acknowledged.keys()] as [string];
    expect(lostSaves(outcome, await server.rows.find('Message', {}))).toEqual([]);
    await server.rows.delete('Message', { objectId });
    expect(lostSaves(outcome, await server.rows.find('Message', {}))).toEqual([objectId]);
  });
});
