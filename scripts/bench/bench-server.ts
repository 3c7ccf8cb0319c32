import { randomBytes } from 'node:crypto';
import { initCrypto, VirgilCrypto } from 'virgil-crypto';
import { type BareParseServer, startBareParseServer } from '../local/bare-parse-server';
import { copyValue } from '../local/stored-rows';
import { send } from './http-load';

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

export interface BenchServer extends BareParseServer {
  /** In words, with its version. */
  engine: string;
  /** The name under which it stores the tokens of sessions. */
  tokenField: string;
  /** Of the user who has signed up. */
  sessionToken: string;
  /** Fields of a `Message` of 1 KB, which the user may save. */
  message: object;
  /** Puts sessions of the user that nobody has seen yet straight into the database. @returns their tokens */
  newSessions(count: number): Promise<string[]>;
}

/** Starts a Parse Server of its own, with the bundle and what it is measured against, and signs up a user. */
export async function startBenchServer(): Promise<BenchServer> {
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
    const { objectId, sessionToken } = JSON.parse(
      await send(server.url, {
        path: '/users',
        headers: { 'X-Parse-Application-Id': server.appId, 'X-Parse-Revocable-Session': '1' },
        body: { username: 'bench', password: 'bench' },
      }),
    );
    const [session] = await server.rows.find('_Session', { sessionToken });
    const payload = crypto.signAndEncrypt(Buffer.alloc(100), privateKey, [publicKey], true);
    const engine = await server.rows.engine();
    const tokenField = engine.startsWith('MongoDB') ? '_session_token' : 'sessionToken';
    let sessions = 0;
    return {
      ...server,
      engine,
      tokenField,
      sessionToken,
      message: {
        body: payload.toString('base64'),
        senderId: objectId,
        threadId: 'aThread',
        timestamp: 'a time',
        ACL: { [objectId]: { read: true, write: true } },
      },
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
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
