import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { restClient } from '../../support/rest';

const message = { encrypted: ['body'], plain: ['senderId'], sender: 'senderId' };
const policy = { virgil: { tokenTtlSeconds: 1200 }, classes: { Message: message } };

// Starts another application in its own process, over the same database, with this file as its Cloud Code or a copy of the bundle.
const cloudCode = `
  const { copyFileSync } = require('node:fs');
  const { createServer } = require('node:http');
  require('./e2ee');
  const inner = Object.keys(require.cache).find((file) => /parse-server.lib.index\\.js$/.test(file));
  const { default: ParseServer } = require.cache[inner].exports;
  const { database, filesController } = Parse.Server;
  Parse.Cloud.define('startAnother', async ({ params: { appId, hasCopy } }) => {
    const server = createServer((request, response) => api.app(request, response));
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    const copy = __dirname + '/' + appId + '.js';
    if (hasCopy) copyFileSync(__dirname + '/e2ee.js', copy);
    const api = new ParseServer({
      appId,
      masterKey: 'another-master-key',
      serverURL: 'http://127.0.0.1:' + server.address().port,
      databaseAdapter: database.adapter,
      filesAdapter: filesController.adapter,
      allowClientClassCreation: true,
      cloud: hasCopy ? copy : __filename,
    });
    if (api.start.length === 0) await api.start();
    return api.config.serverURL;
  });
`;

let server: BareParseServer;
let first: ReturnType<typeof restClient>;
beforeAll(async () => {
  server = await startBareParseServer({ policy, cloudCode });
  first = restClient(server);
});
afterAll(() => server?.stop());

async function startAnother(appId: string, hasCopy: boolean) {
  const url = (await first.run('startAnother', { appId, hasCopy }, { master: true })).body.result;
  return restClient({ url, appId, masterKey: 'another-master-key' });
}

/** Saves plain text, and returns the status. */
async function savePlainText(rest: ReturnType<typeof restClient>, className = 'Message'): Promise<number> {
  const { id, sessionToken } = await rest.signUp();
  const row = { body: 'plain text', senderId: id };
  return (await rest.call('POST', `/classes/${className}`, row, { sessionToken })).status;
}

/** Each line is in the log for all, in that for errors, and on the terminal. */
const reportsOf = async (appId: string) =>
  (await server.logged()).split(`nothing guards the application ${appId}, `).length - 1;

test('one that requires the same file is not guarded, and the log says so once', async () => {
  const second = await startAnother('second', false);
  expect(await savePlainText(second, 'Other')).toBe(201);
  expect(await reportsOf('second')).toBe(0);
  expect(await savePlainText(second)).toBe(201);
  const lines = await reportsOf('second');
  expect(lines).toBeGreaterThan(0);
  expect(await savePlainText(second)).toBe(201);
  expect(await reportsOf('second')).toBe(lines);
  expect(await savePlainText(first)).toBe(400);
});

test('one with its own copy of the file is guarded, and so is the first', async () => {
  const third = await startAnother('third', true);
  expect([await savePlainText(third), await savePlainText(first)]).toEqual([400, 400]);
  expect(await reportsOf('third')).toBe(0);
});
