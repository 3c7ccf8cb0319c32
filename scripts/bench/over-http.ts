import { randomBytes } from 'node:crypto';
import { initCrypto, VirgilCrypto } from 'virgil-crypto';
import { type BareParseServer, startBareParseServer } from '../local/bare-parse-server';
import { type Call, requestsPerSecond, send } from './http-load';
import { interleave, type Ratio, ratioOf } from './rounds';

const CALLS = 600;
const ROUNDS = 15;
const FIRST_CALLS = 200;
const SAVES = 100;
const SAVE_ROUNDS = 20;

// Beside the bundle: a function that does nothing, the demo's function, and a class like Message with an empty trigger.
const cloudCode = `
  require('./e2ee');
  const same = 'x'.repeat(430);
  Parse.Cloud.define('empty', ({ user }) => user && { token: same, identity: user.id, expiresAt: '2026-01-01T00:00:00.000Z' });
  const { JwtGenerator } = require(${JSON.stringify(require.resolve('virgil-sdk'))});
  const { initCrypto, VirgilCrypto, VirgilAccessTokenSigner } = require(${JSON.stringify(require.resolve('virgil-crypto'))});
  const generator = initCrypto().then(() => {
    const crypto = new VirgilCrypto();
    return new JwtGenerator({
      appId: process.env.VIRGIL_APP_ID,
      apiKeyId: process.env.VIRGIL_APP_KEY_ID,
      apiKey: crypto.importPrivateKey(process.env.VIRGIL_APP_KEY),
      accessTokenSigner: new VirgilAccessTokenSigner(crypto),
    });
  });
  Parse.Cloud.define('demo', async ({ params }) => {
    const answer = await fetch(Parse.serverURL + '/users/me', {
      headers: { 'X-Parse-Application-Id': Parse.applicationId, 'X-Parse-Session-Token': params.sessionToken },
    });
    const { objectId } = await answer.json();
    return { token: (await generator).generateToken(objectId).toString() };
  });
  Parse.Cloud.beforeSave('Unguarded', () => {});
`;

interface HttpRatios {
  renewal: Ratio;
  againstDemo: Ratio;
  firstCall: Ratio;
  parameter: Ratio;
  save: Ratio;
  saveAmongMany: Ratio;
}

/**
 * Measures functions and saves on a Parse Server of its own, over 8 connections.
 *
 * @param say tells what is being measured
 */
export async function measureOverHttp(say: (what: string) => void): Promise<HttpRatios> {
  await initCrypto();
  const crypto = new VirgilCrypto();
  const { privateKey, publicKey } = crypto.generateKeys();
  const server = await startBareParseServer({
    cloudCode,
    environment: {
      VIRGIL_APP_ID: randomBytes(16).toString('hex'),
      VIRGIL_APP_KEY_ID: randomBytes(16).toString('hex'),
      VIRGIL_APP_KEY: crypto.exportPrivateKey(privateKey).toString('base64'),
    },
    // Logging costs both sides of each ratio the same, and the disk's moods with it.
    parseOptions: { logLevel: 'error', silent: true },
  });
  try {
    const payload = crypto
      .signAndEncrypt(Buffer.alloc(100), privateKey, [publicKey], true)
      .toString('base64');
    return {
      ...(await measureFunctions(server, say)),
      ...(await measureSaves(server, payload, say)),
    };
  } finally {
    await server.stop();
  }
}

async function measureFunctions(server: BareParseServer, say: (what: string) => void) {
  const headers = { 'X-Parse-Application-Id': server.appId, 'X-Parse-Revocable-Session': '1' };
  const user = JSON.parse(
    await send(server.url, { path: '/users', headers, body: { username: 'bench', password: 'bench' } }),
  );
  const withSession = (sessionToken: string) => ({ ...headers, 'X-Parse-Session-Token': sessionToken });
  const repeat = (call: Call) => Array.from({ length: CALLS }, () => call);
  const isToken = (answer: string) => answer.includes('"token":');
  const run = (name: string, body: object, callHeaders: Record<string, string>) => () =>
    requestsPerSecond(
      server.url,
      repeat({ path: `/functions/${name}`, headers: callHeaders, body }),
      isToken,
    );
  const { sessionToken } = user;
  const figures = await interleave(
    {
      empty: run('empty', {}, withSession(sessionToken)),
      renewal: run('virgil-jwt', {}, withSession(sessionToken)),
      parameter: run('virgil-jwt', { sessionToken }, headers),
      demo: run('demo', { sessionToken }, headers),
    },
    ROUNDS,
    (round) => say(`functions, round ${round} of ${ROUNDS}`),
  );

  const firstCalls = await interleave(
    {
      pair: async () => {
        const sessions = await newSessions(server, user.objectId);
        const over = (name: string) =>
          requestsPerSecond(
            server.url,
            sessions.map((token) => ({ path: `/functions/${name}`, headers: withSession(token), body: {} })),
            isToken,
          );
        await over('empty'); // Parse Server has looked them up now; we have not.
        return (await over('virgil-jwt')) / (await over('empty'));
      },
    },
    ROUNDS,
    (round) => say(`first calls, round ${round} of ${ROUNDS}`),
  );

  return {
    renewal: ratioOf(figures.renewal, figures.empty),
    againstDemo: ratioOf(figures.renewal, figures.demo),
    parameter: ratioOf(figures.parameter, figures.empty),
    firstCall: ratioOf(
      firstCalls.pair,
      firstCalls.pair.map(() => 1),
    ),
  };
}

let sessions = 0;

/** Sessions that nobody has seen yet, straight into the database. */
async function newSessions(server: BareParseServer, userId: string): Promise<string[]> {
  const tokens = Array.from({ length: FIRST_CALLS }, () => `r:${randomBytes(16).toString('hex')}`);
  const rows = tokens.map(
    (token) => `('bench${++sessions}', '${token}', '${userId}', now() + interval '1 year', now(), now())`,
  );
  // The table has no index on its tokens: what is no longer needed would be searched as well.
  await server.sql(`DELETE FROM "_Session" WHERE "objectId" LIKE 'bench%'`);
  await server.sql(
    `INSERT INTO "_Session" ("objectId", "sessionToken", "user", "expiresAt", "createdAt", "updatedAt") VALUES ${rows}`,
  );
  return tokens;
}

async function measureSaves(server: BareParseServer, payload: string, say: (what: string) => void) {
  const headers = { 'X-Parse-Application-Id': server.appId };
  const { objectId, sessionToken } = JSON.parse(
    await send(server.url, { path: '/users', headers, body: { username: 'saver', password: 'saver' } }),
  );
  const row = {
    body: payload,
    senderId: objectId,
    threadId: 'aThread',
    timestamp: 'a time',
    ACL: { [objectId]: { read: true, write: true } },
  };
  const save = (className: string) => () =>
    requestsPerSecond(
      server.url,
      Array.from({ length: SAVES }, () => ({
        path: `/classes/${className}`,
        headers: { ...headers, 'X-Parse-Session-Token': sessionToken },
        body: row,
      })),
      (answer) => answer.includes('"objectId":'),
    );
  const guarded = save('Message');
  const unguarded = save('Unguarded');
  const few = await interleave({ guarded, unguarded }, SAVE_ROUNDS, (round) =>
    say(`saves, round ${round} of ${SAVE_ROUNDS}`),
  );

  // The classes are emptied and filled before each round: 1,000 rows, then 100,000.
  const fill = async (rows: number) => {
    await server.sql('DELETE FROM "Message"');
    await server.sql(
      `INSERT INTO "Message" ("objectId", body, "senderId", "threadId", "timestamp", "createdAt", "updatedAt") ` +
        `SELECT 'seed' || n, '${payload}', 'user' || n % 1000, 'thread' || n % 5000, 'a time', now(), now() ` +
        `FROM generate_series(1, ${rows}) n`,
    );
  };
  const among: Record<number, number[]> = { 1000: [], 100000: [] };
  for (let round = 1; round <= 3; round++) {
    for (const rows of [1000, 100_000]) {
      say(`saves among ${rows} rows, round ${round} of 3`);
      await fill(rows);
      const { ratio } = await interleave({ ratio: async () => (await guarded()) / (await unguarded()) }, 5);
      among[rows]?.push(...ratio);
    }
  }
  return {
    save: ratioOf(few.guarded, few.unguarded),
    saveAmongMany: ratioOf(among[100_000] as number[], among[1000] as number[]),
  };
}
