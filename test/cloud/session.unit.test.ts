import crypto from 'node:crypto';
import { nexmoJwt } from '../../cloud/functions/nexmo-jwt';
import { virgilJwt } from '../../cloud/functions/virgil-jwt';
import {
  authenticate,
  type FunctionRequest,
  isIdentifier,
  keepResultOutOfLog,
  tokenLifetime,
} from '../../cloud/session';
import { becomeCloudCode } from '../support/cloud-code';
import { makeVonageApplication } from '../support/vonage';

// HTTP has its say in session.test.ts. Here the clock is ours, and each question to the database is counted.
const NOW = 1_795_000_000_000;
const DAY = 86_400_000;
const YEAR = 365 * DAY;
const TTL_SECONDS = 1200;

const IDENTITY = 'Xk2p9QaL0b';
const USER = { className: '_User', objectId: IDENTITY };
const FULL_USER = { __type: 'Object', ...USER, createdAt: '2026-01-01T00:00:00.000Z' };

/** The rows of `_Session` by their token. */
const sessions = new Map<string, { end?: number; user: object | null }>();
let queries: string[] = [];

// As Parse Server: the master key alone sees `_Session`; a row has the keys that are asked for, a user where it is included.
becomeCloudCode(({ method, path, data, useMasterKey }) => {
  if (method !== 'GET' || path !== 'classes/_Session')
    throw new Parse.Error(Parse.Error.COMMAND_UNAVAILABLE, path);
  if (!useMasterKey) throw new Parse.Error(Parse.Error.INVALID_SESSION_TOKEN, 'Invalid session token');
  queries.push(data.where.sessionToken);
  const session = sessions.get(data.where.sessionToken);
  if (!session) return { results: [] };
  const { end, user } = session;
  const fields = {
    ...(end !== undefined && { expiresAt: { __type: 'Date', iso: new Date(end).toISOString() } }),
    ...(user && { user: data.include === 'user' ? user : { __type: 'Pointer', ...USER } }),
  };
  const shown = Object.entries(fields).filter(([name]) => data.keys.split(',').includes(name));
  return { results: [{ objectId: 'aSession', ...Object.fromEntries(shown) }] };
});

let made = 0;
function newSession(end = NOW + YEAR, user: object | null = FULL_USER): string {
  const token = `r:${++made}`;
  sessions.set(token, { end, user });
  return token;
}

const FOUND = { identity: IDENTITY, expiresAt: NOW + YEAR };
const INVALID = { code: 209, message: 'No valid session: log in, and call with its session token.' };
const NO_IDENTITY = { code: 141, message: "This user's ID cannot be an identity." };

/** A call with this user in the header, as Parse Server hands it on. */
const call = (params: Record<string, unknown>, user?: object): FunctionRequest => ({
  params,
  user: user && (Parse.Object.fromJSON({ ...USER, ...user }) as Parse.User),
  log: { error: () => {} },
});
const byParameter = (sessionToken: unknown) => authenticate(call({ sessionToken }), TTL_SECONDS);
const byHeader = (sessionToken: string, authenticateNow = authenticate) =>
  authenticateNow(call({}, { sessionToken }), TTL_SECONDS);

/** How many questions to the database this takes. */
async function count(run: () => Promise<unknown>): Promise<number> {
  queries = [];
  await run();
  return queries.length;
}

beforeEach(() => {
  queries = [];
  jest.useFakeTimers({ now: NOW, doNotFake: ['nextTick', 'setImmediate'] });
});
afterEach(() => jest.useRealTimers());

describe('who is calling', () => {
  test.each([
    ['by the header', (token: string) => call({}, { sessionToken: token })],
    [
      'by the header, the parameter being null',
      (token: string) => call({ sessionToken: null }, { sessionToken: token }),
    ],
    ['by the parameter', (token: string) => call({ sessionToken: token })],
    ['by both', (token: string) => call({ sessionToken: token }, { sessionToken: token })],
  ])('%s: one question, of this session', async (_name, request) => {
    const token = newSession();
    expect(await authenticate(request(token), TTL_SECONDS)).toEqual(FOUND);
    expect(queries).toEqual([token]);
  });

  test('by a session without an end', async () => {
    const endless = { ...FOUND, expiresAt: Number.POSITIVE_INFINITY };
    sessions.set('r:endless', { user: FULL_USER });
    expect(await byHeader('r:endless')).toEqual(endless);
    expect(await byParameter('r:endless')).toEqual(endless);
  });

  test('empties the parameters, whatever the answer', async () => {
    const params = { sessionToken: newSession(), session_token: 'r:mistyped', nested: { a: 'r:mistyped' } };
    const request = call(params);
    await authenticate(request, TTL_SECONDS);
    expect(request.params).toEqual({});
    const refused = call({ token: 'r:mistyped' });
    await expect(authenticate(refused, TTL_SECONDS)).rejects.toMatchObject(INVALID);
    expect(refused.params).toEqual({});
  });

  test.each([
    ['nobody', () => call({})],
    ['a user who has no session', () => call({}, {})],
    ['a user who has no ID', () => call({}, { objectId: undefined, sessionToken: newSession() })],
    ['two sessions', () => call({ sessionToken: newSession() }, { sessionToken: newSession() })],
    ['the session of a user who has none', () => call({ sessionToken: newSession() }, {})],
  ])('%s is refused, and nothing is asked', async (_name, request) => {
    await expect(authenticate(request(), TTL_SECONDS)).rejects.toMatchObject(INVALID);
    expect(queries).toEqual([]);
  });

  const malformed = ['', 'r:', 'r:a b', "r:' OR", 'xr:1', 'r:1\n', 'R:1', `r:${'a'.repeat(129)}`];
  test.each([...malformed, 5, true, ['r:1'], { $ne: null }])(
    'neither is anything for the parameter %j',
    async (sessionToken) => {
      await expect(byParameter(sessionToken)).rejects.toMatchObject(INVALID);
      expect(queries).toEqual([]);
    },
  );

  test.each(['r:1', 'r:aZ_-09', `r:${'a'.repeat(128)}`])(
    'the parameter %s is looked up',
    async (sessionToken) => {
      sessions.set(sessionToken, { end: NOW + YEAR, user: FULL_USER });
      expect(await byParameter(sessionToken)).toEqual(FOUND);
    },
  );

  test.each([
    ['unknown', () => 'r:unknown'],
    ['that ends now', () => newSession(NOW)],
    ['of nobody', () => newSession(NOW + YEAR, null)],
    ['of a deleted user', () => newSession(NOW + YEAR, { __type: 'Pointer', ...USER })],
  ])('a session %s, as a parameter, is refused', async (_name, session) => {
    const token = session();
    await expect(byParameter(token)).rejects.toMatchObject(INVALID);
    expect(queries).toEqual([token]);
  });

  test.each([
    ['unknown to the database', () => 'r:unknown'],
    ['that ends now', () => newSession(NOW)],
  ])('a session %s, in the header, is refused', async (_name, session) => {
    await expect(byHeader(session())).rejects.toMatchObject(INVALID);
  });

  test('a session is good until the millisecond in which it ends', async () => {
    expect((await byHeader(newSession(NOW + 1))).expiresAt).toBe(NOW + 1);
  });

  test('a user whose ID is no identity is told so, and not to log in again', async () => {
    await expect(
      authenticate(call({}, { objectId: '*', sessionToken: newSession() }), TTL_SECONDS),
    ).rejects.toMatchObject(NO_IDENTITY);
    await expect(byParameter(newSession(NOW + YEAR, { ...FULL_USER, objectId: '*' }))).rejects.toMatchObject(
      NO_IDENTITY,
    );
  });
});

test.each([
  ['Xk2p9QaL0b', true],
  ['a_B.9@x-y', true],
  ['a'.repeat(64), true],
  ['a'.repeat(65), false],
  ['', false],
  ['*', false],
  ['role:Admins', false],
  ['a b', false],
  ['a\n', false],
  ['é', false],
  [['a'], false],
  [undefined, false],
])('whether %j can be an identity: %j', (value, expected) => {
  expect(isIdentifier(value)).toBe(expected);
});

describe('the end of a session', () => {
  test('by parameter is asked for every time', async () => {
    const token = newSession();
    for (let i = 0; i < 3; i++) expect(await count(() => byParameter(token))).toBe(1);
  });

  test('that came both ways is remembered as by the header alone', async () => {
    const token = newSession();
    const bothWays = () => authenticate(call({ sessionToken: token }, { sessionToken: token }), TTL_SECONDS);
    expect(await count(bothWays)).toBe(1);
    expect(await count(bothWays)).toBe(0);
    expect(await count(() => byHeader(token))).toBe(0);
  });

  test('by header is forgotten after twice tokenTtlSeconds; who renews once per token is remembered meanwhile', async () => {
    const token = newSession();
    const perCall = [];
    for (let i = 0; i < 5; i++) {
      perCall.push(await count(() => byHeader(token)));
      jest.advanceTimersByTime(TTL_SECONDS * 1000);
    }
    expect(perCall).toEqual([1, 0, 1, 0, 1]);
  });

  test('is remembered until the last millisecond of that', async () => {
    const token = newSession();
    await byHeader(token);
    jest.advanceTimersByTime(2 * TTL_SECONDS * 1000 - 1);
    expect(await count(() => byHeader(token))).toBe(0);
    jest.advanceTimersByTime(1);
    expect(await count(() => byHeader(token))).toBe(1);
  });

  test('is not remembered longer by a clock that is set back', async () => {
    const token = newSession();
    await byHeader(token);
    jest.setSystemTime(NOW - DAY);
    jest.advanceTimersByTime(2 * TTL_SECONDS * 1000);
    expect(await count(() => byHeader(token))).toBe(1);
  });

  test('is the new one, once the old one is forgotten', async () => {
    const token = newSession();
    await byHeader(token);
    sessions.set(token, { end: NOW + 2 * YEAR, user: FULL_USER });
    expect((await byHeader(token)).expiresAt).toBe(NOW + YEAR);
    jest.advanceTimersByTime(2 * TTL_SECONDS * 1000);
    expect((await byHeader(token)).expiresAt).toBe(NOW + 2 * YEAR);
    sessions.delete(token);
    jest.advanceTimersByTime(2 * TTL_SECONDS * 1000);
    await expect(byHeader(token)).rejects.toMatchObject(INVALID);
  });

  test('that is a day away or nearer is read again each time: extendSessionOnUse may have moved it', async () => {
    const near = newSession(NOW + DAY);
    const far = newSession(NOW + DAY + 1);
    for (const token of [near, far]) await byHeader(token);
    expect(await count(() => byHeader(near))).toBe(1);
    expect(await count(() => byHeader(far))).toBe(0);
    sessions.set(near, { end: NOW + YEAR, user: FULL_USER });
    expect((await byHeader(near)).expiresAt).toBe(NOW + YEAR);
  });

  test('is remembered of 10,000 sessions, and then the oldest is forgotten', async () => {
    let fresh = authenticate;
    await jest.isolateModulesAsync(async () => {
      ({ authenticate: fresh } = await import('../../cloud/session'));
    });
    const tokens = Array.from({ length: 10_001 }, () => newSession());
    const [oldest, second, ...others] = tokens as [string, string, ...string[]];
    const last = others.pop() as string;
    for (const token of [oldest, second, ...others]) await byHeader(token, fresh);
    expect(await count(() => byHeader(oldest, fresh))).toBe(0);
    expect(await count(() => byHeader(last, fresh))).toBe(1);
    expect(await count(() => byHeader(second, fresh))).toBe(0);
    expect(await count(() => byHeader(oldest, fresh))).toBe(1);
  });
});

describe("the end that Parse Server's cache has beside the user", () => {
  const iso = (end: number) => new Date(end).toISOString();
  const withCache = (
    sessionToken: string,
    cacheController: unknown,
    version = '9.10.0',
  ): FunctionRequest => ({
    ...call({}, { sessionToken }),
    config: { logLevels: {}, version, cacheController: cacheController as never },
  });
  const withCached = (sessionToken: string, cached: object) =>
    withCache(sessionToken, {
      user: { get: async (token: string) => (token === sessionToken ? cached : null) },
    });

  test('is taken, and nothing is asked', async () => {
    const request = withCached('r:cached alone', { expiresAt: iso(NOW + DAY + 1) });
    expect(await authenticate(request, TTL_SECONDS)).toEqual({ ...FOUND, expiresAt: NOW + DAY + 1 });
    expect(queries).toEqual([]);
  });

  test('is not remembered: Parse Server reads it again', async () => {
    const token = newSession();
    await authenticate(withCached(token, { expiresAt: iso(NOW + 2 * YEAR) }), TTL_SECONDS);
    const again = withCached(token, { expiresAt: iso(NOW + 3 * YEAR) });
    expect((await authenticate(again, TTL_SECONDS)).expiresAt).toBe(NOW + 3 * YEAR);
    expect((await byHeader(token)).expiresAt).toBe(NOW + YEAR);
    expect(queries).toEqual([token]);
  });

  test.each([
    ['a day away', { user: { get: async () => ({ expiresAt: iso(NOW + DAY) }) } }],
    ['over', { user: { get: async () => ({ expiresAt: iso(NOW) }) } }],
    ['not there', { user: { get: async () => ({ objectId: IDENTITY }) } }],
    [
      "a field of the user's own",
      { user: { get: async () => ({ expiresAt: { __type: 'Date', iso: iso(NOW + 2 * YEAR) } }) } },
    ],
    ['not cached', { user: { get: async () => null } }],
    ['in a cache that is asked otherwise', { user: {} }],
    ['not cached by user', {}],
    ['in no cache', undefined],
  ])('is read from the database where it is %s', async (_name, cacheController) => {
    const token = newSession();
    expect(await authenticate(withCache(token, cacheController), TTL_SECONDS)).toEqual(FOUND);
    expect(queries).toEqual([token]);
  });

  test.each(['9.9.0', '9.1.0', '8.10.2', '19', undefined])(
    'is not believed on Parse Server %s, which has a field that users write themselves there',
    async (version) => {
      const token = newSession();
      const cached = { user: { get: async () => ({ expiresAt: iso(NOW + 2 * YEAR) }) } };
      const request = withCache(token, cached, version ?? '');
      expect(await authenticate(request, TTL_SECONDS)).toEqual(FOUND);
      expect(queries).toEqual([token]);
    },
  );

  test.each(['9.10.0', '9.11.3-alpha.1', '10.0.0', '100.2.0'])('is believed on %s', async (version) => {
    const cached = { user: { get: async () => ({ expiresAt: iso(NOW + 2 * YEAR) }) } };
    const { expiresAt } = await authenticate(withCache(newSession(), cached, version), TTL_SECONDS);
    expect(expiresAt).toBe(NOW + 2 * YEAR);
  });

  test('has no say in a session that comes as a parameter', async () => {
    const token = newSession();
    const { config } = withCached(token, { expiresAt: iso(NOW + 2 * YEAR) });
    expect(await authenticate({ ...call({ sessionToken: token }), config }, TTL_SECONDS)).toEqual(FOUND);
  });
});

describe('a token lives', () => {
  test.each([
    ['for the policy’s lifetime', YEAR, 1200, 1_200_000],
    ['no longer than the session', 90_999, 1200, 90_999],
    ['for the last whole second of a session', 1000, 1200, 1000],
    ['for the policy’s lifetime, where the session has no end', Number.POSITIVE_INFINITY, 60, 60_000],
  ])('%s', (_name, left, ttlSeconds, lifetime) => {
    expect(tokenLifetime({ identity: IDENTITY, expiresAt: NOW + left }, ttlSeconds)).toBe(lifetime);
  });

  test('not at all in the last second of a session', () => {
    const session = { identity: IDENTITY, expiresAt: NOW + 999 };
    expect(() => tokenLifetime(session, TTL_SECONDS)).toThrow(expect.objectContaining(INVALID));
  });
});

describe.each([
  ['virgil-jwt', virgilJwt({ tokenTtlSeconds: TTL_SECONDS, guardUserIds: false, eraseDeletedUsers: false })],
  ['nexmo-jwt', nexmoJwt({ tokenTtlSeconds: TTL_SECONDS, acl: {} })],
])('%s, while the signature is made', (_name, issue) => {
  const { sign } = crypto;
  const appKey = crypto.generateKeyPairSync('ed25519').privateKey;
  Object.assign(process.env, {
    VIRGIL_APP_ID: 'a'.repeat(32),
    VIRGIL_APP_KEY_ID: 'b'.repeat(32),
    VIRGIL_APP_KEY: appKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
    ...makeVonageApplication().environment,
  });
  afterEach(() => jest.restoreAllMocks());

  /** What is issued where the signature takes so long, for a session with a minute left. */
  async function issueIn(milliseconds: number) {
    jest.spyOn(crypto, 'sign').mockImplementation(((...args: Parameters<typeof sign>) => {
      jest.setSystemTime(NOW + milliseconds);
      return sign(...args);
    }) as typeof sign);
    return issue(call({ sessionToken: newSession(NOW + 60_000) }));
  }

  test('a session that goes on gets its token', async () => {
    expect(await issueIn(59_000)).toMatchObject({ expiresAt: new Date(NOW + 60_000).toISOString() });
  });

  test('a session that ends gets none', async () => {
    await expect(issueIn(59_001)).rejects.toMatchObject(INVALID);
  });
});

describe("a result is kept out of Parse Server's log", () => {
  const levels = { cloudFunctionSuccess: 'info', cloudFunctionError: 'error' };
  const requestOf = (config: FunctionRequest['config']): FunctionRequest => ({ ...call({}), config });

  test('and in a batch, which shares its config, nothing but ours', async () => {
    const config = { logLevels: levels };
    const logged: string[] = [];
    // Parse Server 9.10: the result is logged some microtasks after the function's promise is resolved.
    const run = async (name: string, cloudFunction: () => Promise<unknown>) => {
      await Promise.resolve().then(cloudFunction).then();
      logged.push(
        `${name}: ${config.logLevels.cloudFunctionSuccess}, ${config.logLevels.cloudFunctionError}`,
      );
    };
    const ours = () => keepResultOutOfLog(requestOf(config));
    await Promise.all([
      run('own', async () => {}),
      run('ours', ours),
      run('own', () => new Promise(setImmediate)),
      run('ours', ours),
      run('own', () => new Promise((done) => setImmediate(() => process.nextTick(done)))),
    ]);
    expect(logged).toEqual([
      'own: info, error',
      'ours: silent, error',
      'own: info, error',
      'ours: silent, error',
      'own: info, error',
    ]);
    expect(config.logLevels).toBe(levels);
  });

  test('for the microtasks after our return, and no longer', async () => {
    const config = { logLevels: levels };
    await keepResultOutOfLog(requestOf(config));
    for (let i = 0; i < 100; i++) await Promise.resolve();
    expect(config.logLevels).toEqual({ cloudFunctionSuccess: 'silent', cloudFunctionError: 'error' });
    await new Promise(process.nextTick);
    expect(config.logLevels).toBe(levels);
  });

  test('where a request has log levels: older servers have none', async () => {
    await expect(keepResultOutOfLog(requestOf(undefined))).resolves.toBeUndefined();
  });
});
