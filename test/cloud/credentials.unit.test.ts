import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  CredentialError,
  credentialsFor,
  type Environment,
  NEXMO_VARIABLES,
  nexmoCredentials,
  serviceUrl,
  VIRGIL_VARIABLES,
  virgilCredentials,
} from '../../cloud/credentials';
import { becomeCloudCode } from '../support/cloud-code';

const ed25519 = generateKeyPairSync('ed25519');
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const shortRsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
const rsaPss = generateKeyPairSync('rsa-pss', { modulusLength: 1024 }).privateKey;

const base64 = (key: KeyObject, type: 'pkcs8' | 'spki' = 'pkcs8') =>
  key.export({ format: 'der', type } as never).toString('base64');
const pem = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'spki' | 'sec1' = 'pkcs8') =>
  key.export({ format: 'pem', type } as never) as string;

const appKey = base64(ed25519.privateKey);
const pkcs8 = pem(rsa.privateKey);
const ID = '0123456789abcdefABCDEF0123456789';
const KEY_ID = ID.replace('0', 'f');
const UUID = '0F3B6D8A-1b2c-4d5e-8f90-a1b2c3d4e5f6';
const VIRGIL = { VIRGIL_APP_ID: ID, VIRGIL_APP_KEY_ID: KEY_ID, VIRGIL_APP_KEY: appKey };
const NEXMO = { NEXMO_APP_ID: UUID, NEXMO_PRIVATE_KEY: pkcs8 };

function fault(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof CredentialError) return `${error.name}: ${error.message}`;
    throw error;
  }
  return 'none';
}

const NOT_SET = 'is not set.';
const NOT_BARE = 'has quotes or white space around it: set the bare value.';
const NOT_AN_ID =
  "is not an ID of 32 hex digits. The name shown in Virgil's dashboard is not its ID: copy the ID.";
const NOT_A_UUID =
  "is not a UUID. The name shown in Vonage's dashboard is not the application's ID: copy the ID.";
const COPY = "copy the App Key as Virgil's dashboard gives it, base64 of a PKCS#8 Ed25519 private key.";
const NOT_AN_APP_KEY = `is no private key: ${COPY}`;
const SET = 'set the whole private.key of the Vonage application, the PEM of an RSA key, without quotes.';
const NOT_A_PEM = `is no private key: ${SET}`;

const notBare = (value: string) => [
  `"${value}`,
  `${value}"`,
  `'${value}`,
  `${value}'`,
  ` ${value}`,
  `${value}\n`,
];

describe('the Virgil variables', () => {
  test('are accepted', () => {
    const { appId, appKeyId, appKey: key } = virgilCredentials(VIRGIL);
    expect([appId, appKeyId]).toEqual([ID, KEY_ID]);
    expect(key.equals(ed25519.privateKey)).toBe(true);
  });

  test.each<[name: keyof typeof VIRGIL, reason: string, value: string | undefined]>([
    ...(['VIRGIL_APP_ID', 'VIRGIL_APP_KEY_ID'] as const).flatMap(
      (name): [typeof name, string, string | undefined][] => [
        [name, NOT_SET, undefined],
        [name, NOT_SET, ''],
        ...notBare(ID).map((value): [typeof name, string, string] => [name, NOT_BARE, value]),
        [name, NOT_AN_ID, 'My Chat App'],
        [name, NOT_AN_ID, 'My "Chat" App'],
        [name, NOT_AN_ID, ID.slice(1)],
        [name, NOT_AN_ID, `${ID}0`],
        [name, NOT_AN_ID, `${ID.slice(1)}g`],
      ],
    ),
    ['VIRGIL_APP_KEY_ID', 'is the same as VIRGIL_APP_ID: give the ID of the App Key.', ID],
    ['VIRGIL_APP_KEY', NOT_SET, undefined],
    ...notBare(appKey).map((value): ['VIRGIL_APP_KEY', string, string] => [
      'VIRGIL_APP_KEY',
      NOT_BARE,
      value,
    ]),
    ['VIRGIL_APP_KEY', `is a public key: ${COPY}`, base64(ed25519.publicKey, 'spki')],
    ['VIRGIL_APP_KEY', `is a key of type rsa: ${COPY}`, base64(rsa.privateKey)],
    ['VIRGIL_APP_KEY', NOT_AN_APP_KEY, 'garbage, not a key'],
    ['VIRGIL_APP_KEY', NOT_AN_APP_KEY, appKey.slice(0, 40)],
  ])('%s %s', (name, reason, value) => {
    expect(fault(() => virgilCredentials({ ...VIRGIL, [name]: value }))).toBe(
      `CredentialError: ${name} ${reason}`,
    );
  });
});

describe('NEXMO_PRIVATE_KEY is accepted', () => {
  test.each([
    ['as PKCS#8', pkcs8],
    ['as PKCS#1', pem(rsa.privateKey, 'pkcs1')],
    ['without a line end at its end', pkcs8.trimEnd()],
    ['with Windows line ends', pkcs8.replace(/\n/g, '\r\n')],
    ['with \\n escapes', pkcs8.replace(/\n/g, '\\n')],
    ['with \\r\\n escapes', pkcs8.replace(/\n/g, '\\r\\n')],
  ])('%s', (_name, NEXMO_PRIVATE_KEY) => {
    const { appId, privateKey } = nexmoCredentials({ NEXMO_APP_ID: UUID, NEXMO_PRIVATE_KEY });
    expect(appId).toBe(UUID);
    expect(privateKey.equals(createPrivateKey(pkcs8))).toBe(true);
  });
});

describe('names the Nexmo variable at fault, and never its value', () => {
  const encrypted = rsa.privateKey.export({
    format: 'pem',
    type: 'pkcs8',
    cipher: 'aes-256-cbc',
    passphrase: 'secret',
  }) as string;

  test.each<[name: keyof typeof NEXMO, reason: string, value: string | undefined]>([
    ['NEXMO_APP_ID', NOT_SET, undefined],
    ['NEXMO_APP_ID', NOT_SET, ''],
    ['NEXMO_APP_ID', NOT_BARE, `"${UUID}"`],
    ['NEXMO_APP_ID', NOT_A_UUID, 'My Chat App'],
    ['NEXMO_APP_ID', NOT_A_UUID, 'a'.repeat(32)],
    ['NEXMO_APP_ID', NOT_A_UUID, `0${UUID}`],
    ['NEXMO_APP_ID', NOT_A_UUID, `${UUID}0`],
    ['NEXMO_PRIVATE_KEY', NOT_SET, undefined],
    ['NEXMO_PRIVATE_KEY', `is a public key: ${SET}`, pem(rsa.publicKey, 'spki')],
    ['NEXMO_PRIVATE_KEY', `is a key of type ec: ${SET}`, pem(ec)],
    ['NEXMO_PRIVATE_KEY', `is a key of type ec: ${SET}`, pem(ec, 'sec1')],
    ['NEXMO_PRIVATE_KEY', `is a key of type rsa-pss: ${SET}`, pem(rsaPss)],
    ['NEXMO_PRIVATE_KEY', 'is an RSA key of 1024 bits: RS256 needs 2048 or more.', pem(shortRsa)],
    ['NEXMO_PRIVATE_KEY', NOT_A_PEM, './private.key'],
    ['NEXMO_PRIVATE_KEY', NOT_A_PEM, `"${pkcs8}"`],
    ['NEXMO_PRIVATE_KEY', NOT_A_PEM, pkcs8.slice(0, 300)],
    ['NEXMO_PRIVATE_KEY', NOT_A_PEM, encrypted],
  ])('%s %s', (name, reason, value) => {
    expect(fault(() => nexmoCredentials({ ...NEXMO, [name]: value }))).toBe(
      `CredentialError: ${name} ${reason}`,
    );
  });
});

describe('NEXMO_API_URL', () => {
  test.each([
    [undefined, 'https://api.nexmo.com'],
    ['', 'https://api.nexmo.com'],
    ['https://api-eu-1.nexmo.com/', 'https://api-eu-1.nexmo.com'],
    ['https://api-eu-1.nexmo.com//', 'https://api-eu-1.nexmo.com'],
    ['https://gateway.example:8443/vonage/', 'https://gateway.example:8443/vonage'],
    ['http://127.0.0.1:4000', 'http://127.0.0.1:4000'],
    ['http://localhost:4000', 'http://localhost:4000'],
    ['http://localhost', 'http://localhost'],
    ['http://[::1]:4000', 'http://[::1]:4000'],
  ])('%s is %s', (NEXMO_API_URL, url) => {
    expect(serviceUrl({ NEXMO_API_URL }, 'NEXMO_API_URL')).toBe(url);
  });

  test.each([
    'http://api.nexmo.com',
    'http://localhost.attacker.example',
    'http://localhost@attacker.example',
    'http://127.0.0.1.attacker.example',
    'http://127.0.0.1:80@attacker.example',
    'http://user:password@localhost',
    'https://user:password@api.nexmo.com',
    'https://api.nexmo.com?token=',
    'https://api.nexmo.com/path?token=',
    'https://',
    'ftp://api.nexmo.com',
    'api.nexmo.com',
    'file:///etc/passwd',
    'see https://api.nexmo.com',
  ])('%s is refused: the admin token would go out in the clear, or astray', (NEXMO_API_URL) => {
    expect(fault(() => serviceUrl({ NEXMO_API_URL }, 'NEXMO_API_URL'))).toBe(
      'CredentialError: NEXMO_API_URL is not an https:// address (http:// is for this machine alone).',
    );
  });
});

test('the address of Virgil Cloud is its own by default, and another under the same rules', () => {
  expect(serviceUrl({}, 'VIRGIL_API_URL')).toBe('https://api.virgilsecurity.com');
  expect(serviceUrl({ VIRGIL_API_URL: 'http://127.0.0.1:1337/virgil/' }, 'VIRGIL_API_URL')).toBe(
    'http://127.0.0.1:1337/virgil',
  );
  expect(fault(() => serviceUrl({ VIRGIL_API_URL: 'http://virgil.example' }, 'VIRGIL_API_URL'))).toBe(
    'CredentialError: VIRGIL_API_URL is not an https:// address (http:// is for this machine alone).',
  );
});

describe('the credentials of a function', () => {
  const FIVE_MINUTES = 300_000;
  const OUTAGE = new Error('the database is down');

  /** The parameters of Parse.Config, whether the public can read them, and how often that was asked. */
  let config: Record<string, unknown>;
  let shown: string[];
  let outage: Error | undefined;
  let reads: number;
  let logged: string[];

  // As Parse Server: what needs the master key is there for it alone.
  becomeCloudCode(({ method, path, useMasterKey }) => {
    if (method !== 'GET' || path !== 'config') throw new Error(`${method} ${path}`);
    reads += 1;
    if (outage) throw outage;
    return {
      params: Object.fromEntries(
        Object.entries(config).filter(([name]) => useMasterKey || shown.includes(name)),
      ),
    };
  });

  const request = { log: { error: (line: string) => logged.push(line) } };
  const virgil = () => credentialsFor('virgil-jwt', VIRGIL_VARIABLES, virgilCredentials);
  const setEnvironment = (environment: Environment) => {
    for (const name of [...VIRGIL_VARIABLES, ...NEXMO_VARIABLES, 'NEXMO_API_URL']) delete process.env[name];
    Object.assign(process.env, environment);
  };

  async function expectRefused(credentials: (given: typeof request) => Promise<unknown>, reason: string) {
    logged = [];
    await expect(credentials(request)).rejects.toMatchObject({
      code: 141,
      message: 'virgil-jwt is not configured on this server; its log says what to mend.',
    });
    expect(logged).toEqual([`virgil-jwt is not configured: ${reason}`]);
  }

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick'] });
    [config, shown, outage, reads, logged] = [{}, [], undefined, 0, []];
    setEnvironment({});
  });
  afterEach(() => jest.useRealTimers());

  test('of the environment are read once, and Parse.Config is never asked', async () => {
    setEnvironment(VIRGIL);
    const credentials = virgil();
    const first = await credentials(request);
    expect(first).toMatchObject({ appId: ID, appKeyId: KEY_ID });
    setEnvironment({});
    jest.advanceTimersByTime(FIVE_MINUTES);
    expect(await credentials(request)).toBe(first);
    expect([reads, logged]).toEqual([0, []]);
  });

  test('of the environment are read at each call until they are good', async () => {
    const credentials = virgil();
    setEnvironment({ ...VIRGIL, VIRGIL_APP_ID: 'My App' });
    for (let i = 0; i < 2; i++) await expectRefused(credentials, `VIRGIL_APP_ID ${NOT_AN_ID}`);
    setEnvironment(VIRGIL);
    expect(await credentials(request)).toMatchObject({ appId: ID });
    expect(reads).toBe(0);
  });

  test('are in Parse.Config, where only the master key reads them; calls at the same time read it once', async () => {
    config = VIRGIL;
    const credentials = virgil();
    const [first, ...others] = await Promise.all(Array.from({ length: 5 }, () => credentials(request)));
    expect(first).toMatchObject({ appId: ID, appKeyId: KEY_ID });
    for (const other of others) expect(other).toBe(first);
    expect([reads, logged]).toEqual([2, []]); // with the master key, and without it
  });

  test('are those of Nexmo too, NEXMO_API_URL among them', async () => {
    config = { ...NEXMO, NEXMO_API_URL: 'http://localhost' };
    const credentials = credentialsFor('nexmo-jwt', [...NEXMO_VARIABLES, 'NEXMO_API_URL'], (environment) => ({
      ...nexmoCredentials(environment),
      apiUrl: serviceUrl(environment, 'NEXMO_API_URL'),
    }));
    expect(await credentials(request)).toMatchObject({ appId: UUID, apiUrl: 'http://localhost' });
  });

  test('give way to the environment, variable by variable', async () => {
    setEnvironment({ VIRGIL_APP_ID: 'e'.repeat(32) });
    config = VIRGIL;
    shown = ['VIRGIL_APP_ID'];
    expect(await virgil()(request)).toMatchObject({ appId: 'e'.repeat(32), appKeyId: KEY_ID });
  });

  test('of Parse.Config are read again after five minutes, and not before', async () => {
    config = VIRGIL;
    const credentials = virgil();
    await credentials(request);
    config = { ...VIRGIL, VIRGIL_APP_ID: 'c'.repeat(32) };
    jest.advanceTimersByTime(FIVE_MINUTES - 1);
    expect(await credentials(request)).toMatchObject({ appId: ID });
    expect(reads).toBe(2);
    jest.advanceTimersByTime(1);
    expect(await credentials(request)).toMatchObject({ appId: 'c'.repeat(32) });
    expect(reads).toBe(4);
  });

  test('of Parse.Config give way to the environment, once that is enough', async () => {
    config = VIRGIL;
    const credentials = virgil();
    await credentials(request);
    setEnvironment({ ...VIRGIL, VIRGIL_APP_ID: 'd'.repeat(32) });
    for (let i = 0; i < 3; i++) {
      jest.advanceTimersByTime(FIVE_MINUTES);
      expect(await credentials(request)).toMatchObject({ appId: 'd'.repeat(32) });
    }
    expect(reads).toBe(2);
  });

  test('of Parse.Config are kept while it cannot be read, tried every five minutes, and the log says so', async () => {
    config = VIRGIL;
    const credentials = virgil();
    const good = await credentials(request);
    outage = OUTAGE;
    for (let i = 1; i < 4; i++) {
      jest.advanceTimersByTime(FIVE_MINUTES);
      for (let call = 0; call < 3; call++) expect(await credentials(request)).toBe(good);
      expect(logged).toEqual(
        Array(i).fill(
          'virgil-jwt keeps the credentials that it has. Parse.Config cannot be read: the database is down',
        ),
      );
    }
  });

  test('are none where Parse.Config cannot be read and never could', async () => {
    outage = OUTAGE;
    setEnvironment({ VIRGIL_APP_ID: ID });
    const reason =
      'VIRGIL_APP_KEY_ID, VIRGIL_APP_KEY not in the environment, and Parse.Config cannot be read: the database is down';
    const credentials = virgil();
    await expectRefused(credentials, reason);
    outage = undefined;
    config = VIRGIL;
    expect(await credentials(request)).toMatchObject({ appId: ID });
  });

  test('that the public can read are refused, and not kept after that', async () => {
    config = VIRGIL;
    const credentials = virgil();
    await credentials(request);
    shown = ['VIRGIL_APP_KEY'];
    jest.advanceTimersByTime(FIVE_MINUTES);
    for (let i = 0; i < 2; i++) {
      await expectRefused(
        credentials,
        'VIRGIL_APP_KEY is a Parse.Config parameter that the public can read: tick "Requires master key" for it, and ' +
          'make a new one if it was secret, for anybody may have read it.',
      );
    }
    outage = OUTAGE;
    await expectRefused(
      credentials,
      'VIRGIL_APP_ID, VIRGIL_APP_KEY_ID, VIRGIL_APP_KEY not in the environment, and Parse.Config cannot be read: ' +
        'the database is down',
    );
  });

  test('that are missing in Parse.Config as well, or are no String, are named', async () => {
    const credentials = virgil();
    config = { ...VIRGIL, VIRGIL_APP_KEY_ID: undefined };
    await expectRefused(credentials, 'VIRGIL_APP_KEY_ID is not set.');
    for (const value of [5, true, {}]) {
      config = { ...VIRGIL, VIRGIL_APP_KEY_ID: value };
      await expectRefused(
        credentials,
        'VIRGIL_APP_KEY_ID is a Parse.Config parameter that is not of type String.',
      );
    }
  });

  test('a fault of our own is not taken for one of theirs', async () => {
    setEnvironment(VIRGIL);
    const fault = new TypeError('a mistake in the code');
    const credentials = credentialsFor('virgil-jwt', VIRGIL_VARIABLES, () => {
      throw fault;
    });
    await expect(credentials(request)).rejects.toBe(fault);
    expect(logged).toEqual([]);
  });
});
