import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { testClient, testRevocation } from './client';

const client = testClient('python', 'check_token.py');

test("messages for today's post-quantum keys are taken", async () => {
  const envelope = await client.run('ml_kem.py');
  const id = await client.server().save(envelope, client.account());
  expect(await client.server().read(id, client.account())).toBe(envelope);
});

test('has its key after a change that was killed when it was published', async () => {
  const next = client.keyFile().replace(/key$/, 'next.key');
  const before = readFileSync(client.keyFile());
  await client.call('rotate');
  expect(existsSync(next)).toBe(false);
  renameSync(client.keyFile(), next);
  writeFileSync(client.keyFile(), before);
  await client.bobWrites('To your third key');
  expect((await client.read()).at(-1)).toBe('To your third key');
});

testRevocation(client);
