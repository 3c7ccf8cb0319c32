import { openVirgilCloud } from '../../../../scripts/local/virgil-cloud';
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

it('does not start with NODE_ENV=production', async () => {
  const before = process.env.NODE_ENV;
  process.env.NODE_ENV = 'production';
  try {
    await expect(openVirgilCloud(app)).rejects.toThrow('for development only');
  } finally {
    process.env.NODE_ENV = before;
  }
});

describe('cross-origin calls', () => {
  const preflight = (Origin: string) =>
    fetch(`${cloud.url}/keyknox/v1`, {
      method: 'OPTIONS',
      headers: {
        Origin,
        'Access-Control-Request-Method': 'PUT',
        'Access-Control-Request-Headers': 'authorization',
      },
    });

  it('are allowed from web apps of this machine', async () => {
    const origin = 'http://localhost:3000';
    const { status, headers } = await preflight(origin);
    expect(status).toBe(204);
    expect(headers.get('Access-Control-Allow-Origin')).toBe('*');
    expect(headers.get('Access-Control-Allow-Methods')).toBe('GET, POST, PUT');
    expect(headers.get('Access-Control-Allow-Headers')).toBe(
      'Authorization, Content-Type, Virgil-Agent, Virgil-Keyknox-Previous-Hash',
    );

    const answer = await call(`${cloud.url}/keyknox/v1`, app.token('alice'), { headers: { Origin: origin } });
    expect(answer.headers.get('Access-Control-Allow-Origin')).toBe('*');
    expect(answer.headers.get('Access-Control-Expose-Headers')).toBe(
      'Virgil-Keyknox-Hash, X-Virgil-Is-Superseeded',
    );
  });

  it.each(['https://evil.example', 'null'])('are not allowed from %s', async (origin) => {
    const { status, headers } = await preflight(origin);
    expect([status, headers.has('Access-Control-Allow-Origin')]).toEqual([403, false]);
  });

  it('can read that their token has expired', async () => {
    const headers = { Origin: 'http://localhost:3000' };
    const answer = await call(`${cloud.url}/keyknox/v1`, app.token('alice', -1000), { headers });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('Access-Control-Allow-Origin')).toBe('*');
  });
});

it.each(['application/x-www-form-urlencoded', 'text/plain', 'application/octet-stream', ''])(
  'takes JSON with the Content-Type "%s": Python’s urllib says that of a form',
  async (type) => {
    const answer = await call(`${cloud.url}/card/v5/actions/search`, app.token('alice'), {
      body: '{"identity":"nobody"}',
      headers: { 'Content-Type': type },
    });
    expect(answer).toMatchObject({ status: 200, body: [] });
  },
);

describe('a bad request gets an error in Virgil’s shape that does not quote it', () => {
  const secret = 'cGxhaW50ZXh0';

  it.each<[string, number, { body: string; headers?: Record<string, string> }]>([
    ['malformed JSON', 400, { body: `{"value":"${secret}"` }],
    ['JSON that is no object', 400, { body: `"${secret}"` }],
    ['null', 400, { body: 'null' }],
    ['no JSON at all', 400, { body: secret, headers: { 'Content-Type': 'text/plain' } }],
    ['an unknown charset', 415, { body: '{}', headers: { 'Content-Type': 'application/json; charset=x' } }],
    ['an unknown encoding', 415, { body: '{}', headers: { 'Content-Encoding': 'x' } }],
    ['a body over the limit', 413, { body: JSON.stringify({ value: 'A'.repeat(2 ** 20) }) }],
  ])('%s: %s', async (_, status, options) => {
    const answer = await call(`${cloud.url}/keyknox/v2/push`, app.token('alice'), options);
    expect(answer).toMatchObject({ status, body: { code: 10001, message: expect.any(String) } });
    expect(Object.keys(answer.body)).toEqual(['code', 'message']);
    expect(JSON.stringify(answer.body)).not.toContain(secret);
  });

  it('a path that cannot be decoded: 400', async () => {
    expect(await call(`${cloud.url}/card/v5/%E0%A4%A`, app.token('alice'))).toMatchObject({
      status: 400,
      body: { code: 10001 },
    });
  });

  it('an endpoint that there is not: 404', async () => {
    expect(await call(`${cloud.url}/card/v6`, app.token('alice'))).toMatchObject({
      status: 404,
      body: { code: 10002 },
    });
  });
});
