import { randomBytes } from 'node:crypto';
import { initCrypto, VirgilCrypto } from 'virgil-crypto';
import { databaseFor } from '../engines/databases';
import { type BareParseServer, startBareParseServer } from '../local/bare-parse-server';
import { copyValue, type Row } from '../local/stored-rows';
import { envelopeOf } from './envelopes';
import { send } from './http-load';

/** Every option is off. */
export const POLICY = {
  virgil: { tokenTtlSeconds: 1200 },
  nexmo: { tokenTtlSeconds: 900, acl: {} },
  classes: {
    Message: {
      encrypted: ['body'],
      plain: ['senderId', 'threadId', 'timestamp'],
      sender: 'senderId',
      maxPayloadBytes: 400_000,
    },
  },
};

const BUNDLE = "require('./e2ee');";
// What tokens, saves and uploads are measured against: a function that does nothing, a class like Message and files, both with an empty
// trigger.
const NOTHING = `
  const same = 'x'.repeat(430);
  Parse.Cloud.define('empty', ({ user }) => user && { token: same, identity: user.id, expiresAt: '2026-01-01T00:00:00.000Z' });
  Parse.Cloud.beforeSave('Unguarded', () => {});
  Parse.Cloud.beforeSave(Parse.File, () => {});
`;
// The demo's function.
const DEMO = `
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
`;

export interface BenchServer extends BareParseServer {
  /** In words, with its version. */
  engine: string;
  /** The name under which it stores the tokens of sessions. */
  tokenField: string;
  /** Of the user who has signed up. */
  userId: string;
  sessionToken: string;
  /** Fields of a `Message` of 1 KB for one recipient, or of so many, which the user may save. */
  message(kilobytes?: number, recipients?: number): Row;
  /** Puts sessions of the user that nobody has seen yet straight into the database. @returns their tokens */
  newSessions(count: number): Promise<string[]>;
  /** Puts users who have just logged in straight into the database. */
  newUsers(count: number): Promise<Pick<BenchServer, 'userId' | 'sessionToken'>[]>;
  /** Starts another process for the same user, on the same database; PGlite has none that two may share. */
  startAnother(options: BenchOptions): Promise<BareParseServer>;
}

export interface BenchOptions {
  /** Default: `POLICY`. */
  policy?: object;
  /** Whether it has the bundle. Default: it has. */
  hasBundle?: boolean;
  /** Cloud Code in front of the bundle. */
  cloudCode?: string | undefined;
  /** Of its process, beside the credentials. */
  environment?: Record<string, string>;
  /** Of a Redis that servers on one database share. */
  redisUrl?: string;
}

export const LOGIN = { username: 'bench', password: 'bench' };

/** Starts a Parse Server of its own, with the bundle and what it is measured against, and signs up a user. */
export async function startBenchServer(options: BenchOptions = {}): Promise<BenchServer> {
  await initCrypto();
  const crypto = new VirgilCrypto();
  const application = {
    VIRGIL_APP_ID: randomBytes(16).toString('hex'),
    VIRGIL_APP_KEY_ID: randomBytes(16).toString('hex'),
    VIRGIL_APP_KEY: crypto.exportPrivateKey(crypto.generateKeys().privateKey).toString('base64'),
  };
  const database = await databaseFor(`bench-${randomBytes(4).toString('hex')}`);
  const start = ({ policy, hasBundle = true, cloudCode = '', environment, redisUrl }: BenchOptions) =>
    startBareParseServer({
      policy: policy ?? POLICY,
      cloudCode: cloudCode + (hasBundle ? BUNDLE + NOTHING + DEMO : NOTHING),
      environment: { ...application, ...environment },
      database,
      parseOptions: {
        // Logging costs both sides of each ratio the same, and the disk's moods with it.
        logLevel: 'error',
        silent: true,
        ...(redisUrl && { liveQuery: { classNames: ['Message', 'Unguarded'], redisURL: redisUrl } }),
      },
    });
  const server = await start(options);
  try {
    const { objectId, sessionToken } = JSON.parse(await send(server, { path: '/users', body: LOGIN }));
    const [session] = await server.rows.find('_Session', { sessionToken });
    const engine = await server.rows.engine();
    const tokenField = engine.startsWith('MongoDB') ? '_session_token' : 'sessionToken';
    let sessions = 0;
    return {
      ...server,
      engine,
      tokenField,
      userId: objectId,
      sessionToken,
      message: (kilobytes = 1, recipients = 1) => ({
        body: envelopeOf(crypto, kilobytes * 1024, recipients),
        senderId: objectId,
        threadId: 'aThread',
        timestamp: 'a time',
        ACL: { [objectId]: { read: true, write: true } },
      }),
      async newSessions(count) {
        const first = sessions + 1;
        sessions += count;
        await server.rows.copy(
          '_Session',
          session?.objectId as string,
          { [tokenField]: 'r:' },
          first,
          sessions,
        );
        return Array.from({ length: count }, (_, i) => `r:${copyValue(first + i)}`);
      },
      async newUsers(count) {
        const users = Array.from({ length: count }, () => ({
          userId: randomBytes(5).toString('hex'),
          sessionToken: `r:${randomBytes(16).toString('hex')}`,
        }));
        const expiresAt = { __type: 'Date', iso: new Date(Date.now() + 86_400_000).toISOString() };
        await server.rows.insert(
          '_User',
          users.map(({ userId }) => ({ objectId: userId, username: userId, _wperm: [userId] })),
        );
        await server.rows.insert(
          '_Session',
          users.map(({ userId, sessionToken }) => ({
            objectId: userId,
            user: { __type: 'Pointer', className: '_User', objectId: userId },
            sessionToken,
            expiresAt,
          })),
        );
        return users;
      },
      startAnother: (more) => start({ ...options, ...more }),
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
