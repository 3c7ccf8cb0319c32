import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { restClient } from '../../support/rest';
import { tokensIn } from '../../support/tokens-in';
import { makeVirgilApplication } from '../../support/virgil-application';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

// The tutorial that Back4App and Virgil have published defines its function later, inside a promise.
const cloudCode = `
  Parse.Cloud.define('virgil-jwt', () => ({ token: 'of the app, above' }));
  const { virgilJwt } = require('./e2ee');
  const later = new Promise((done) => setTimeout(done, 100)).then(() => {
    Parse.Cloud.define('virgil-jwt', () => ({ token: 'of the app, later' }));
    Parse.Cloud.define('virgilJwt', () => ({ token: 'of the app, later' }));
    Parse.Cloud.define('nexmo-jwt', () => ({ token: 'of the app, later' }), { requireMaster: true });
  });
  Parse.Cloud.define('defined', () => later);
  Parse.Cloud.define('own', () => 'first');
  Parse.Cloud.define('own', () => 'second');
  Parse.Cloud.define('unbanned-jwt', (request) => {
    if (request.user?.get('isBanned')) throw new Parse.Error(119, 'banned');
    return virgilJwt(request);
  });
  Parse.Cloud.define('reload', ({ params }) => {
    delete require.cache[require.resolve('./e2ee')];
    if (params.removeHooks) Parse.Cloud._removeAllHooks();
    if (params.first) Parse.Cloud.define('virgil-jwt', () => ({ token: 'of the app, first' }));
    if (params.load) require('./e2ee');
    Parse.Cloud.define('reload', () => {});
  });
`;

let server: BareParseServer;
let rest: ReturnType<typeof restClient>;
let user: { id: string; sessionToken: string };
const start = async () => {
  const application = makeVirgilApplication(await loadVirgilCrypto());
  server = await startBareParseServer({ cloudCode, environment: application.environment });
  rest = restClient(server);
  user = await rest.signUp();
};
beforeAll(start);
afterAll(() => server?.stop());

test('a function of ours is not replaced by one that the app defines above or later, and the log names it', async () => {
  await rest.run('defined');
  for (const name of ['virgil-jwt', 'virgilJwt']) {
    expect((await rest.run(name, {}, user)).body.result.identity).toBe(user.id);
  }
  expect((await rest.run('nexmo-jwt', {}, user)).body.code).toBe(141); // not configured here
  const logged = await server.logged();
  for (const name of ['virgil-jwt', 'virgilJwt', 'nexmo-jwt']) {
    expect(logged).toContain(
      `e2ee: another definition of the Cloud Function ${name} was left out. Remove it.`,
    );
  }
});

test('a function of the app alone may be defined twice, as before', async () => {
  expect((await rest.run('own')).body.result).toBe('second');
  expect(await server.logged()).not.toContain('Cloud Function own');
});

test('an app adds a check of its own in a function of another name, whose token stays out of the log', async () => {
  const { body } = await rest.run('unbanned-jwt', {}, user);
  expect(body.result.identity).toBe(user.id);
  await rest.call('PUT', `/users/${user.id}`, { isBanned: true }, { master: true });
  await server.emptyCache();
  expect((await rest.run('unbanned-jwt', {}, user)).body).toEqual({ code: 119, error: 'banned' });
  // Parse Server 5 has no log levels.
  if (!process.env.PARSE_SERVER_MODULE) expect(tokensIn(await server.logged())).toEqual([]);
});

test('GraphQL calls each by its second name, and the token stays out of the log', async () => {
  const call = async (functionName: string) => {
    const query = `mutation { callCloudCode(input: { functionName: ${functionName} }) { result } }`;
    const response = await fetch(server.graphQLUrl, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'X-Parse-Application-Id': server.appId,
        'X-Parse-Session-Token': user.sessionToken,
      },
      body: JSON.stringify({ query }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: what GraphQL answers is what the test finds out
    return (await response.json()) as any;
  };
  const { data } = await call('virgilJwt');
  expect(data.callCloudCode.result).toMatchObject({ identity: user.id, token: expect.any(String) });
  for (const name of ['nexmoJwt', 'nexmoCreateUser']) {
    const { errors } = await call(name);
    expect(errors[0].message).toContain('is not configured on this server');
  }
  if (!process.env.PARSE_SERVER_MODULE) expect(tokensIn(await server.logged())).toEqual([]);
});

// Last: they change the server.
test.each([
  [{ load: true }, 'ours'],
  [{ removeHooks: true, load: true }, 'ours'],
  [{ removeHooks: true, first: true, load: true }, 'ours'],
  [{ removeHooks: true, first: true }, 'of the app, first'],
])('a reload of the bundle defines its functions anew: %j', async (how, expected) => {
  await server.stop();
  await start();
  await rest.run('reload', how);
  const { body } = await rest.run('virgil-jwt', {}, user);
  expect(body.result.identity === user.id ? 'ours' : body.result.token).toBe(expected);
});
