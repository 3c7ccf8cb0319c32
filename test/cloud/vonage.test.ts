import { createPrivateKey } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { issueNexmoAdminToken, issueNexmoToken } from '../../cloud/tokens/nexmo-token';
import { createVonageUser } from '../../cloud/vonage';
import { faults, makeVonageApplication, startVonage } from '../support/vonage';

let vonage: Awaited<ReturnType<typeof startVonage>>;
let token: string;
let names = 0;

beforeAll(async () => {
  vonage = await startVonage();
});
afterAll(() => vonage?.stop());
beforeEach(async () => {
  token = await issueNexmoAdminToken(credentialsIn(vonage.environment));
  vonage.failWith();
  vonage.takeCalls();
});

const credentialsIn = (environment: { NEXMO_APP_ID: string; NEXMO_PRIVATE_KEY: string }) => ({
  appId: environment.NEXMO_APP_ID,
  privateKey: createPrivateKey(environment.NEXMO_PRIVATE_KEY),
});
const newName = () => `user${++names}`;
const create = (name = newName(), adminToken = token) =>
  createVonageUser(vonage.url, adminToken, name, 'Alice');
const callsMade = () => vonage.takeCalls().map(({ method, path }) => `${method} ${path}`);

async function failure(name?: string, adminToken?: string): Promise<string> {
  const error = await create(name, adminToken).then(
    () => new Error('it succeeded'),
    (reason: Error) => reason,
  );
  expect(error.name).toBe('ServiceError');
  expect(error.message).not.toContain('eyJ');
  return error.message;
}

test('creates the user with name and display name', async () => {
  const user = await create('Xk2p9QaL0b');
  expect(vonage.users.at(-1)).toEqual({ id: user.id, name: 'Xk2p9QaL0b', display_name: 'Alice' });
  expect(user).toEqual({ id: expect.stringMatching(/^USR-/), name: 'Xk2p9QaL0b' });
  expect(vonage.takeCalls()).toEqual([
    { method: 'POST', path: '/v1/users', token, body: { name: 'Xk2p9QaL0b', display_name: 'Alice' } },
  ]);
});

describe('a user who is there already', () => {
  test.each([
    ['409', faults.answer(409, {})],
    ['400 with user:error:duplicate-name', faults.answer(400, { code: 'user:error:duplicate-name' })],
  ])('is found by name after %s', async (_name, fault) => {
    const user = await create();
    // Names that merely start the same, as a search may bring up.
    vonage.users.unshift({ id: 'USR-other', name: `${user.name}0`, display_name: 'Mallory' });
    vonage.takeCalls();
    vonage.failWith(fault);
    expect(await create(user.name)).toEqual(user);
    expect(callsMade()).toEqual(['POST /v1/users', `GET /v1/users?name=${user.name}`]);
  });

  test('is one when two calls race', async () => {
    const name = newName();
    const [one, other] = await Promise.all([create(name), create(name)]);
    expect(one).toEqual(other);
    expect(vonage.users.filter((user) => user.name === name)).toHaveLength(1);
  });

  test('is not somebody else whose name a search brings up', async () => {
    vonage.failWith(
      faults.answer(409),
      faults.answer(200, { _embedded: { users: [null, { id: 'USR-other', name: 'another' }] } }),
    );
    expect(await failure('alice')).toBe('GET /v1/users was answered without the user.');
  });

  test('has a name that cannot change the query', async () => {
    vonage.failWith(faults.answer(409));
    await failure('a&name=b#c');
    expect(callsMade()).toContain('GET /v1/users?name=a%26name%3Db%23c');
  });
});

describe('is tried once more', () => {
  test.each([
    ['500', faults.answer(500, 'oops')],
    ['503', faults.answer(503)],
    ['a dropped connection', faults.drop],
    ['a connection dropped in the middle of the answer', faults.dropHalfWay],
  ])('after %s', async (_name, fault) => {
    vonage.failWith(fault);
    const user = await create();
    expect(vonage.users.at(-1)?.id).toBe(user.id);
    expect(callsMade()).toEqual(['POST /v1/users', 'POST /v1/users']);
  });

  test('after a dropped connection whose call Vonage had carried out', async () => {
    const name = newName();
    vonage.failWith((_request, response) => {
      vonage.users.push({ id: 'USR-made', name, display_name: 'Alice' });
      response.destroy();
    });
    expect(await create(name)).toEqual({ id: 'USR-made', name });
    expect(callsMade()).toEqual(['POST /v1/users', 'POST /v1/users', `GET /v1/users?name=${name}`]);
  });

  test('when it is the search that fails', async () => {
    const user = await create();
    vonage.failWith(faults.answer(409), faults.answer(502));
    expect(await create(user.name)).toEqual(user);
  });

  test.each([
    ['500', faults.answer(500), 'POST /v1/users was answered 500.'],
    ['a dropped connection', faults.drop, 'POST /v1/users failed (ECONNRESET).'],
  ])('and only once, after %s', async (_name, fault, reason) => {
    vonage.failWith(fault, fault, fault);
    expect(await failure()).toBe(reason);
    expect(callsMade()).toEqual(['POST /v1/users', 'POST /v1/users']);
  });
});

describe('is not tried again', () => {
  test.each([
    [400, { code: 'user:error:invalid-name' }, '400 user:error:invalid-name.'],
    [401, { title: 'Unauthorized' }, '401: is NEXMO_PRIVATE_KEY the key of the application NEXMO_APP_ID?'],
    [403, {}, '403.'],
    [404, '<h1>Not found</h1>', '404.'],
    [422, 'null', '422.'],
    [429, {}, '429.'],
  ])('after %i', async (status, body, reason) => {
    vonage.failWith(faults.answer(status, body));
    expect(await failure()).toBe(`POST /v1/users was answered ${reason}`);
    expect(callsMade()).toEqual(['POST /v1/users']);
  });

  test.each([
    ['no answer', faults.hang],
    ['half an answer', faults.hangHalfWay],
  ])('after 5 seconds with %s', async (_name, fault) => {
    vonage.failWith(fault);
    expect(await failure()).toBe('POST /v1/users was not answered within 5 s.');
    expect(callsMade()).toEqual(['POST /v1/users']);
  });
});

describe('trusts nothing that it is answered', () => {
  test.each([
    ['nothing', ''],
    ['no JSON', '<html>'],
    ['null', 'null'],
    ['a list', '[]'],
    ['no ID', { name: 'alice' }],
    ['an ID that is no string', { id: { $ne: null } }],
    ['an ID with a line break', { id: 'USR-1\nroot logged in' }],
    ['an ID that goes on and on', { id: 'U'.repeat(10_000) }],
  ])('201 with %s', async (_name, body) => {
    vonage.failWith(faults.answer(201, body));
    expect(await failure()).toBe('POST /v1/users was answered without the user.');
  });

  test.each([
    ['nothing', ''],
    ['null', 'null'],
    ['no list', { _embedded: { users: 'alice' } }],
    ['an empty list', { _embedded: { users: [] } }],
    ['a user without an ID', { _embedded: { users: [{ name: 'alice' }] } }],
  ])('a search that finds %s', async (_name, body) => {
    vonage.failWith(faults.answer(409), faults.answer(200, body));
    expect(await failure('alice')).toBe('GET /v1/users was answered without the user.');
  });

  test.each([201, 400])('an endless answer, with status %i', async (status) => {
    vonage.failWith((_request, response) => {
      response.writeHead(status);
      const write = () => {
        while (!response.destroyed && response.write('x'.repeat(10_000)));
      };
      response.on('drain', write);
      write();
    });
    expect(await failure()).toBe('POST /v1/users was answered with more than 65536 bytes.');
  });

  test('a code that is no code, with the token in it', async () => {
    vonage.failWith((request, response) => {
      response.writeHead(400).end(JSON.stringify({ code: request.headers.authorization }));
    });
    expect(await failure()).toBe('POST /v1/users was answered 400.');
  });

  test('a redirect, which would take the admin token elsewhere', async () => {
    let visits = 0;
    const elsewhere = createServer((_request, response) => {
      visits++;
      response.end();
    });
    await new Promise<void>((done) => elsewhere.listen(0, '127.0.0.1', done));
    const { port } = elsewhere.address() as AddressInfo;
    vonage.failWith(faults.answer(307, {}, { Location: `http://127.0.0.1:${port}/v1/users` }));
    expect(await failure()).toBe('POST /v1/users was answered 307.');
    elsewhere.close();
    expect(visits).toBe(0);
  });
});

describe('the stand-in for Vonage refuses', () => {
  test("a token of another application's key", async () => {
    const stranger = credentialsIn(makeVonageApplication().environment);
    const forged = await issueNexmoAdminToken({ ...stranger, appId: vonage.environment.NEXMO_APP_ID });
    expect(await failure('alice', forged)).toMatch(/answered 401/);
  });

  test('an expired token', async () => {
    const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() - 120_000);
    const expired = await issueNexmoAdminToken(credentialsIn(vonage.environment));
    clock.mockRestore();
    expect(await failure('alice', expired)).toMatch(/answered 401/);
  });

  test("a user's token", async () => {
    const acl = { '/*/users/**': {} };
    const { token: ours } = await issueNexmoToken(credentialsIn(vonage.environment), 'alice', acl, 60_000);
    expect(await failure('alice', ours)).toMatch(/answered 403/);
  });
});
