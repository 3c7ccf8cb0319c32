import { type BareParseServer, startBareParseServer } from '../../scripts/local/bare-parse-server';
import { envelopeMaker } from '../support/envelopes';
import { restClient } from '../support/rest';
import { loadVirgilCrypto } from '../support/virgil-crypto';
import { messageOf, PLAINTEXT } from './load';

let server: BareParseServer;

beforeAll(async () => {
  server = await startBareParseServer();
});
afterAll(() => server?.stop());

// PGlite has no transactions.
test('of a batch with `transaction: true` nothing is stored when one save is refused', async () => {
  const makeEnvelope = envelopeMaker(await loadVirgilCrypto());
  const { call, signUp } = restClient(server);
  const user = await signUp();
  const batch = (...bodies: string[]) => {
    const path = '/parse/classes/Message';
    const requests = bodies.map((body) => ({ method: 'POST', path, body: messageOf(user, body) }));
    return call('POST', '/batch', { requests, transaction: true }, user);
  };
  const stored = async () => (await server.rows.find('Message', {})).map(({ body }) => body).sort();

  // One of them, and before that the class: MongoDB may fail several saves at once in a transaction.
  const [before, after] = [makeEnvelope(), makeEnvelope()];
  await call('POST', '/classes/Message', messageOf(user, before), user);
  expect(await batch(makeEnvelope(), PLAINTEXT)).toEqual({
    status: 500,
    body: { code: 1, message: 'Internal server error.' },
  });
  expect(await stored()).toEqual([before]);
  expect((await batch(after)).status).toBe(200);
  expect(await stored()).toEqual([before, after].sort());
  expect(await server.stored()).not.toContain(PLAINTEXT);
  expect(await server.logged()).not.toContain(PLAINTEXT);
});
