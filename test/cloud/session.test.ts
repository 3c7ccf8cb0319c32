import { decodeJwt } from 'jose';
import { type BareParseServer, startBareParseServer } from '../../scripts/local/bare-parse-server';
import { onMongoDb } from '../support/engine';
import { type Caller, restClient } from '../support/rest';
import { tokensIn } from '../support/tokens-in';
import { makeVirgilApplication } from '../support/virgil-application';
import { loadVirgilCrypto } from '../support/virgil-crypto';
import { startVonage } from '../support/vonage';

let server: BareParseServer;
let vonage: Awaited<ReturnType<typeof startVonage>>;
let rest: ReturnType<typeof restClient>;

const now = () => Date.now() / 1000;
// A request has log levels of its own from Parse Server 8 on; the README tells what older ones need.
const testOnNewest = process.env.PARSE_SERVER_MODULE ? test.skip : test;

beforeAll(async () => {
  vonage = await startVonage();
  const { environment } = makeVirgilApplication(await loadVirgilCrypto());
  server = await startBareParseServer({
    environment: { ...environment, ...vonage.environment },
    // Without `guardUserIds`: the tokens must not need it.
    policy: { virgil: { tokenTtlSeconds: 1200 }, nexmo: { tokenTtlSeconds: 900, acl: {} }, classes: {} },
    cloudCode: `
      require('./e2ee');
      Parse.Cloud.define('own', () => 'the result of the app');
    `,
    parseOptions: { cacheTTL: 1000, allowCustomObjectId: true },
  });
  rest = restClient(server);
});
afterAll(async () => {
  await server?.stop();
  vonage?.stop();
});

describe.each([
  ['virgil-jwt', 'identity'],
  ['nexmo-jwt', 'identity'],
  ['nexmo-create-user', 'name'],
])('%s', (functionName, identityField) => {
  const run = (params?: unknown, caller?: Caller) => rest.run(functionName, params, caller);

  test('takes the session from the header, from the parameter, and from both when they agree', async () => {
    const { id, sessionToken } = await rest.signUp();
    for (const [params, caller] of [
      [{}, { sessionToken }],
      [{ sessionToken: null }, { sessionToken }],
      [{ sessionToken }, {}],
      [{ sessionToken }, { sessionToken }],
      [{ sessionToken }, { master: true }],
    ] as const) {
      expect((await run(params, caller)).body.result[identityField]).toBe(id);
    }
  });

  describe('without a valid session: error 209 and no result', () => {
    async function expectRefused(params: unknown, caller?: Caller): Promise<void> {
      vonage.takeCalls();
      const { status, body } = await run(params, caller);
      expect(body).toEqual({ code: 209, error: expect.any(String) });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(vonage.takeCalls()).toEqual([]);
    }

    test('none at all', () => expectRefused({}));
    test('the master key alone', () => expectRefused({}, { master: true }));
    test('an unknown one in the header', () => expectRefused({}, { sessionToken: `r:${'0'.repeat(32)}` }));

    test.each([
      ['unknown', `r:${'0'.repeat(32)}`],
      ['without its prefix', '0'.repeat(32)],
      ['empty', ''],
      ['a number', 5],
      ['true', true],
      ['an object', { r: 1 }],
      ['a list', ['r:1']],
      ['a query operator', { $ne: null }],
      ['a query operator by regular expression', { $regex: '^r:' }],
      ['a Date', { __type: 'Date', iso: '2026-01-01T00:00:00.000Z' }],
      ['a Pointer', { __type: 'Pointer', className: '_Session', objectId: 'x' }],
      ['of one megabyte', `r:${'a'.repeat(1_000_000)}`],
      ['with a quote', "r:' OR 1=1 --"],
    ])(
      'a parameter that is %s, with and without the master key or a good header',
      async (_name, sessionToken) => {
        await expectRefused({ sessionToken });
        await expectRefused({ sessionToken }, { master: true });
        await expectRefused({ sessionToken }, await rest.signUp());
      },
    );

    test('header and parameter of two users', async () => {
      const [alice, bob] = [await rest.signUp(), await rest.signUp()];
      await expectRefused({ sessionToken: alice.sessionToken }, bob);
    });

    test('header and parameter of two sessions of one user', async () => {
      const user = await rest.signUp();
      const login = await rest.call('POST', '/login', { username: user.username, password: 'a password' });
      await expectRefused({ sessionToken: login.body.sessionToken }, user);
    });

    test('expired, in the header and as a parameter', async () => {
      const { sessionToken } = await rest.signUp();
      await setSessionEnd(sessionToken, -1000);
      await expectRefused({ sessionToken });
      await expectRefused({}, { sessionToken });
    });

    test('expired while Parse Server still has it in its cache', async () => {
      const { sessionToken } = await rest.signUp();
      await setSessionEnd(sessionToken, 60_000);
      expect((await run({}, { sessionToken })).status).toBe(200);
      await setSessionEnd(sessionToken, -1000);
      await expectRefused({}, { sessionToken });
    });

    test('logged out', async () => {
      const { sessionToken } = await rest.signUp();
      expect((await run({}, { sessionToken })).status).toBe(200);
      await rest.call('POST', '/logout', {}, { sessionToken });
      await expectRefused({ sessionToken });
      await expectRefused({}, { sessionToken });
    });

    test("of a deleted user: by parameter at once, by header once Parse Server's cache has let go", async () => {
      const { id, sessionToken } = await rest.signUp();
      expect((await run({}, { sessionToken })).status).toBe(200);
      await rest.call('DELETE', `/users/${id}`, undefined, { master: true });
      // Parse Server may have deleted the session too.
      await server.rows.delete('_Session', { sessionToken });
      const user = { __type: 'Pointer', className: '_User', objectId: id };
      await server.rows.insert('_Session', [{ objectId: `orphan-${functionName}`, sessionToken, user }]);
      await expectRefused({ sessionToken });
      await new Promise((done) => setTimeout(done, 1500));
      await expectRefused({}, { sessionToken });
    });
  });

  testOnNewest(
    'leaves neither session tokens nor JWTs in what a server with default log levels prints and writes',
    async () => {
      const { sessionToken } = await rest.signUp();
      for (const [params, caller] of [
        [{ sessionToken }, {}],
        [{}, { sessionToken }],
        [{ sessionToken }, { sessionToken }],
      ] as const) {
        expect((await run(params, caller)).status).toBe(200);
      }
      await run({ sessionToken }, await rest.signUp());
      await rest.call('POST', '/logout', {}, { sessionToken });
      await run({ sessionToken });
      for (const mistype of mistypes) {
        expect((await run(mistype((await rest.signUp()).sessionToken))).body.code).toBe(209);
      }
      const logged = await server.logged();
      expect(logged.includes(`Failed running cloud function ${functionName}`)).toBe(true); // something was logged
      expect(tokensIn(logged)).toEqual([]);
    },
  );

  describe("an ID made of another's characters, each 256 higher, gets nothing", () => {
    const forge = (victim: string) =>
      [...victim].map((letter) => String.fromCharCode(letter.charCodeAt(0) + 256)).join('');

    async function expectNoIdentity(username: string, objectId: string): Promise<void> {
      const { body } = await rest.call('POST', '/login', { username, password: 'a password' });
      expect(body.objectId).toBe(objectId);
      const { sessionToken } = body;
      vonage.takeCalls();
      for (const [params, caller] of [
        [{}, { sessionToken }],
        [{ sessionToken }, {}],
        [{ sessionToken }, { sessionToken }],
      ] as const) {
        expect((await run(params, caller)).body).toEqual({
          code: 141,
          error: "This user's ID cannot be an identity.",
        });
      }
      expect(vonage.takeCalls()).toEqual([]);
    }

    // MongoDB refuses it.
    (onMongoDb ? test.skip : test)('taken by an update, as PostgreSQL lets users do', async () => {
      const user = await rest.signUp();
      const objectId = forge((await rest.signUp()).id);
      expect((await rest.call('PUT', `/users/${user.id}`, { objectId }, user)).status).toBe(200);
      await expectNoIdentity(user.username, objectId);
    });

    test('taken by signing up with it', async () => {
      const username = `forger-of-${functionName}`;
      const objectId = forge((await rest.signUp()).id);
      // Answered 500, since the header `Location` cannot name such an ID; the user is made all the same.
      await rest.call('POST', '/users', { username, password: 'a password', objectId });
      await expectNoIdentity(username, objectId);
    });
  });
});

// Where a client may put the session by mistake.
const mistypes: ((sessionToken: string) => object)[] = [
  (sessionToken) => ({ session_token: sessionToken }),
  (sessionToken) => ({ session: { sessionToken } }),
  (sessionToken) => ({ authorization: `Bearer ${sessionToken}` }),
  (sessionToken) => ({ sessions: [sessionToken] }),
  (sessionToken) => ({ body: JSON.stringify({ sessionToken }) }),
  (sessionToken) => ({ token: `${sessionToken} ` }),
  (sessionToken) => ({ sessionToken: `${sessionToken} ` }),
  (sessionToken) => ({ token: encodeURIComponent(sessionToken) }),
  (sessionToken) => ({ [sessionToken]: true }),
  (sessionToken) => ({ displayName: sessionToken }),
];

testOnNewest("in a batch the app's own functions are logged, and our tokens are not", async () => {
  const user = await rest.signUp();
  await rest.run('virgil-jwt', {}, user);
  const requests = ['own', 'virgil-jwt', 'own', 'nexmo-jwt', 'own', 'virgil-jwt', 'own'].map((name, i) => ({
    method: 'POST',
    path: `/parse/functions/${name}`,
    body: { number: `own ${i} of the batch` },
  }));
  for (let round = 0; round < 5; round++) {
    const before = await server.logged();
    const { body } = await rest.call('POST', '/batch', { requests }, user);
    for (const { success } of body) expect(success.result).toBeTruthy();
    const logged = (await server.logged()).slice(before.length);
    for (const i of [0, 2, 4, 6]) expect(logged.includes(`own ${i} of the batch`)).toBe(true);
    expect(tokensIn(logged)).toEqual([]);
  }
});

describe.each([
  ['virgil-jwt', 1200],
  ['nexmo-jwt', 900],
])('the token of %s', (functionName, ttlSeconds) => {
  async function issue(params?: unknown, caller?: Caller): Promise<{ iat: number; exp: number }> {
    const { body } = await rest.run(functionName, params, caller);
    return decodeJwt<{ iat: number; exp: number }>(body.result.token);
  }

  test("has the policy's lifetime", async () => {
    const { iat, exp } = await issue({}, await rest.signUp());
    expect(exp - iat).toBeGreaterThanOrEqual(ttlSeconds - 1);
    expect(exp - iat).toBeLessThanOrEqual(ttlSeconds + 1);
  });

  test('never outlives the session', async () => {
    const { sessionToken } = await rest.signUp();
    await setSessionEnd(sessionToken, 90_000);
    const end = now() + 90;
    for (const [params, caller] of [
      [{}, { sessionToken }],
      [{ sessionToken }, {}],
    ] as const) {
      const { exp } = await issue(params, caller);
      expect(exp).toBeLessThanOrEqual(end);
      expect(exp).toBeGreaterThan(end - 10);
    }
  });

  test('is none where the session has less than a second left', async () => {
    const { sessionToken } = await rest.signUp();
    await setSessionEnd(sessionToken, 900);
    expect((await rest.run(functionName, { sessionToken })).body.code).toBe(209);
  });

  test('follows a session whose end is moved away', async () => {
    const { sessionToken } = await rest.signUp();
    await setSessionEnd(sessionToken, 90_000);
    await issue({}, { sessionToken });
    await setSessionEnd(sessionToken, 800_000);
    expect((await issue({}, { sessionToken })).exp).toBeGreaterThan(now() + 700);
  });

  testOnNewest('follows a session whose end is moved near, as soon as Parse Server does', async () => {
    const { sessionToken } = await rest.signUp();
    await issue({}, { sessionToken });
    await setSessionEnd(sessionToken, 90_000);
    const end = now() + 90;
    await new Promise((done) => setTimeout(done, 1500));
    expect((await issue({}, { sessionToken })).exp).toBeLessThanOrEqual(end);
  });

  test("of a session without an end has the policy's lifetime", async () => {
    const { sessionToken } = await rest.signUp();
    await server.rows.update('_Session', { sessionToken }, { expiresAt: { __op: 'Delete' } });
    const { iat, exp } = await issue({ sessionToken });
    expect(exp - iat).toBeGreaterThanOrEqual(ttlSeconds - 1);
  });
});

async function setSessionEnd(sessionToken: string, fromNow: number): Promise<void> {
  const expiresAt = { __type: 'Date', iso: new Date(Date.now() + fromNow).toISOString() };
  await server.rows.update('_Session', { sessionToken }, { expiresAt });
}
