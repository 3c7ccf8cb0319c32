import { createPrivateKey } from 'node:crypto';
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
  issue = (identity, lifetime = LIFETIME) =>
    issueVirgilToken({ appId, appKeyId, appKey }, identity, lifetime);
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

test("is virgil-sdk's, byte for byte", () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[\x21-\x7e]{1,64}$/),
      fc.integer({ min: 1000, max: 86_400_000 }),
      (identity, lifetime) => {
        expect(issue(identity, lifetime).token).toBe(theirs(identity, lifetime));
      },
    ),
    { seed: 20_261_124 },
  );
});

test('names the identity, and the end that the token has', () => {
  const { identity, expiresAt, token } = issue('Xk2p9QaL0b', 90_999);
  const { exp, iat } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
  expect(identity).toBe('Xk2p9QaL0b');
  expect([iat, exp]).toEqual([1_795_000_000, 1_795_000_091]);
  expect(expiresAt).toBe('2026-11-18T11:08:11.000Z');
});

test.each([
  ['whose characters are those of another, each 256 higher', 'Xk2p9QaL0b', 256],
  ['whose characters are those of another, each 65,280 higher', 'Xk2p9QaL0b', 0xff00],
])('an identity %s gets no token, as the library gives it none', (_name, victim, offset) => {
  const forged = [...victim].map((letter) => String.fromCharCode(letter.charCodeAt(0) + offset)).join('');
  expect(() => theirs(forged)).toThrow();
  expect(() => issue(forged)).toThrow(TypeError);
});

test.each(['', 'é', 'a b', 'a\n', '\u007f', 'victim\0'])('neither does %j', (identity) => {
  expect(() => issue(identity)).toThrow(new TypeError('An identity is printable ASCII.'));
});
