import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { VirgilAccessTokenSigner, type VirgilCrypto } from 'virgil-crypto';
import { JwtGenerator } from 'virgil-sdk';
import { issueVirgilToken } from '../../../cloud/tokens/virgil-token';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const appId = 'a'.repeat(32);
const appKeyId = 'b'.repeat(32);
const LIFETIME = 1_200_000;

let issue: (identity: string, lifetime?: number) => ReturnType<typeof issueVirgilToken>;
let theirs: (identity: string, lifetime?: number) => string;

beforeAll(async () => {
  const crypto: VirgilCrypto = await loadVirgilCrypto();
  const { privateKey } = crypto.generateKeys();
  const der = crypto.exportPrivateKey(privateKey);
  const appKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const credentials = { appId, appKeyId, appKey };
  issue = (identity, lifetime = LIFETIME) => issueVirgilToken(credentials, identity, lifetime);
  theirs = (identity, lifetime = LIFETIME) =>
    new JwtGenerator({
      appId,
      apiKeyId: appKeyId,
      apiKey: privateKey,
      accessTokenSigner: new VirgilAccessTokenSigner(crypto),
      millisecondsToLive: lifetime,
    })
      .generateToken(identity)
      .toString();
  jest.useFakeTimers({ now: 1_795_000_000_123 });
});
afterAll(() => jest.useRealTimers());

test("is virgil-sdk's, byte for byte", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.stringMatching(/^[\x21-\x7e]{1,64}$/),
      fc.integer({ min: 1000, max: 86_400_000 }),
      async (identity, lifetime) => {
        expect((await issue(identity, lifetime)).token).toBe(theirs(identity, lifetime));
      },
    ),
    { seed: 20_261_124 },
  );
});

test('names the identity, and the end that the token has', async () => {
  const { identity, expiresAt, token } = await issue('Xk2p9QaL0b', 90_999);
  const { exp, iat } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
  expect(identity).toBe('Xk2p9QaL0b');
  expect([iat, exp]).toEqual([1_795_000_000, 1_795_000_091]);
  expect(expiresAt).toBe('2026-11-18T11:08:11.000Z');
});

test('names the key that signs it, though two take turns', async () => {
  const keys = ['1', '2'].map((digit) => ({
    appId,
    appKeyId: digit.repeat(32),
    appKey: generateKeyPairSync('ed25519').privateKey,
  }));
  for (const key of [...keys, ...keys]) {
    const [header = ''] = (await issueVirgilToken(key, 'Xk2p9QaL0b', LIFETIME)).token.split('.');
    expect(JSON.parse(Buffer.from(header, 'base64url').toString()).kid).toBe(key.appKeyId);
  }
});

test.each([
  ['whose characters are those of another, each 256 higher', 'Xk2p9QaL0b', 256],
  ['whose characters are those of another, each 65,280 higher', 'Xk2p9QaL0b', 0xff00],
])('an identity %s gets no token, as the library gives it none', async (_name, victim, offset) => {
  const forged = [...victim].map((letter) => String.fromCharCode(letter.charCodeAt(0) + offset)).join('');
  expect(() => theirs(forged)).toThrow();
  await expect(issue(forged)).rejects.toThrow(TypeError);
});

test.each(['', 'é', 'a b', 'a\n', '\u007f', 'victim\0'])('neither does %j', async (identity) => {
  await expect(issue(identity)).rejects.toThrow(new TypeError('An identity is printable ASCII.'));
});
