import { testClient, testRevocation } from './client';

const client = testClient('python', 'check_token.py');

test("messages for today's post-quantum keys are taken", async () => {
  const envelope = await client.run('ml_kem.py');
  const id = await client.server().save(envelope, client.account());
  expect(await client.server().read(id, client.account())).toBe(envelope);
});

testRevocation(client);
