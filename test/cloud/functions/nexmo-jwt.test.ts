import { generateKeyPairSync } from 'node:crypto';
import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { restClient } from '../../support/rest';
import { makeVirgilApplication } from '../../support/virgil-application';
import { loadVirgilCrypto } from '../../support/virgil-crypto';
import { makeVonageApplication } from '../../support/vonage';

const application = makeVonageApplication();
const virgil = { tokenTtlSeconds: 1200 };
const acl = { '/*/users/**': {}, '/*/conversations/**': { methods: ['GET', 'POST'] } };

let server: BareParseServer;
let rest: ReturnType<typeof restClient>;

beforeAll(async () => {
  const { environment } = makeVirgilApplication(await loadVirgilCrypto());
  server = await startBareParseServer({
    policy: {
      virgil,
      nexmo: { tokenTtlSeconds: 86_400, acl },
      classes: { Message: { encrypted: ['body'], plain: [] } },
    },
    environment: { ...environment, NEXMO_APP_ID: null, NEXMO_PRIVATE_KEY: null },
  });
  rest = restClient(server);
});
afterAll(() => server?.stop());

describe('with no good credentials', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const ecPem = ec.export({ format: 'pem', type: 'pkcs8' }) as string;
  const { NEXMO_APP_ID, NEXMO_PRIVATE_KEY } = application.environment;

  test.each([
    ['none', {}, 'NEXMO_APP_ID is not set'],
    ['the ID alone', { NEXMO_APP_ID }, 'NEXMO_PRIVATE_KEY is not set'],
    ['the key alone', { NEXMO_PRIVATE_KEY }, 'NEXMO_APP_ID is not set'],
    ['a name for an ID', { NEXMO_APP_ID: 'My Chat App', NEXMO_PRIVATE_KEY }, 'NEXMO_APP_ID is not a UUID'],
    [
      'an elliptic-curve key',
      { NEXMO_APP_ID, NEXMO_PRIVATE_KEY: ecPem },
      'NEXMO_PRIVATE_KEY is a key of type ec',
    ],
  ])(
    '%s: one plain sentence to the client of either function, the fault to the log',
    async (_name, set, fault) => {
      await server.setEnvironment({ NEXMO_APP_ID: null, NEXMO_PRIVATE_KEY: null, ...set });
      const user = await rest.signUp();
      for (const name of ['nexmo-jwt', 'nexmo-create-user']) {
        expect((await rest.run(name, {}, user)).body).toEqual({
          code: 141,
          error: `${name} is not configured on this server; its log says what to mend.`,
        });
        expect((await server.logged()).includes(`${name} is not configured: ${fault}`)).toBe(true);
      }
      const lines = [NEXMO_PRIVATE_KEY, ecPem].flatMap((pem) => pem.split('\n').slice(1, -2));
      const logged = await server.logged();
      expect(lines.filter((line) => logged.includes(line))).toEqual([]);
    },
  );

  test('everything else works', async () => {
    const user = await rest.signUp();
    expect((await rest.run('virgil-jwt', {}, user)).body.result.identity).toBe(user.id);
    expect((await rest.call('POST', '/classes/Message', { body: 'plain text' }, user)).body.code).toBe(142);
  });
});

test("the token is the caller's, with the policy's paths and lifetime, once there are credentials", async () => {
  await server.setEnvironment(application.environment);
  const user = await rest.signUp();
  const { result } = (await rest.run('nexmo-jwt', {}, user)).body;
  const { iat, exp, ...claims } = await application.verify(result.token);
  expect(claims).toEqual({
    application_id: application.environment.NEXMO_APP_ID,
    jti: expect.any(String),
    sub: user.id,
    acl: { paths: acl },
  });
  expect((exp as number) - (iat as number)).toBe(86_400);
  expect(result).toEqual({
    token: result.token,
    identity: user.id,
    expiresAt: new Date((exp as number) * 1000).toISOString(),
  });
});
