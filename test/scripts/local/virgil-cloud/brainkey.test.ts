import { VirgilBrainKeyCrypto } from '@virgilsecurity/pythia-crypto';
import { VirgilCrypto, type VirgilPrivateKey } from 'virgil-crypto';
import { createBrainKey } from 'virgil-pythia';
import { makeVirgilApplication, type VirgilApplication } from '../../../support/virgil-application';
import { call, serveVirgilCloud } from '../../../support/virgil-cloud';
import { loadVirgilCrypto } from '../../../support/virgil-crypto';

let app: VirgilApplication;
let cloud: Awaited<ReturnType<typeof serveVirgilCloud>>;
const crypto = new VirgilCrypto();

beforeAll(async () => {
  jest.spyOn(console, 'error').mockImplementation(); // where Pythia's WASM complains of what it refuses
  app = makeVirgilApplication(await loadVirgilCrypto());
  cloud = await serveVirgilCloud(app);
});
afterAll(() => cloud.close());

async function derive(
  identity: string,
  password: string,
  brainKeyId?: string,
  apiUrl = cloud.url,
): Promise<string> {
  const accessTokenProvider = app.tokenProvider(identity);
  const virgilBrainKeyCrypto = new VirgilBrainKeyCrypto();
  const brainKey = createBrainKey({
    virgilCrypto: crypto,
    virgilBrainKeyCrypto,
    accessTokenProvider,
    apiUrl,
  });
  const { privateKey } = await brainKey.generateKeyPair(password, brainKeyId);
  return crypto.exportPrivateKey(privateKey as VirgilPrivateKey).toString('base64');
}

it('makes the same key of the same identity, password and BrainKey ID, and another of any other', async () => {
  expect(await derive('alice', 'password')).toBe(await derive('alice', 'password'));
  const keys = await Promise.all([
    derive('alice', 'password'),
    derive('bob', 'password'),
    derive('alice', 'another'),
    derive('alice', 'password', 'id'),
    derive('alice","id', 'password'),
    derive('alice', 'password', 'i'.repeat(500)),
  ]);
  expect(new Set(keys).size).toBe(keys.length);
});

it.each([
  {},
  { blinded_password: '' },
  { blinded_password: 'AAAA' },
  { blinded_password: 'not base64' },
  { blinded_password: 7 },
  { blinded_password: 'A'.repeat(65536) },
  { blinded_password: 'AAAA', brainkey_id: {} },
])('refuses %j', async (body) => {
  const answer = await call(`${cloud.url}/pythia/v1/brainkey`, app.token('alice'), { body });
  expect(answer).toMatchObject({ status: 400, body: { code: 10001 } });
});

it('limits the rate of each identity when asked to', async () => {
  const limited = await serveVirgilCloud({ ...app, brainKeyIntervalMs: 3_600_000 });
  try {
    await derive('alice', 'password', undefined, limited.url);
    await expect(derive('alice', 'password', undefined, limited.url)).rejects.toMatchObject({ code: 60007 });
    await derive('bob', 'password', undefined, limited.url);
  } finally {
    await limited.close();
  }
});
