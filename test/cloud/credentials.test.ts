import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { CredentialError, nexmoApiUrl, nexmoCredentials } from '../../cloud/credentials';

const NEXMO_APP_ID = '0F3B6D8A-1b2c-4d5e-8f90-a1b2c3d4e5f6';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'spki' | 'sec1' = 'pkcs8') =>
  key.export({ format: 'pem', type } as never) as string;
const pkcs8 = pem(rsa.privateKey);

function fault(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof CredentialError) return error.message;
    throw error;
  }
  return 'none';
}

describe('NEXMO_PRIVATE_KEY is accepted', () => {
  test.each([
    ['as PKCS#8', pkcs8],
    ['as PKCS#1', pem(rsa.privateKey, 'pkcs1')],
    ['without a line end at its end', pkcs8.trimEnd()],
    ['with Windows line ends', pkcs8.replace(/\n/g, '\r\n')],
    ['with \\n escapes', pkcs8.replace(/\n/g, '\\n')],
    ['with \\r\\n escapes', pkcs8.replace(/\n/g, '\\r\\n')],
  ])('%s', (_name, NEXMO_PRIVATE_KEY) => {
    const { appId, privateKey } = nexmoCredentials({ NEXMO_APP_ID, NEXMO_PRIVATE_KEY });
    expect(appId).toBe(NEXMO_APP_ID);
    expect(privateKey.equals(createPrivateKey(pkcs8))).toBe(true);
  });
});

describe('names the Nexmo variable at fault, and never its value', () => {
  const good = { NEXMO_APP_ID, NEXMO_PRIVATE_KEY: pkcs8 };
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const rsaPss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey;
  const shortRsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const encrypted = rsa.privateKey.export({
    format: 'pem',
    type: 'pkcs8',
    cipher: 'aes-256-cbc',
    passphrase: 'secret',
  }) as string;

  test.each([
    ['NEXMO_APP_ID', 'is not set', undefined],
    ['NEXMO_APP_ID', 'is not set', ''],
    ['NEXMO_APP_ID', 'is not a UUID', 'My Chat App'],
    ['NEXMO_APP_ID', 'is not a UUID', 'a'.repeat(32)],
    ['NEXMO_APP_ID', 'has quotes or white space around it', `"${NEXMO_APP_ID}"`],
    ['NEXMO_PRIVATE_KEY', 'is not set', undefined],
    ['NEXMO_PRIVATE_KEY', 'is a public key', pem(rsa.publicKey, 'spki')],
    ['NEXMO_PRIVATE_KEY', 'is a key of type ec', pem(ec)],
    ['NEXMO_PRIVATE_KEY', 'is a key of type ec', pem(ec, 'sec1')],
    ['NEXMO_PRIVATE_KEY', 'is a key of type rsa-pss', pem(rsaPss)],
    ['NEXMO_PRIVATE_KEY', 'is an RSA key of 1024 bits', pem(shortRsa)],
    ['NEXMO_PRIVATE_KEY', 'is not the PEM of a private key', './private.key'],
    ['NEXMO_PRIVATE_KEY', 'is not the PEM of a private key', `"${pkcs8}"`],
    ['NEXMO_PRIVATE_KEY', 'is not the PEM of a private key', pkcs8.slice(0, 300)],
    ['NEXMO_PRIVATE_KEY', 'is not the PEM of a private key', encrypted],
  ])('%s %s', (name, reason, value) => {
    const message = fault(() => nexmoCredentials({ ...good, [name]: value }));
    expect(message).toContain(`${name} ${reason}`);
    const secrets = (value ?? '').split('\n').filter((line) => line.length > 5);
    expect(secrets.filter((line) => message.includes(line))).toEqual([]);
  });
});

describe('NEXMO_API_URL', () => {
  test.each([
    [undefined, 'https://api.nexmo.com'],
    ['', 'https://api.nexmo.com'],
    ['https://api-eu-1.nexmo.com/', 'https://api-eu-1.nexmo.com'],
    ['https://gateway.example:8443/vonage/', 'https://gateway.example:8443/vonage'],
    ['http://127.0.0.1:4000', 'http://127.0.0.1:4000'],
    ['http://localhost:4000', 'http://localhost:4000'],
    ['http://[::1]:4000', 'http://[::1]:4000'],
  ])('%s is %s', (NEXMO_API_URL, url) => {
    expect(nexmoApiUrl({ NEXMO_API_URL })).toBe(url);
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
    'https://',
    'ftp://api.nexmo.com',
    'api.nexmo.com',
    'file:///etc/passwd',
  ])('%s is refused: the admin token would go out in the clear, or astray', (NEXMO_API_URL) => {
    expect(fault(() => nexmoApiUrl({ NEXMO_API_URL }))).toBe(
      'NEXMO_API_URL is not an https:// address (http:// is for this machine alone).',
    );
  });
});
