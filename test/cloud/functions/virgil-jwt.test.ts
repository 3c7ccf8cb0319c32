import { generateKeyPairSync } from 'node:crypto';
import type { VirgilCrypto } from 'virgil-crypto';
import { Jwt } from 'virgil-sdk';
import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { restClient } from '../../support/rest';
import { makeVirgilApplication } from '../../support/virgil-application';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const TTL = 1200;

let server: BareParseServer;
let rest: ReturnType<typeof restClient>;
let crypto: VirgilCrypto;
let application: ReturnType<typeof makeVirgilApplication>;

const now = () => Date.now() / 1000;

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  application = makeVirgilApplication(crypto);
  server = await startBareParseServer({ environment: application.environment });
  rest = restClient(server);
});
afterAll(() => server?.stop());

test("the token passes virgil-sdk's JwtVerifier with virgil-crypto's signer, and holds the claims of docs/formats.md", async () => {
  const user = await rest.signUp();
  const before = Math.floor(now());
  const { status, body } = await rest.run('virgil-jwt', {}, user);
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

describe('credentials', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const base64 = (der: Buffer) => der.toString('base64');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const good = base64(privateKey.export({ format: 'der', type: 'pkcs8' }));

  // A server of its own: credentials that were good once are kept.
  let unconfigured: BareParseServer;
  beforeAll(async () => {
    unconfigured = await startBareParseServer({
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
    ['VIRGIL_APP_KEY', 'is no private key', 'garbage, not a key'],
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
    expect((await unconfigured.logged()).includes(`${name} ${fault}`)).toBe(true);
    for (const secret of [good, value].filter((text) => text && text.length > 5)) {
      expect((await unconfigured.logged()).includes(secret as string)).toBe(false);
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
