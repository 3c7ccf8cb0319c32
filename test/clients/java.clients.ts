import { testClient, testRevocation } from './client';

const client = testClient('java', 'CheckToken.java');

test('has its key from the backup on another device', async () => {
  client.forgetKey();
  expect((await client.read()).at(-1)).toBe('To your new key');
});

testRevocation(client);
