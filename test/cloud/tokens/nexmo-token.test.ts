import { createPrivateKey } from 'node:crypto';
import { decodeProtectedHeader } from 'jose';
import jws from 'jws';
import { issueNexmoAdminToken, issueNexmoToken } from '../../../cloud/tokens/nexmo-token';
import { makeVonageApplication } from '../../support/vonage';

const { environment, verify } = makeVonageApplication();
const credentials = {
  appId: environment.NEXMO_APP_ID,
  privateKey: createPrivateKey(environment.NEXMO_PRIVATE_KEY),
};
const acl = { '/*/users/**': {}, '/*/conversations/**': { methods: ['GET'] } };

test("verifies with an independent library, and holds the claims of Vonage's guide", async () => {
  const before = Math.floor(Date.now() / 1000);
  const { token, identity, expiresAt } = await issueNexmoToken(credentials, 'Xk2p9QaL0b', acl, 900_000);
  const payload = await verify(token);
  expect(decodeProtectedHeader(token)).toEqual({ alg: 'RS256', typ: 'JWT' });
  expect(payload).toEqual({
    application_id: environment.NEXMO_APP_ID,
    iat: expect.any(Number),
    exp: expect.any(Number),
    jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    sub: 'Xk2p9QaL0b',
    acl: { paths: acl },
  });
  expect(payload.iat).toBeGreaterThanOrEqual(before);
  expect(payload.exp).toBe((payload.iat as number) + 900);
  expect(identity).toBe('Xk2p9QaL0b');
  expect(Date.parse(expiresAt)).toBe((payload.exp as number) * 1000);
});

test('ends with the second in which its lifetime ends, in whole seconds', async () => {
  const end = Date.now() + 90_999;
  const { exp } = await verify((await issueNexmoToken(credentials, 'identity', acl, 90_999)).token);
  expect(Number.isInteger(exp)).toBe(true);
  expect(exp).toBeGreaterThanOrEqual(Math.floor(end / 1000));
  expect((exp as number) * 1000).toBeLessThanOrEqual(Date.now() + 90_999);
});

test('has an ID of its own each time', async () => {
  const ids = new Set<unknown>();
  for (let i = 0; i < 20; i++) {
    const { token } = await issueNexmoToken(credentials, 'identity', acl, 60_000);
    ids.add((await verify(token)).jti);
  }
  expect(ids.size).toBe(20);
});

test('an admin token has all rights for a minute, and is in nobody’s name', async () => {
  const { exp, iat, sub, acl: rights } = await verify(await issueNexmoAdminToken(credentials));
  expect((exp as number) - (iat as number)).toBe(60);
  expect(sub).toBeUndefined();
  expect(rights).toEqual({ paths: { '/**': {} } });
});

test("is what the library under Vonage's own makes of the same header and claims, byte for byte", async () => {
  const claims = { '/*/users/**': {}, '/*/straße/**': { methods: ['GET'] } };
  const { token } = await issueNexmoToken(credentials, 'Xk2p9QaL0b', claims, 900_000);
  const payload = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
  expect(token).toBe(
    jws.sign({ header: { alg: 'RS256', typ: 'JWT' }, payload, privateKey: credentials.privateKey }),
  );
});
