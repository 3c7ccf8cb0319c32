import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirgilCardCrypto, type VirgilCrypto, type VirgilPublicKey } from 'virgil-crypto';
import { CachingJwtProvider, CardManager, VirgilCardVerifier } from 'virgil-sdk';
import { readStoredMessages, type StoredMessage } from '../../../../scripts/local/playground/stored-messages';
import { type LocalServer, prepareDatabase, startLocalServer } from '../../../support/local-server';
import { restClient } from '../../../support/rest';
import { loadVirgilCrypto } from '../../../support/virgil-crypto';

const folder = mkdtempSync(join(tmpdir(), 'e2ee-playground-'));
let server: LocalServer;
let masterKey: string;
let client: ReturnType<typeof restClient>;
let crypto: VirgilCrypto;
let user: { id: string; sessionToken: string };
let keys: ReturnType<VirgilCrypto['generateKeys']>;

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  prepareDatabase(folder);
  server = await startLocalServer({ folder });
  masterKey = JSON.parse(readFileSync(join(folder, '.local/credentials.json'), 'utf8')).PARSE_MASTER_KEY;
  client = restClient({ url: `${server.url}/parse`, appId: 'e2ee-local', masterKey });
  user = await client.signUp();
  keys = crypto.generateKeys();
  await publishKey();
});
afterAll(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function publishKey(): Promise<void> {
  const cardCrypto = new VirgilCardCrypto(crypto);
  const cards = new CardManager({
    cardCrypto,
    cardVerifier: new VirgilCardVerifier(cardCrypto, { verifyVirgilSignature: false }),
    accessTokenProvider: new CachingJwtProvider(
      async () => (await client.run('virgil-jwt', {}, user)).body.result.token,
    ),
    retryOnUnauthorized: false,
    apiUrl: `${server.url}/virgil`,
  });
  await cards.publishCard({ identity: user.id, ...keys });
}

const rowOf = (body: string, threadId: string) => ({
  body,
  senderId: user.id,
  threadId,
  timestamp: '2026-01-01T00:00:00.000Z',
});
const seal = (...recipients: VirgilPublicKey[]) =>
  crypto.signAndEncrypt('hello', keys.privateKey, recipients, true).toString('base64');

/** Saves a message and returns its ID and payload. */
async function save(threadId: string, recipients: VirgilPublicKey[], className = 'PlaygroundMessage') {
  const payload = seal(...recipients);
  const { body } = await client.call('POST', `/classes/${className}`, rowOf(payload, threadId), user);
  return { id: body.objectId as string, payload };
}

async function payloadOf(id: string, className = 'PlaygroundMessage'): Promise<string> {
  return (await client.call('GET', `/classes/${className}/${id}`, undefined, { master: true })).body.body;
}

const SAME_ORIGIN = { 'Sec-Fetch-Site': 'same-origin' };
const read = (threadId: string, headers: Record<string, string> = SAME_ORIGIN) =>
  fetch(`${server.url}/playground/messages?threadId=${threadId}`, { headers });
const tamper = (id: string, headers: Record<string, string> = SAME_ORIGIN) =>
  fetch(`${server.url}/playground/messages/${id}/tamper`, { method: 'POST', headers });

test('names the recipients whose keys are published, and nobody for another key', async () => {
  const { id, payload } = await save('thread-1', [keys.publicKey]);
  const messages = await (await read('thread-1')).json();
  expect(messages).toEqual([
    {
      row: expect.objectContaining({ objectId: id, body: payload, senderId: user.id }),
      envelope: {
        size: Buffer.from(payload, 'base64').length,
        ciphertextOffset: expect.any(Number),
        tamperOffset: expect.any(Number),
        recipients: [user.id],
        signedInside: true,
      },
    },
  ]);
  // As where the local Virgil Cloud has lost its cards.
  const store = {
    serverURL: `${server.url}/parse`,
    appId: 'e2ee-local',
    masterKey,
    ownersOfKeys: () => new Map(),
  };
  const [unknown] = await readStoredMessages(store, 'thread-1');
  expect(unknown?.envelope.recipients).toEqual([null]);
});

test('tampering changes one byte of the ciphertext, and twice none', async () => {
  const { id, payload } = await save('thread-2', [keys.publicKey]);
  const [{ envelope }] = (await (await read('thread-2')).json()) as [StoredMessage];
  expect((await tamper(id)).status).toBe(204);
  const [before, after] = [payload, await payloadOf(id)].map((base64) => [...Buffer.from(base64, 'base64')]);
  const changed = after?.flatMap((byte, index) => (byte === before?.[index] ? [] : index));
  expect(changed).toEqual([envelope.tamperOffset]);
  expect(envelope.tamperOffset).toBeGreaterThan(envelope.ciphertextOffset);
  expect(() =>
    crypto.decryptAndVerify(Buffer.from(after as number[]), keys.privateKey, keys.publicKey),
  ).toThrow();
  await tamper(id);
  expect(await payloadOf(id)).toBe(payload);
});

test.each<Record<string, string>>([
  {},
  { 'Sec-Fetch-Site': 'cross-site' },
  { 'Sec-Fetch-Site': 'same-site' },
  { 'Sec-Fetch-Site': 'none' },
])('answers its own page alone: %j', async (headers) => {
  const { id, payload } = await save('thread-3', [keys.publicKey]);
  expect((await read('thread-3', headers)).status).toBe(403);
  expect((await tamper(id, headers)).status).toBe(403);
  expect(await payloadOf(id)).toBe(payload);
});

test('neither shows nor changes the messages of the app that is being developed', async () => {
  const { id, payload } = await save('thread-4', [keys.publicKey], 'Message');
  expect(await (await read('thread-4')).json()).toEqual([]);
  expect((await tamper(id)).status).toBe(400);
  expect(await payloadOf(id, 'Message')).toBe(payload);
});

test('a message of the page that leaves a reader out is refused', async () => {
  const reader = await client.signUp();
  const row = {
    ...rowOf(seal(keys.publicKey), 'thread-7'),
    ACL: { [user.id]: { read: true, write: true }, [reader.id]: { read: true } },
  };
  const { body } = await client.call('POST', '/classes/PlaygroundMessage', row, user);
  expect(body).toEqual({
    code: 142,
    error: expect.stringContaining(`body is not encrypted for ${reader.id}, who may read the row`),
  });
});

test("the page's own class is guarded, and may name a group where Message may not", async () => {
  const create = async (className: string, row: object) =>
    (await client.call('POST', `/classes/${className}`, row, user)).body.code;
  expect(await create('PlaygroundMessage', rowOf('text', 'thread-5'))).toBe(142);
  const ofGroup = { ...rowOf(seal(keys.publicKey), 'thread-5'), groupId: 'group-of-three' };
  expect(await create('PlaygroundMessage', ofGroup)).toBeUndefined();
  expect(await create('Message', ofGroup)).toBe(142);
});

test('tells of a photo what its file tells anyone: its size, and ciphertext', async () => {
  const file = crypto.signAndEncrypt('JPEG'.repeat(2000), keys.privateKey, [keys.publicKey], true);
  const upload = await fetch(`${server.url}/parse/files/e2ee.bin`, {
    method: 'POST',
    headers: { 'X-Parse-Application-Id': 'e2ee-local', 'X-Parse-Session-Token': user.sessionToken },
    body: new Blob([file], { type: 'application/octet-stream' }),
  });
  const uploaded = (await upload.json()) as { name: string };
  const row = {
    ...rowOf(seal(keys.publicKey), 'thread-6'),
    photo: { __type: 'File', ...uploaded },
  };
  await client.call('POST', '/classes/PlaygroundMessage', row, user);
  const [message] = (await (await read('thread-6')).json()) as [StoredMessage];
  expect(message.row.photo?.name).toBe(uploaded.name);
  expect(message.photo?.size).toBe(file.length);
  const noise = Buffer.from(message.photo?.noise ?? '', 'base64');
  expect(noise.length).toBeGreaterThan(1000);
  expect(file.indexOf(noise)).toBeGreaterThan(100); // behind the header
});

test('tampering with a message that is not there says so', async () => {
  const answer = await tamper('nowhere');
  expect(answer.status).toBe(400);
  expect(await answer.json()).toEqual({ error: 'Object not found.' });
});

test('the page may run its own scripts alone, and holds no key of the server', async () => {
  const page = await fetch(server.url);
  const policy = page.headers.get('Content-Security-Policy') ?? '';
  expect(policy).toMatch(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
  expect(page.headers.get('Content-Type')).toMatch(/^text\/html/);
  expect(policy).not.toContain('unsafe-inline');
  const script = await fetch(`${server.url}/page.js`);
  expect(script.headers.get('Content-Type')).toMatch(/^text\/javascript/);
  const code = await script.text();
  expect(code).toContain('e2ee-local');
  expect(code).not.toContain(masterKey);
  const [wasm] = /libfoundation\.browser-\w+\.wasm/.exec(code) ?? [];
  const module = await fetch(`${server.url}/${wasm}`);
  expect(module.headers.get('Content-Type')).toBe('application/wasm');
  const style = await (await fetch(`${server.url}/page.css`)).text();
  const [font] = /geist-latin-wght-normal-\w+\.woff2/.exec(style) ?? [];
  expect((await fetch(`${server.url}/${font}`)).headers.get('Content-Type')).toBe('font/woff2');
});
