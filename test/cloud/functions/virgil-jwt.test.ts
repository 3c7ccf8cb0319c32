import { generateKeyPairSync } from 'node:crypto';
import type { VirgilCrypto } from 'virgil-crypto';
import { Jwt } from 'virgil-sdk';
import { startParseServer, type TestServer } from '../../support/parse-server';
import { type Caller, restClient } from '../../support/rest';
import { makeVirgilApplication } from '../../support/virgil-application';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const TTL = 1200;

let server: TestServer;
let rest: ReturnType<typeof restClient>;
let crypto: VirgilCrypto;
let application: ReturnType<typeof makeVirgilApplication>;

const virgilJwt = (params?: unknown, caller?: Caller) => rest.run('virgil-jwt', params, caller);
const now = () => Date.now() / 1000;

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  application = makeVirgilApplication(crypto);
  server = await startParseServer({ environment: application.environment, parseOptions: { cacheTTL: 1000 } });
  rest = restClient(server);
});
afterAll(() => server?.stop());

describe('the token', () => {
  test("passes virgil-sdk's JwtVerifier with virgil-crypto's signer, and holds the claims of formats.md", async () => {
    const user = await rest.signUp();
    const before = Math.floor(now());
    const { status, body } = await virgilJwt({}, user);
    expect(status).toBe(200);
    const { token, identity, expiresAt } = body.result;
    const jwt = new Jwt(token);
    expect(application.verifier.verifyToken(jwt)).toBe(true);
    expect(jwt.header).toEqual({
      alg: 'VEDS512',
      kid: application.environment.VIRGIL_APP_KEY_ID,
      typ: 'JWT',
      cty: 'virgil-jwt;v=1',
    });
    const { iat, exp } = jwt.body;
    expect(jwt.body).toEqual({
      iss: `virgil-${application.environment.VIRGIL_APP_ID}`,
      sub: `identity-${user.id}`,
      iat,
      exp,
    });
    expect(iat).toBeGreaterThanOrEqual(before);
    expect(iat).toBeLessThanOrEqual(now());
    expect(exp - iat).toBeGreaterThanOrEqual(TTL - 1);
    expect(exp - iat).toBeLessThanOrEqual(TTL + 1);
    expect(identity).toBe(user.id);
    expect(Date.parse(expiresAt)).toBe(exp * 1000);
    expect(Object.keys(body.result).sort()).toEqual(['expiresAt', 'identity', 'token']);
  });

  test('is for the same identity by header, by parameter, and by both when they agree', async () => {
    const { id, sessionToken } = await rest.signUp();
    for (const [params, caller] of [
      [{}, { sessionToken }],
      [{ sessionToken: null }, { sessionToken }],
      [{ sessionToken }, {}],
      [{ sessionToken }, { sessionToken }],
      [{ sessionToken }, { master: true }],
    ] as const) {
      expect((await virgilJwt(params, caller)).body.result.identity).toBe(id);
    }
  });

  test('never outlives the session', async () => {
    const { sessionToken } = await rest.signUp();
    await setSessionEnd(sessionToken, 90_000);
    const end = now() + 90;
    for (const [params, caller] of [
      [{}, { sessionToken }],
      [{ sessionToken }, {}],
    ] as const) {
      const { exp } = new Jwt((await virgilJwt(params, caller)).body.result.token).body;
      expect(exp).toBeLessThanOrEqual(end);
      expect(exp).toBeGreaterThan(end - 10);
    }
  });

  test('follows a session whose end is moved away', async () => {
    const { sessionToken } = await rest.signUp();
    await setSessionEnd(sessionToken, 90_000);
    await virgilJwt({}, { sessionToken });
    await setSessionEnd(sessionToken, 900_000);
    const { exp } = new Jwt((await virgilJwt({}, { sessionToken })).body.result.token).body;
    expect(exp).toBeGreaterThan(now() + 800);
  });

  test("of a session without an end has the policy's lifetime", async () => {
    const { sessionToken } = await rest.signUp();
    await server.sql(`UPDATE "_Session" SET "expiresAt" = NULL WHERE "sessionToken" = '${sessionToken}'`);
    const { iat, exp } = new Jwt((await virgilJwt({ sessionToken })).body.result.token).body;
    expect(exp - iat).toBeGreaterThanOrEqual(TTL - 1);
  });
});

describe('without a valid session: error 209 and no token', () => {
  async function expectRefused(params: unknown, caller?: Caller): Promise<void> {
    const { status, body } = await virgilJwt(params, caller);
    expect(body).toEqual({ code: 209, error: expect.any(String) });
    expect(status).toBeGreaterThanOrEqual(400);
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
    await setSessionEnd(sessionToken, 3000);
    expect((await virgilJwt({}, { sessionToken })).status).toBe(200);
    await new Promise((done) => setTimeout(done, 2500));
    await expectRefused({}, { sessionToken });
  });

  test('logged out', async () => {
    const { sessionToken } = await rest.signUp();
    expect((await virgilJwt({}, { sessionToken })).status).toBe(200);
    await rest.call('POST', '/logout', {}, { sessionToken });
    await expectRefused({ sessionToken });
    await expectRefused({}, { sessionToken });
  });

  test("of a deleted user: by parameter at once, by header once Parse Server's cache has let go", async () => {
    const { id, sessionToken } = await rest.signUp();
    expect((await virgilJwt({}, { sessionToken })).status).toBe(200);
    await rest.call('DELETE', `/users/${id}`, undefined, { master: true });
    await server.sql(
      `INSERT INTO "_Session" ("objectId", "sessionToken", "user") SELECT 'orphan', '${sessionToken}', '${id}' ` +
        `WHERE NOT EXISTS (SELECT 1 FROM "_Session" WHERE "sessionToken" = '${sessionToken}')`,
    );
    await expectRefused({ sessionToken });
    await new Promise((done) => setTimeout(done, 1500));
    await expectRefused({}, { sessionToken });
  });
});

describe('credentials', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const base64 = (der: Buffer) => der.toString('base64');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const good = base64(privateKey.export({ format: 'der', type: 'pkcs8' }));

  // A server of its own: credentials that were good once are kept.
  let unconfigured: TestServer;
  beforeAll(async () => {
    unconfigured = await startParseServer({
      environment: { VIRGIL_APP_ID: null, VIRGIL_APP_KEY_ID: null, VIRGIL_APP_KEY: null },
    });
  });
  afterAll(() => unconfigured?.stop());

  test.each([
    ['VIRGIL_APP_ID', 'is not set', null],
    ['VIRGIL_APP_ID', 'is not set', ''],
    ['VIRGIL_APP_ID', 'is not an ID of 32 hex digits', 'My Chat App'],
    ['VIRGIL_APP_ID', 'has quotes or white space around it', `"${'a'.repeat(32)}"`],
    ['VIRGIL_APP_KEY_ID', 'is not set', null],
    ['VIRGIL_APP_KEY_ID', 'is not an ID of 32 hex digits', 'My App Key'],
    ['VIRGIL_APP_KEY_ID', 'is the same as VIRGIL_APP_ID', 'a'.repeat(32)],
    ['VIRGIL_APP_KEY', 'is not set', null],
    ['VIRGIL_APP_KEY', 'is a public key', base64(publicKey.export({ format: 'der', type: 'spki' }))],
    ['VIRGIL_APP_KEY', 'is a key of type rsa', base64(rsa.export({ format: 'der', type: 'pkcs8' }))],
    ['VIRGIL_APP_KEY', 'is not base64 of a PKCS#8 private key', 'garbage, not a key'],
    ['VIRGIL_APP_KEY', 'has quotes or white space around it', `${good}\n`],
  ])('%s %s: one plain sentence to the client, the fault to the log', async (name, fault, value) => {
    const client = restClient(unconfigured);
    const user = await client.signUp();
    await unconfigured.setEnvironment({
      VIRGIL_APP_ID: 'a'.repeat(32),
      VIRGIL_APP_KEY_ID: 'b'.repeat(32),
      VIRGIL_APP_KEY: good,
      [name]: value,
    });
    const { body } = await client.run('virgil-jwt', {}, user);
    expect(body).toEqual({
      code: 141,
      error: 'virgil-jwt is not configured on this server; its log says what to mend.',
    });
    expect(unconfigured.logged().includes(`${name} ${fault}`)).toBe(true);
    for (const secret of [good, value].filter((text) => text && text.length > 5)) {
      expect(unconfigured.logged().includes(secret as string)).toBe(false);
    }
  });

  test('missing ones leave the guards working', async () => {
    const client = restClient(unconfigured);
    const user = await client.signUp();
    const message = { body: 'plain text', senderId: user.id };
    expect((await client.call('POST', '/classes/Message', message, user)).body.code).toBe(142);
  });

  test('may be mended without a restart', async () => {
    const { environment, verifier } = makeVirgilApplication(crypto);
    await unconfigured.setEnvironment(environment);
    const client = restClient(unconfigured);
    const { token } = (await client.run('virgil-jwt', {}, await client.signUp())).body.result;
    expect(verifier.verifyToken(new Jwt(token))).toBe(true);
  });
});

// A request has log levels of its own from Parse Server 8 on; the README tells what older ones need.
const testOnNewest = process.env.PARSE_SERVER_MODULE ? test.skip : test;

testOnNewest(
  'neither session tokens nor JWTs are in what a server with default log levels prints and writes',
  async () => {
    const user = await rest.signUp();
    const { sessionToken } = user;
    const tokens = [sessionToken];
    for (const [params, caller] of [
      [{ sessionToken }, {}],
      [{}, { sessionToken }],
      [{ sessionToken }, { sessionToken }],
    ] as const) {
      tokens.push((await virgilJwt(params, caller)).body.result.token);
    }
    const other = await rest.signUp();
    await virgilJwt({ sessionToken }, other);
    tokens.push(other.sessionToken);
    await rest.call('POST', '/logout', {}, { sessionToken });
    await virgilJwt({ sessionToken });
    const logged = server.logged();
    expect(logged.includes('Failed running cloud function virgil-jwt')).toBe(true); // something was logged
    expect(tokens.filter((token) => logged.includes(token))).toEqual([]);
    expect(/r:[0-9a-f]{32}|eyJ/.test(logged)).toBe(false);
  },
);

async function setSessionEnd(sessionToken: string, fromNow: number): Promise<void> {
  const end = new Date(Date.now() + fromNow).toISOString();
  await server.sql(`UPDATE "_Session" SET "expiresAt" = '${end}' WHERE "sessionToken" = '${sessionToken}'`);
}
