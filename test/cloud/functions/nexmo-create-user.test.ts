import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { restClient } from '../../support/rest';
import { tokensIn } from '../../support/tokens-in';
import { faults, makeVonageApplication, startVonage } from '../../support/vonage';

let server: BareParseServer;
let vonage: Awaited<ReturnType<typeof startVonage>>;
let rest: ReturnType<typeof restClient>;

beforeAll(async () => {
  vonage = await startVonage();
  const { NEXMO_APP_ID, NEXMO_PRIVATE_KEY } = vonage.environment;
  server = await startBareParseServer({
    environment: { NEXMO_APP_ID, NEXMO_PRIVATE_KEY, NEXMO_API_URL: 'http://api.example' },
  });
  rest = restClient(server);
});
afterAll(async () => {
  await server?.stop();
  vonage?.stop();
});
beforeEach(() => {
  vonage.failWith();
  vonage.takeCalls();
});

const createUser = (params: unknown, caller: { sessionToken: string }) =>
  rest.run('nexmo-create-user', params, caller);

// The first test: credentials that were good once are kept.
test('sends no admin token over the network in the clear', async () => {
  const user = await rest.signUp();
  expect((await createUser({}, user)).body).toEqual({
    code: 141,
    error: 'nexmo-create-user is not configured on this server; its log says what to mend.',
  });
  expect(
    (await server.logged()).includes(
      'nexmo-create-user is not configured: NEXMO_API_URL is not an https:// address',
    ),
  ).toBe(true);
  expect((await rest.run('nexmo-jwt', {}, user)).status).toBe(200);
  await server.setEnvironment({ NEXMO_API_URL: vonage.url });
});

describe('the user at Vonage', () => {
  test('has the identity for a name, as the token of nexmo-jwt has it', async () => {
    const user = await rest.signUp();
    const { status, body } = await createUser({ displayName: 'Alice 👩‍⚕️' }, user);
    expect(status).toBe(200);
    expect(vonage.users.at(-1)).toEqual({ id: body.result.id, name: user.id, display_name: 'Alice 👩‍⚕️' });
    expect(body.result).toEqual({ id: expect.any(String), name: user.id });
    const { token } = (await rest.run('nexmo-jwt', {}, user)).body.result;
    expect((await vonage.verify(token)).sub).toBe(body.result.name);
  });

  test.each([
    ['left out', {}],
    ['null', { displayName: null }],
    ['empty', { displayName: '' }],
  ])('shows the identity where displayName is %s', async (_name, params) => {
    const user = await rest.signUp();
    expect((await createUser(params, user)).status).toBe(200);
    expect(vonage.users.at(-1)?.display_name).toBe(user.id);
  });

  test('is the same when asked for twice, and shows the first displayName', async () => {
    const user = await rest.signUp();
    const first = (await createUser({ displayName: 'Alice' }, user)).body.result;
    expect((await createUser({ displayName: 'Bob' }, user)).body.result).toEqual(first);
    expect(vonage.users.filter(({ name }) => name === user.id)).toHaveLength(1);
    expect(vonage.users.at(-1)?.display_name).toBe('Alice');
  });

  test('is the same when asked for twice at once', async () => {
    const user = await rest.signUp();
    const [one, other] = await Promise.all([createUser({}, user), createUser({}, user)]);
    expect(one.body.result).toEqual(other.body.result);
    expect(vonage.users.filter(({ name }) => name === user.id)).toHaveLength(1);
  });

  test('is made after one answer of 503', async () => {
    vonage.failWith(faults.answer(503));
    const user = await rest.signUp();
    expect((await createUser({}, user)).body.result.name).toBe(user.id);
  });

  test("cannot be another user's, whatever parameters say", async () => {
    const user = await rest.signUp();
    const params = { name: 'somebody', identity: 'somebody', display_name: 'Somebody', id: 'USR-1' };
    expect((await createUser(params, user)).body.result.name).toBe(user.id);
    expect(vonage.takeCalls().map(({ body }) => body)).toEqual([{ name: user.id, display_name: user.id }]);
  });
});

describe('displayName', () => {
  test.each([
    ['letters', 'x'.repeat(100)],
    ['emoji, two units of UTF-16 each', '🔑'.repeat(100)],
    ['lines', 'x\n'.repeat(50)],
  ])('may have 100 characters: %s', async (_name, displayName) => {
    expect((await createUser({ displayName }, await rest.signUp())).status).toBe(200);
    expect(vonage.users.at(-1)?.display_name).toBe(displayName);
  });

  test.each([
    ['of 101 characters', 'x'.repeat(101)],
    ['of a megabyte', 'x'.repeat(1_000_000)],
    ['a number', 5],
    ['true', true],
    ['a list', ['Alice']],
    ['an object', { name: 'Alice' }],
    ['an operation', { __op: 'Delete' }],
    ['a query operator', { $ne: null }],
    ['a Date', { __type: 'Date', iso: '2026-01-01T00:00:00.000Z' }],
    ['a Pointer', { __type: 'Pointer', className: '_User', objectId: 'x' }],
  ])('%s is refused, and Vonage not asked', async (_name, displayName) => {
    expect((await createUser({ displayName }, await rest.signUp())).body).toEqual({
      code: 142,
      error: 'displayName must be a string of at most 100 characters.',
    });
    expect(vonage.takeCalls()).toEqual([]);
  });
});

describe("Vonage's refusal", () => {
  const plain = { code: 141, error: "The user could not be created at Vonage; this server's log says why." };

  test('of the request stays in the log, and its text goes nowhere', async () => {
    const detail = 'internal host 10.0.0.7, trace 5c1d';
    vonage.failWith(faults.answer(400, { code: 'user:error:invalid-name', detail }));
    expect((await createUser({}, await rest.signUp())).body).toEqual(plain);
    expect(
      (await server.logged()).includes(
        'nexmo-create-user failed: POST /v1/users was answered 400 user:error:invalid-name.',
      ),
    ).toBe(true);
    expect((await server.logged()).includes(detail)).toBe(false);
  });

  test('of a token that it echoes leaves the token in no log', async () => {
    const { environment } = makeVonageApplication();
    const stranger = await startBareParseServer({
      environment: { ...vonage.environment, NEXMO_PRIVATE_KEY: environment.NEXMO_PRIVATE_KEY },
    });
    try {
      const client = restClient(stranger);
      expect((await client.run('nexmo-create-user', {}, await client.signUp())).body).toEqual(plain);
      const [call, ...more] = vonage.takeCalls();
      expect(more).toEqual([]);
      expect(call?.token).toMatch(/^eyJ/);
      expect(
        (await stranger.logged()).includes(
          'POST /v1/users was answered 401: is NEXMO_PRIVATE_KEY the key of the application NEXMO_APP_ID?',
        ),
      ).toBe(true);
      expect(tokensIn(await stranger.logged())).toEqual([]);
    } finally {
      await stranger.stop();
    }
  });
});

test('the admin token is good for a minute, and leaves the server for Vonage alone', async () => {
  const { body } = await createUser({}, await rest.signUp());
  const [call] = vonage.takeCalls();
  const { iat, exp, acl } = await vonage.verify(call?.token as string);
  expect((exp as number) - (iat as number)).toBe(60);
  expect(acl).toEqual({ paths: { '/**': {} } });
  expect(JSON.stringify(body)).not.toContain(call?.token);
  expect((await server.logged()).includes(call?.token as string)).toBe(false);
});
