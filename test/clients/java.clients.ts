import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { testClient, testRevocation } from './client';

const client = testClient('java', 'CheckToken.java');

test('has its key from the backup on another device', async () => {
  rmSync(client.keyFile());
  expect((await client.read()).at(-1)).toBe('To your new key');
});

test('backs its key up where there is no backup', async () => {
  const e3kit = await client.server().newDevice(client.account());
  await e3kit.resetPrivateKeyBackupWithKeyName('java');
  await client.call('whoami');
  rmSync(client.keyFile());
  expect((await client.read()).at(-1)).toBe('To your new key');
});

test('has its key after a change that was killed when it was published', async () => {
  const before = readFileSync(client.keyFile());
  await client.call('rotate');
  writeFileSync(client.keyFile(), before);
  await client.bobWrites('To your third key');
  expect((await client.read()).at(-1)).toBe('To your third key');
});

testRevocation(client);
