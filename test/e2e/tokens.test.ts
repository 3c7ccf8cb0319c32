import { generateKeyPairSync } from 'node:crypto';
import type { EThree } from '@virgilsecurity/e3kit-node';
import Parse from 'parse/node';
import { VirgilCardCrypto, VirgilCrypto } from 'virgil-crypto';
import { CachingJwtProvider, CardManager, Jwt, VirgilCardVerifier } from 'virgil-sdk';
import { virgilCredentials } from '../../cloud/credentials';
import { issueVirgilToken } from '../../cloud/tokens/virgil-token';
import { type Account, type E3KitServer, startE3KitServer } from '../support/e3kit';
import { call } from '../support/virgil-cloud';

let server: E3KitServer;

beforeAll(async () => {
  server = await startE3KitServer();
});
afterAll(() => server?.stop());

/** Moves the end of a session, as only the master key may. */
async function endSession({ sessionToken }: Account, inMilliseconds: number): Promise<void> {
  const session = await new Parse.Query('_Session')
    .equalTo('sessionToken', sessionToken)
    .first({ useMasterKey: true });
  const iso = new Date(Date.now() + inMilliseconds).toISOString();
  const change = { expiresAt: { __type: 'Date', iso } };
  expect((await server.rest.call('PUT', `/sessions/${session?.id}`, change, { master: true })).status).toBe(
    200,
  );
}

describe('a token', () => {
  test('is asked for once, while it is valid', async () => {
    const account = await server.signUp();
    const getToken = jest.fn(() => server.virgilJwt(account));
    const e3kit = await server.newDevice(account, getToken);
    await e3kit.register();
    await e3kit.backupPrivateKey('a password');
    await e3kit.createGroup('my own group');
    expect(getToken).toHaveBeenCalledTimes(1);
  });

  test('that expires in the middle is renewed by E3Kit, through virgil-jwt', async () => {
    const account = await server.signUp();
    let session = account;
    const tokens: string[] = [];
    // A token does not outlive its session.
    await endSession(account, 5000);
    const e3kit = await server.newDevice(account, async () => {
      tokens.push(await server.virgilJwt(session));
      return tokens.at(-1) as string;
    });
    await e3kit.register();

    const last = tokens.at(-1) as string;
    await new Promise((done) => setTimeout(done, new Jwt(last).body.exp * 1000 - Date.now() + 1000));
    const search = { identity: account.identity };
    const url = `${server.virgilCloudUrl}/card/v5/actions/search`;
    expect((await call(url, last, { body: search })).status).toBe(401);
    await expect(e3kit.findUsers(account.identity)).rejects.toMatchObject({
      code: Parse.Error.INVALID_SESSION_TOKEN,
    });

    const user = await Parse.User.logIn(account.username, 'a password');
    session = { ...account, sessionToken: user.getSessionToken() as string };
    const asked = tokens.length;
    expect((await e3kit.findUsers(account.identity)).identity).toBe(account.identity);
    await e3kit.createGroup('after the break');
    expect(tokens).toHaveLength(asked + 1);
  });

  test('for another identity registers nobody but that one', async () => {
    const [alice, eve] = [await server.signUp(), await server.signUp()];
    const { cardManager, virgilCrypto } = await server.newDevice(eve);
    const card = cardManager.generateRawCard({ identity: alice.identity, ...virgilCrypto.generateKeys() });
    await expect(cardManager.publishRawCard(card)).rejects.toMatchObject({ httpStatus: 403 });

    const e3kit = await server.newDevice(alice, () => server.virgilJwt(eve));
    await e3kit.register();
    await expect(e3kit.findUsers(alice.identity)).rejects.toMatchObject({ name: 'UsersNotFoundError' });
    await expectToRegister(await server.newDevice(alice));
  });

  test('signed by another App Key registers nobody', async () => {
    const account = await server.signUp();
    const credentials = virgilCredentials(server.credentials);
    const register = async (appKey = credentials.appKey) => {
      const { token } = await issueVirgilToken({ ...credentials, appKey }, account.identity, 60_000);
      await expectToRegister(await server.newDevice(account, async () => token));
    };
    await expect(register(generateKeyPairSync('ed25519').privateKey)).rejects.toMatchObject({
      httpStatus: 401,
    });
    await register();
  });
});

async function expectToRegister(e3kit: EThree): Promise<void> {
  await e3kit.register();
  expect((await e3kit.findUsers(e3kit.identity)).identity).toBe(e3kit.identity);
}

test("virgil-sdk's CardManager takes the cards that E3Kit publishes, with its own verifier on", async () => {
  const { e3kit, ...account } = await server.register();
  const cardCrypto = new VirgilCardCrypto(new VirgilCrypto());
  const cardManager = new CardManager({
    cardCrypto,
    cardVerifier: new VirgilCardVerifier(cardCrypto, {
      verifySelfSignature: true,
      verifyVirgilSignature: false,
    }),
    accessTokenProvider: new CachingJwtProvider(() => server.virgilJwt(account)),
    retryOnUnauthorized: true,
    apiUrl: server.virgilCloudUrl,
  });
  const [card] = await cardManager.searchCards(account.identity);
  expect(card?.id).toBe((await e3kit.findUsers(account.identity)).id);
});
