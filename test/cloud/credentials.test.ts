import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { VirgilCrypto } from 'virgil-crypto';
import { Jwt } from 'virgil-sdk';
import { type BareParseServer, startBareParseServer } from '../../scripts/local/bare-parse-server';
import { restClient } from '../support/rest';
import { makeVirgilApplication } from '../support/virgil-application';
import { loadVirgilCrypto } from '../support/virgil-crypto';
import { startVonage } from '../support/vonage';

describe('credentials in Parse.Config', () => {
  const FIVE_MINUTES = 300_000;
  const unset = {
    VIRGIL_APP_ID: null,
    VIRGIL_APP_KEY_ID: null,
    VIRGIL_APP_KEY: null,
    NEXMO_APP_ID: null,
    NEXMO_PRIVATE_KEY: null,
    NEXMO_API_URL: null,
  };
  // A clock that can be moved, a count of the reads of Parse.Config, and an app that shows its current Parse.Config.
  const cloudCode = `
    const now = performance.now.bind(performance);
    let ahead = 0;
    performance.now = () => now() + ahead;
    Parse.Cloud.define('wait', ({ params }) => { ahead += params.milliseconds; });

    const { getRESTController } = Parse.CoreManager;
    let reads = 0;
    Parse.CoreManager.getRESTController = () => {
      const controller = getRESTController();
      const request = (...call) => {
        if (call[1] === 'config') reads += 1;
        return controller.request(...call);
      };
      return { ...controller, request };
    };
    Parse.Cloud.define('reads', () => reads);
    Parse.Cloud.define('current', () => Object.keys(Parse.Config.current().attributes));
    Parse.Cloud.define('get', async () => Object.keys((await Parse.Config.get()).attributes));

    require('./e2ee');
  `;
  let crypto: VirgilCrypto;
  let vonage: Awaited<ReturnType<typeof startVonage>>;
  let server: BareParseServer;
  let rest: ReturnType<typeof restClient>;
  let user: { id: string; sessionToken: string };

  type Parameters = Record<string, unknown>;
  const put = (params: Parameters, masterKeyOnly: Record<string, boolean>) =>
    rest.call('PUT', '/config', { params, masterKeyOnly }, { master: true });
  const hide = (params: Parameters) =>
    put(params, Object.fromEntries(Object.keys(params).map((name) => [name, true])));
  const show = (params: Parameters) => put(params, {});
  const remove = (...names: string[]) =>
    put(Object.fromEntries(names.map((name) => [name, { __op: 'Delete' }])), {});
  async function whileConfigCannotBeRead(run: () => Promise<void>): Promise<void> {
    await server.rows.breakReads('_GlobalConfig');
    await run().finally(() => server.rows.mendReads('_GlobalConfig'));
  }
  const wait = (milliseconds: number) => rest.run('wait', { milliseconds });
  const reads = async (): Promise<number> => (await rest.run('reads')).body.result;
  const call = async (functionName = 'virgil-jwt') => (await rest.run(functionName, {}, user)).body;

  async function expectLogged(line: string, run: () => Promise<void>): Promise<void> {
    const count = async () => (await server.logged()).split(line).length;
    const before = await count();
    await run();
    expect(await count()).toBeGreaterThan(before);
  }

  const expectRefused = (fault: string, functionName = 'virgil-jwt') =>
    expectLogged(`${functionName} is not configured: ${fault}`, async () => {
      expect(await call(functionName)).toEqual({
        code: 141,
        error: `${functionName} is not configured on this server; its log says what to mend.`,
      });
    });

  beforeAll(async () => {
    crypto = await loadVirgilCrypto();
    vonage = await startVonage();
    server = await startBareParseServer({ environment: unset, cloudCode });
    rest = restClient(server);
    user = await rest.signUp();
  });
  afterAll(async () => {
    await server?.stop();
    vonage?.stop();
  });

  test('are used where only the master key can read them; calls at the same time read them once', async () => {
    const { environment, verifier } = makeVirgilApplication(crypto);
    await hide(environment);
    const answers = await Promise.all(Array.from({ length: 5 }, () => call()));
    for (const { result } of answers) expect(verifier.verifyToken(new Jwt(result.token))).toBe(true);
    await call();
    expect(await reads()).toBe(2); // with the master key, and without it
  });

  test('that cannot be read, and never could, are 141', async () => {
    await whileConfigCannotBeRead(() =>
      expectRefused(
        'NEXMO_APP_ID, NEXMO_PRIVATE_KEY not in the environment, and Parse.Config cannot be read: ',
        'nexmo-jwt',
      ),
    );
  });

  test('serve the functions of Nexmo too, NEXMO_API_URL among them', async () => {
    await hide(vonage.environment);
    const { result } = await call('nexmo-jwt');
    expect((await vonage.verify(result.token)).sub).toBe(user.id);
    expect((await call('nexmo-create-user')).result.name).toBe(user.id);
    await remove('NEXMO_APP_ID', 'NEXMO_PRIVATE_KEY', 'NEXMO_API_URL');
  });

  test('are read again after five minutes, and not before', async () => {
    const next = makeVirgilApplication(crypto);
    await hide(next.environment);
    await wait(FIVE_MINUTES - 60_000);
    expect(next.verifier.verifyToken(new Jwt((await call()).result.token))).toBe(false);
    await wait(60_000);
    expect(next.verifier.verifyToken(new Jwt((await call()).result.token))).toBe(true);
  });

  test('are kept while they cannot be read, and the log says so', async () => {
    await wait(FIVE_MINUTES);
    await expectLogged('virgil-jwt keeps the credentials that it has.', () =>
      whileConfigCannotBeRead(async () => {
        const before = await reads();
        expect((await call()).result.identity).toBe(user.id);
        expect((await call()).result.identity).toBe(user.id);
        expect((await reads()) - before).toBe(2);
      }),
    );
  });

  test.each(['VIRGIL_APP_ID', 'VIRGIL_APP_KEY_ID', 'VIRGIL_APP_KEY'])(
    '%s is refused once the public can read it, until it no longer can',
    async (name) => {
      const { environment, verifier } = makeVirgilApplication(crypto);
      await hide(environment);
      await wait(FIVE_MINUTES);
      expect((await call()).result.identity).toBe(user.id);
      const { [name as keyof typeof environment]: value } = environment;
      await show({ [name]: value });
      expect((await rest.call('GET', '/config')).body.params).toEqual({ [name]: value });
      await wait(FIVE_MINUTES);
      await expectRefused(`${name} is a Parse.Config parameter that the public can read: tick`);
      await expectRefused(`${name} is a Parse.Config parameter that the public can read: tick`);
      await hide({ [name]: value });
      expect(verifier.verifyToken(new Jwt((await call()).result.token))).toBe(true);
    },
  );

  test('one that was public is not kept when Parse.Config cannot be read afterwards', async () => {
    const { environment } = makeVirgilApplication(crypto);
    await hide(environment);
    await show({ VIRGIL_APP_KEY: environment.VIRGIL_APP_KEY });
    await wait(FIVE_MINUTES);
    await expectRefused('VIRGIL_APP_KEY is a Parse.Config parameter that the public can read');
    await whileConfigCannotBeRead(() =>
      expectRefused(
        'VIRGIL_APP_ID, VIRGIL_APP_KEY_ID, VIRGIL_APP_KEY not in the environment, and Parse.Config cannot be read: ',
      ),
    );
  });

  test('one that is taken away, or is no String, is named', async () => {
    await hide(makeVirgilApplication(crypto).environment);
    expect((await call()).result.identity).toBe(user.id);
    await remove('VIRGIL_APP_KEY_ID');
    await wait(FIVE_MINUTES);
    await expectRefused('VIRGIL_APP_KEY_ID is not set.');
    await hide({ VIRGIL_APP_KEY_ID: 5 });
    await expectRefused('VIRGIL_APP_KEY_ID is a Parse.Config parameter that is not of type String.');
  });

  test('are for the functions that need them: one that is public leaves the others working', async () => {
    await hide(makeVirgilApplication(crypto).environment);
    await show(vonage.environment);
    await expectRefused('NEXMO_APP_ID is a Parse.Config parameter that the public can read', 'nexmo-jwt');
    expect((await call()).result.identity).toBe(user.id);
    await remove('NEXMO_APP_ID', 'NEXMO_PRIVATE_KEY', 'NEXMO_API_URL');
  });

  test("leave Parse.Config.current() alone, which the app's own Cloud Code may give to clients", async () => {
    await show({ welcome: 'hello' });
    expect((await rest.run('get')).body.result).toEqual(['welcome']);
    await show({ later: 'after it was read' });
    await wait(FIVE_MINUTES);
    const before = await reads();
    await call();
    expect((await reads()) - before).toBe(2);
    expect((await rest.run('current')).body.result).toEqual(['welcome']);
    await remove('welcome', 'later');
  });

  test('give way to the environment, variable by variable', async () => {
    const config = makeVirgilApplication(crypto).environment;
    const environment = makeVirgilApplication(crypto).environment;
    await hide(config);
    await show({ VIRGIL_APP_ID: config.VIRGIL_APP_ID });
    await server.setEnvironment({ VIRGIL_APP_ID: environment.VIRGIL_APP_ID });
    await wait(FIVE_MINUTES);
    const { token } = (await call()).result;
    expect(decodeJwt(token).iss).toBe(`virgil-${environment.VIRGIL_APP_ID}`);
    expect(decodeProtectedHeader(token).kid).toBe(config.VIRGIL_APP_KEY_ID);
  });

  test('are not asked for where the environment has all, not after five minutes either', async () => {
    const { environment, verifier } = makeVirgilApplication(crypto);
    await server.setEnvironment({ ...environment, ...vonage.environment, NEXMO_API_URL: null });
    await wait(FIVE_MINUTES);
    const before = await reads();
    expect(verifier.verifyToken(new Jwt((await call()).result.token))).toBe(true);
    expect((await call('nexmo-jwt')).result.identity).toBe(user.id);
    await wait(FIVE_MINUTES);
    expect(verifier.verifyToken(new Jwt((await call()).result.token))).toBe(true);
    expect((await call('nexmo-jwt')).result.identity).toBe(user.id);
    expect((await reads()) - before).toBe(0);
  });

  test('are named in the log, and never shown', async () => {
    const logged = await server.logged();
    expect(logged.includes('VIRGIL_APP_KEY')).toBe(true);
    expect(/MC4CAQ|PRIVATE KEY/.test(logged)).toBe(false);
  });
});
