import { randomBytes } from 'node:crypto';
import { Jwt } from 'virgil-sdk';
import { virgilCredentials } from '../../../cloud/credentials';
import { issueVirgilToken } from '../../../cloud/tokens/virgil-token';
import { claimFaults, isSignedWith } from '../../../scripts/doctor/virgil-token';
import { makeVirgilApplication } from '../../support/virgil-application';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const identity = 'aUser';
const expected = { identity, sessionEnd: Number.POSITIVE_INFINITY, tokenTtlSeconds: 1200 };
const appId = randomBytes(16).toString('hex');
const header = { alg: 'VEDS512', typ: 'JWT', cty: 'virgil-jwt;v=1', kid: randomBytes(16).toString('hex') };
const now = Math.floor(Date.now() / 1000);
const body = { iss: `virgil-${appId}`, sub: `identity-${identity}`, iat: now, exp: now + 1200 };

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const tokenOf = (headerChanges: object, bodyChanges: object) =>
  Jwt.fromString(
    `${base64url({ ...header, ...headerChanges })}.${base64url({ ...body, ...bodyChanges })}.${base64url('signature')}`,
  );

test('a token as it should be has no fault', () => {
  expect(claimFaults(tokenOf({}, {}), expected)).toEqual([]);
});

test.each([
  ['the algorithm', { alg: 'none' }, {}, 'alg is not VEDS512'],
  ['the type', { typ: 'JWE' }, {}, 'typ is not JWT'],
  ['the content type', { cty: 'virgil-jwt;v=2' }, {}, 'cty is not virgil-jwt;v=1'],
  ['the key ID', { kid: 'my-key' }, {}, 'kid is not an App Key ID'],
  ['the issuer', {}, { iss: 'virgil-my-app' }, 'iss is not "virgil-" and an App ID'],
  ['the identity', {}, { sub: 'identity-anotherUser' }, 'sub is not "identity-" and the user\'s objectId'],
  [
    "the server's clock",
    {},
    { iat: now - 3600, exp: now - 2400 },
    "iat is not now: the server's clock is off, or this one's",
  ],
  ['a token that ends before it begins', {}, { exp: now - 1 }, 'exp is not after iat'],
  [
    'a life longer than the policy allows',
    {},
    { exp: now + 86_400 },
    "exp is later than the policy's tokenTtlSeconds allows: deploy again",
  ],
  [
    'a life shorter than the policy says',
    {},
    { exp: now + 600 },
    "exp is earlier than the policy's tokenTtlSeconds says: deploy again",
  ],
])('names %s', (_name, headerChanges, bodyChanges, message) => {
  expect(claimFaults(tokenOf(headerChanges, bodyChanges), expected)).toContain(message);
});

test('names a life beyond the end of the session, and takes one cut short by it', () => {
  const sessionEnd = (now + 600) * 1000 + 500;
  expect(claimFaults(tokenOf({}, {}), { ...expected, sessionEnd })).toEqual([
    'exp is after the end of the session',
  ]);
  expect(claimFaults(tokenOf({}, { exp: now + 600 }), { ...expected, sessionEnd })).toEqual([]);
});

test("verifies a signature with Virgil's own library: the App Key's, and no other's", async () => {
  const crypto = await loadVirgilCrypto();
  const [one, other] = [makeVirgilApplication(crypto), makeVirgilApplication(crypto)].map(({ environment }) =>
    virgilCredentials(environment),
  );
  if (!one || !other) throw new Error('no application');
  const jwt = Jwt.fromString((await issueVirgilToken(one, identity, 60_000)).token);
  expect(await isSignedWith(jwt, one)).toBe(true);
  expect(await isSignedWith(jwt, { ...one, appKey: other.appKey })).toBe(false);
});
