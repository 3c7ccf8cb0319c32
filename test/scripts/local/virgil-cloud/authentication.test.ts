import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { makeVirgilApplication, type VirgilApplication } from '../../../support/virgil-application';
import { call, serveVirgilCloud } from '../../../support/virgil-cloud';
import { loadVirgilCrypto } from '../../../support/virgil-crypto';

let app: VirgilApplication;
let cloud: Awaited<ReturnType<typeof serveVirgilCloud>>;

beforeAll(async () => {
  app = makeVirgilApplication(await loadVirgilCrypto());
  cloud = await serveVirgilCloud(app);
});
afterAll(() => cloud.close());

const encode = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url');
const vedsPrefix = Buffer.from('3051300d060960864801650304020305000440', 'hex');

/** A token of this application, correctly signed, but for what the test makes wrong. */
function forge({ header = {}, payload = {}, key = app.appKey }: Forgery = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const signed = [
    encode({ alg: 'VEDS512', kid: app.appKeyId, typ: 'JWT', cty: 'virgil-jwt;v=1', ...header }),
    encode({ iss: `virgil-${app.appId}`, sub: 'identity-alice', iat: now, exp: now + 60, ...payload }),
  ].join('.');
  const signature = sign(null, createHash('sha512').update(signed).digest(), key);
  return `${signed}.${Buffer.concat([vedsPrefix, signature]).toString('base64url')}`;
}

interface Forgery {
  header?: object;
  payload?: object;
  key?: KeyObject;
}

const get = (token: string) => call(`${cloud.url}/keyknox/v1`, token);
const refused = {
  status: 401,
  body: { code: 20304, message: expect.stringContaining('The access token is refused') },
};

it('takes the tokens of the official generator, and those put together here', async () => {
  expect((await get(app.token('alice'))).status).toBe(200);
  expect((await get(forge())).status).toBe(200);
});

it.each<[string, () => string]>([
  ['a token signed by another key', () => forge({ key: generateKeyPairSync('ed25519').privateKey })],
  ['an expired token', () => app.token('alice', -1000)],
  ['a token without expiry', () => forge({ payload: { exp: undefined } })],
  ['an expiry that is no number', () => forge({ payload: { exp: '9999999999' } })],
  ['another issuer', () => forge({ payload: { iss: 'virgil-ffffffffffffffffffffffffffffffff' } })],
  ['another key ID', () => forge({ header: { kid: 'ffffffffffffffffffffffffffffffff' } })],
  ['alg "none" with the signature left in', () => forge({ header: { alg: 'none' } })],
  ['alg "none" without signature', () => `${encode({ alg: 'none' })}.${forge().split('.')[1]}.`],
  ['another type', () => forge({ header: { typ: 'JWE' } })],
  ['another content type', () => forge({ header: { cty: 'virgil-jwt;v=2' } })],
  ['a subject that is no identity', () => forge({ payload: { sub: 'alice' } })],
  ['an empty identity', () => forge({ payload: { sub: 'identity-' } })],
  ['a payload put in the place of the signed one', () => swapPayload(app.token('alice'), app.token('bob'))],
  ['a signature cut short', () => forge().slice(0, -4)],
  ['a signature with bytes after it', () => `${forge()}AAAA`],
  ['a signature without its DER', () => bareSignature(forge())],
  ['a signature that names another hash', () => otherHash(forge())],
  ['two parts', () => forge().split('.').slice(0, 2).join('.')],
  ['no token', () => ''],
])('refuses %s', async (_, token) => {
  expect(await get(token())).toMatchObject(refused);
});

it.each(['Bearer', 'virgil', ''])('refuses the scheme %p', async (scheme) => {
  const answer = await call(`${cloud.url}/keyknox/v1`, '', {
    headers: { Authorization: `${scheme} ${forge()}` },
  });
  expect(answer).toMatchObject(refused);
});

it('authenticates before it reads the body or looks for the endpoint', async () => {
  expect(await call(`${cloud.url}/card/v5`, 'x', { body: '{' })).toMatchObject(refused);
  expect(await call(`${cloud.url}/nowhere`, 'x')).toMatchObject(refused);
});

it('does not repeat the token in the error', async () => {
  const token = app.token('alice', -1000);
  const message: string = (await get(token)).body.message;
  for (const part of token.split('.')) expect(message).not.toContain(part);
});

function swapPayload(token: string, other: string): string {
  const [header, , signature] = token.split('.');
  return [header, other.split('.')[1], signature].join('.');
}

function bareSignature(token: string): string {
  const [header, payload, signature = ''] = token.split('.');
  const bare = Buffer.from(signature, 'base64url').subarray(vedsPrefix.length);
  return [header, payload, bare.toString('base64url')].join('.');
}

function otherHash(token: string): string {
  const [header, payload, signature = ''] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  bytes[14] = 1; // the OID's last arc: SHA-256
  return [header, payload, bytes.toString('base64url')].join('.');
}
