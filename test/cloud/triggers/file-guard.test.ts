import { randomBytes } from 'node:crypto';
import type { VirgilCrypto } from 'virgil-crypto';
import { recogniseEnvelope } from '../../../cloud/envelope/recognise-envelope';
import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { makeCertificate } from '../../support/certificate';
import { abortingEnvelope } from '../../support/envelopes';
import { type Answer, type Caller, restClient } from '../../support/rest';
import { tracesOf } from '../../support/traces';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const INVALID = 142;
const TOO_LARGE = 116;

// Every file that must leave no trace holds the one word, and has the other in its name.
const SECRET = 'Xylophone';
const NAME = 'MRI-scan-of-Bob';
const TRACES = [...tracesOf(SECRET), NAME];
// So that the search finds what there is.
const PUBLIC = 'Harpsichord';

const policy = {
  virgil: { tokenTtlSeconds: 1200 },
  files: { plain: ['avatar-'], maxBytes: 300_000 },
  classes: {
    Photo: { encrypted: [], plain: ['senderId', 'tag'], files: ['photo', 'thumbnail'], sender: 'senderId' },
    Reported: { mode: 'report', encrypted: [], plain: [], files: ['photo'] },
  },
};

// The app's own triggers and a Cloud Function that uploads, in each way that its Parse SDK knows.
const cloudCode = `
  require('./e2ee');
  const own = ({ file }) => {
    if (file.name().startsWith('own-uri')) return new Parse.File('x.bin', { uri: Parse.serverURL + '/health' });
    if (file.name().startsWith('own-text')) return new Parse.File('x.bin', { base64: Buffer.from('${SECRET}').toString('base64') });
    if (file.name().startsWith('own-throws')) throw 'not today';
  };
  Parse.Cloud.beforeSaveFile ? Parse.Cloud.beforeSaveFile(own) : Parse.Cloud.beforeSave(Parse.File, own);
  Parse.Cloud.afterSave(Parse.File, ({ file }) => new Parse.Object('Stored', { file }).save(null, { useMasterKey: true }));
  Parse.Cloud.define('upload', async ({ params: { name, hex, how }, user }) => {
    const bytes = Buffer.from(hex, 'hex');
    const data = { base64: { base64: bytes.toString('base64') }, array: [...bytes], Buffer: bytes }[how];
    const file = await new Parse.File(name, data).save(user ? { sessionToken: user.getSessionToken() } : { useMasterKey: true });
    return { name: file.name(), url: file.url() };
  });
`;

let server: BareParseServer;
let rest: ReturnType<typeof restClient>;
let crypto: VirgilCrypto;
let alice: Awaited<ReturnType<typeof rest.signUp>>;
let bob: typeof alice;
let encrypt: (bytes: Uint8Array | string, padded?: boolean) => Buffer;

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  const keys = [crypto.generateKeys(), crypto.generateKeys()] as const;
  const recipients = keys.map(({ publicKey }) => publicKey);
  encrypt = (bytes, padded = true) => {
    const plaintext = typeof bytes === 'string' ? bytes : Buffer.from(bytes);
    return Buffer.from(crypto.signAndEncrypt(plaintext, keys[0].privateKey, recipients, padded));
  };
  server = await startBareParseServer({ policy, cloudCode });
  rest = restClient(server);
  alice = await rest.signUp();
  bob = await rest.signUp();
});
afterAll(() => server?.stop());

/** Where the body is JSON and where it is the bytes themselves: the two forms of SDKs. */
type Upload = (bytes: Uint8Array, name: string, caller?: Caller) => Promise<Answer>;

async function post(
  path: string,
  body: string | Buffer | FormData,
  headers: object,
  { sessionToken, master }: Caller = alice,
): Promise<Answer> {
  const response = await fetch(path.startsWith('http') ? path : server.url + path, {
    method: 'POST',
    headers: {
      'X-Parse-Application-Id': server.appId,
      ...(sessionToken && { 'X-Parse-Session-Token': sessionToken }),
      ...(master && { 'X-Parse-Master-Key': server.masterKey }),
      ...headers,
    },
    body,
  });
  return { status: response.status, body: await response.json() };
}

const rawBody: Upload = (bytes, name, caller) =>
  post(`/files/${name}`, Buffer.from(bytes), { 'Content-Type': 'image/png' }, caller);

/** As the JavaScript SDK does: JSON as plain text, with all that other SDKs put into headers. */
const json =
  (fileData?: object): Upload =>
  async (bytes, name, { sessionToken, master } = alice) => {
    const body = {
      base64: Buffer.from(bytes).toString('base64'),
      fileData,
      _ContentType: 'image/png',
      _ApplicationId: server.appId,
      ...(sessionToken && { _SessionToken: sessionToken }),
      ...(master && { _MasterKey: server.masterKey }),
    };
    const response = await fetch(`${server.url}/files/${name}`, {
      method: 'POST',
      headers: { 'Content-Type': 'text/plain' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };

const cloudFunction =
  (how: string): Upload =>
  async (bytes, name, caller = alice) => {
    // Parse Server logs the parameters: the tests would find in them what they look for.
    const hex = Buffer.from(bytes).toString('hex');
    const { status, body } = await rest.run('upload', { name, hex, how }, caller);
    return { status: status === 200 ? 201 : status, body: body.result ?? body };
  };

/** A multipart request, as GraphQL clients make it. Before Parse Server 7 no trigger hears of it. */
const graphQL: Upload = async (bytes, name, caller) => {
  const form = new FormData();
  const query =
    'mutation ($upload: Upload!) { createFile(input: { upload: $upload }) { fileInfo { name url } } }';
  form.set('operations', JSON.stringify({ query, variables: { upload: null } }));
  form.set('map', JSON.stringify({ 1: ['variables.upload'] }));
  form.set('1', new Blob([Buffer.from(bytes)], { type: 'application/octet-stream' }), name);
  const { status, body } = await post(
    server.graphQLUrl,
    form,
    { 'apollo-require-preflight': 'true' },
    caller,
  );
  const info = body.data?.createFile?.fileInfo;
  return info?.name ? { status: 201, body: info } : { status, body: info ?? body };
};

const major = Number(
  /\d+/.exec(require(`${process.env.PARSE_SERVER_MODULE ?? 'parse-server'}/package.json`).version)?.[0],
);
const doors: [string, Upload][] = [
  ['a raw body', rawBody],
  ['JSON', json()],
  ['a Cloud Function, in base64', cloudFunction('base64')],
  ['a Cloud Function, as a list of numbers', cloudFunction('array')],
  ...(major >= 7 ? [['GraphQL', graphQL] as [string, Upload]] : []),
];
const callers: [string, () => Caller][] = [
  ['a user', () => alice],
  ['the master key', () => ({ master: true })],
];

const download = async (url: string) => Buffer.from(await (await fetch(url)).arrayBuffer());
const photo = Buffer.concat([Buffer.from('ffd8ffe000104a464946', 'hex'), randomBytes(100_000)]);

describe.each(callers)('%s', (_who, caller) => {
  test.each(doors)(
    'uploads by %s: an envelope is stored as it came, under a name that tells nothing',
    async (_door, upload) => {
      for (const padded of [true, false]) {
        const envelope = encrypt(photo, padded);
        const { status, body } = await upload(envelope, 'e2ee.bin', caller());
        expect([status, body]).toEqual([
          201,
          { name: expect.stringMatching(/^[0-9a-f]{32}_e2ee-[0-9a-f]{32}\.bin$/), url: expect.any(String) },
        ]);
        const response = await fetch(body.url);
        expect(response.headers.get('content-type')).toBe('application/octet-stream');
        expect(Buffer.from(await response.arrayBuffer()).equals(envelope)).toBe(true);
      }
    },
  );

  test.each(doors)('uploads by %s: what is no envelope is refused', async (door, upload) => {
    const { body } = await upload(Buffer.from(`${SECRET}, said plainly`), 'e2ee.bin', caller());
    expect(JSON.stringify(body)).toMatch(door === 'GraphQL' ? /Cannot return null/ : /not an E3Kit envelope/);
    expect(JSON.stringify(body)).not.toContain('"url"');
  });
});

test('nobody uploads without a session, as Parse Server has it', async () => {
  expect((await rawBody(encrypt(photo), 'e2ee.bin', {})).body.code).toBe(130);
});

describe('is refused, by raw body and JSON, whatever the name says', () => {
  const word = Buffer.from(SECRET);
  const text = Buffer.from(`${SECRET} is what I said to you. `.repeat(50));
  const header = () => {
    const bytes = encrypt('');
    return bytes.subarray(0, recogniseEnvelope(bytes, { allowLegacyEncrypt: false }).ciphertextOffset);
  };
  const of = (start: string) => Buffer.concat([Buffer.from(start, 'hex'), word, randomBytes(5000), word]);
  const files: [string, string, () => Buffer][] = [
    ['PNG', 'png', () => of('89504e470d0a1a0a')],
    ['JPEG', 'jpg', () => of('ffd8ffe000104a464946')],
    ['PDF', 'pdf', () => of('255044462d312e370a')],
    ['ZIP', 'zip', () => of('504b0304')],
    ['text', 'txt', () => text],
    ['base64 of text', 'bin', () => Buffer.from(text.toString('base64'))],
    ['base64 of an envelope', 'bin', () => Buffer.from(encrypt(word).toString('base64'))],
    [
      'a certificate',
      'cer',
      () => Buffer.from(makeCertificate(SECRET, '20', '40').cert.split('\n').slice(1, -2).join(''), 'base64'),
    ],
    ['a certificate in PEM', 'txt', () => Buffer.from(makeCertificate(SECRET, '20', '40').cert)],
    ['a real header with text behind it', 'bin', () => Buffer.concat([header(), text])],
    [
      'a real header with a JPEG behind it that has a comment',
      'jpg',
      () => Buffer.concat([header(), of('ffd8ffe000104a464946'), text.subarray(0, 48), randomBytes(100_000)]),
    ],
    [
      'a real header with text in UTF-16',
      'bin',
      () => Buffer.concat([header(), Buffer.from(`${text}`, 'utf16le')]),
    ],
    ['an envelope cut short', 'bin', () => encrypt(`${text}`).subarray(0, 900)],
    [
      'an envelope that aborts the library of whoever opens it',
      'bin',
      () => abortingEnvelope(encrypt(`${text}`)),
    ],
    [
      'an envelope that is not signed',
      'bin',
      () => Buffer.from(crypto.encrypt(`${text}`, crypto.generateKeys().publicKey)),
    ],
  ];

  test.each(files)('%s', async (_name, extension, make) => {
    for (const upload of [rawBody, json()]) {
      const { status, body } = await upload(make(), `${NAME}.${extension}`);
      expect([status, body]).toEqual([
        400,
        { code: INVALID, error: expect.stringMatching(/^The file is refused: /) },
      ]);
      for (const trace of TRACES) expect(body.error).not.toContain(trace);
    }
  });

  test.each([
    ['metadata', { metadata: { note: SECRET } }],
    ['tags', { tags: { note: SECRET } }],
    ...(major >= 9 ? [['a directory', { directory: SECRET }] as [string, object]] : []),
  ])('an envelope with %s', async (_name, fileData) => {
    const { body } = await json(fileData)(encrypt(photo), `${NAME}.bin`, { master: true });
    expect(body).toEqual({
      code: INVALID,
      error: 'The file is refused: it has metadata, tags or a directory.',
    });
  });

  test('an envelope over the limit', async () => {
    const { body } = await rawBody(encrypt(randomBytes(300_000)), `${NAME}.bin`);
    expect(body.code).toBe(TOO_LARGE);
  });

  test("what the app's own trigger returns without bytes, or in plain text; and what it refuses", async () => {
    for (const name of ['own-uri', 'own-text']) {
      expect((await rawBody(encrypt(photo), `${name}-${NAME}.bin`)).body.code).toBe(INVALID);
    }
    expect((await rawBody(encrypt(photo), `own-throws-${NAME}.bin`)).body.error).toBe('not today');
  });

  // Older servers take the header for none of theirs, and the body for a raw one.
  const streamed = (name: string) =>
    post(`/files/${name}`, encrypt(photo), { 'X-Parse-Upload-Mode': 'stream', 'Content-Type': 'image/png' });
  const newest = major >= 9 ? test : test.skip;
  newest('a stream, with the cure in the message, but under a plain name', async () => {
    for (const { body } of [
      await streamed(`${NAME}.bin`),
      await cloudFunction('Buffer')(encrypt(photo), 'e2ee.bin'),
    ]) {
      expect(JSON.stringify(body)).toMatch(
        /bytes cannot be seen\. Upload new Parse\.File\('e2ee\.bin', \{ base64 \}\)/,
      );
    }
    expect((await streamed('avatar-stream.png')).status).toBe(201);
  });
});

test('a file with a plain name is stored as it is, with metadata too', async () => {
  const picture = Buffer.from(`a picture of a ${PUBLIC}`);
  for (const upload of [rawBody, json({ metadata: { of: 'alice' } })]) {
    const { status, body } = await upload(picture, 'avatar-alice.png');
    expect([status, body.name]).toEqual([201, expect.stringMatching(/^[0-9a-f]{32}_avatar-alice\.png$/)]);
    expect((await download(body.url)).equals(picture)).toBe(true);
  }
});

describe('a field for files', () => {
  let stored: { name: string; url: string };
  beforeAll(async () => {
    stored = (await rawBody(encrypt(photo), 'e2ee.bin')).body;
    const { body } = await rest.call(
      'POST',
      '/classes/Photo',
      { senderId: alice.id, tag: 'first', ...fields() },
      alice,
    );
    expect(body.objectId).toEqual(expect.any(String)); // makes the class and its columns
  });
  const fields = (photo: unknown = { __type: 'File', ...stored }) => ({ photo });
  const save = async (fields: object, caller: Caller = alice, className = 'Photo') => {
    const acl = { [alice.id]: { read: true, write: true }, [bob.id]: { read: true, write: true } };
    const sender = className === 'Photo' && { senderId: alice.id };
    return rest.call('POST', `/classes/${className}`, { ...sender, ACL: acl, ...fields }, caller);
  };
  const file = (name: string, url: string, more = {}) => ({ __type: 'File', name, url, ...more });

  test('holds an encrypted file, with the address that a client has; nothing else of it is stored', async () => {
    const query = file(stored.name, `${stored.url}?signature=${SECRET}`, { note: SECRET });
    for (const photo of [{ __type: 'File', ...stored }, query]) {
      const { status, body } = await save({ photo });
      expect(status).toBe(201);
      const read = (await rest.call('GET', `/classes/Photo/${body.objectId}`, undefined, alice)).body;
      expect(read.photo).toEqual({
        __type: 'File',
        name: stored.name,
        url: expect.stringContaining(stored.name),
      });
      expect((await download(read.photo.url)).length).toBeGreaterThan(photo.name.length);
    }
  });

  test('may be empty, or emptied', async () => {
    const { body } = await save(fields());
    for (const photo of [null, { __op: 'Delete' }]) {
      expect((await save({ photo })).status).toBe(201);
      expect((await rest.call('PUT', `/classes/Photo/${body.objectId}`, { photo }, alice)).status).toBe(200);
    }
  });

  test.each<[string, () => unknown]>([
    ['a file of another name', () => file(`${NAME}.png`, `http://127.0.0.1/${NAME}.png`)],
    ['a file with a plain name', () => file('avatar-1.png', 'http://127.0.0.1/avatar-1.png')],
    ['the address of another', () => file(stored.name, `http://127.0.0.1/${NAME}.png`)],
    ['a name in the query', () => file(stored.name, `http://127.0.0.1/${NAME}?${stored.name}`)],
    ['a file without an address', () => ({ __type: 'File', name: stored.name })],
    ['a text', () => SECRET],
    ['an object', () => ({ text: SECRET })],
    ['a list of files', () => [{ __type: 'File', ...stored }]],
    [
      'a Relation',
      () => ({ __op: 'AddRelation', objects: [{ __type: 'Pointer', className: 'Photo', objectId: SECRET }] }),
    ],
    ['an Add', () => ({ __op: 'Add', objects: [SECRET] })],
    ['an Increment', () => ({ __op: 'Increment', amount: 1 })],
  ])('holds nothing else: %s', async (_name, make) => {
    const { body } = await save(fields());
    for (const caller of [alice, { master: true }]) {
      for (const answer of [
        await save({ photo: make() }, caller),
        await rest.call('PUT', `/classes/Photo/${body.objectId}`, { photo: make() }, caller),
      ]) {
        // Parse Server itself refuses another type (111), and to add to what is a file (1).
        expect([INVALID, 111, 1]).toContain(answer.body.code);
        for (const trace of TRACES) expect(JSON.stringify(answer.body)).not.toContain(trace);
      }
    }
  });

  test('is the sender’s to change, as ciphertext is', async () => {
    const { body } = await save(fields());
    const put = (fields: object, caller: Caller) =>
      rest.call('PUT', `/classes/Photo/${body.objectId}`, fields, caller);
    const another = `e2ee-${'0'.repeat(32)}.bin`;
    const changed = fields(file(another, `http://127.0.0.1/${another}`));
    expect((await put(changed, bob)).body.code).toBe(119);
    expect((await put({ tag: 'seen' }, bob)).status).toBe(200);
    expect((await put(fields(), bob)).status).toBe(200); // the same again
    expect((await put(changed, alice)).status).toBe(200);
  });

  test('in a batch and by GraphQL is held to the same', async () => {
    const bad = { senderId: alice.id, photo: file(`${NAME}.png`, `http://127.0.0.1/${NAME}.png`) };
    const requests = [{ method: 'POST', path: `${new URL(server.url).pathname}/classes/Photo`, body: bad }];
    expect((await rest.call('POST', '/batch', { requests }, alice)).body[0].error.code).toBe(INVALID);
    const query =
      'mutation ($fields: CreatePhotoFieldsInput) { createPhoto(input: { fields: $fields }) { photo { objectId } } }';
    const create = async (photo: object) => {
      const body = JSON.stringify({
        query,
        variables: { fields: { senderId: alice.id, photo: { file: photo } } },
      });
      return (await post(server.graphQLUrl, body, { 'Content-Type': 'application/json' })).body;
    };
    expect((await create(bad.photo)).errors[0].extensions.code).toBe(INVALID);
    expect((await create({ __type: 'File', ...stored })).data.createPhoto.photo.objectId).toEqual(
      expect.any(String),
    );
  });

  test('of a class that reports is saved, and its name is not in the log', async () => {
    const { status } = await save(
      { photo: file('a-name.png', 'http://127.0.0.1/a-name.png') },
      alice,
      'Reported',
    );
    expect(status).toBe(201);
    const logged = await server.logged();
    expect(logged).toContain('e2ee report: Reported: 142 Reported.photo must be nothing, or a Parse.File');
    expect(logged).not.toContain('a-name');
  });
});

test("the app's `afterSave` can write each stored file into a row", async () => {
  const rows = await server.rows.find('Stored', {});
  expect(rows.length).toBeGreaterThan(10);
  for (const { file } of rows)
    expect(JSON.stringify(file)).toMatch(/_(e2ee-[0-9a-f]{32}\.bin|avatar-[a-z]+\.png)/);
});

test('of all that was refused above, nothing is in the database, in the storage or in a log, its name included', async () => {
  const logged = await server.logged();
  const stored = await server.stored();
  expect(logged).toContain('beforeSave failed for Parse.File');
  expect(tracesOf(PUBLIC).some((trace) => stored.includes(trace))).toBe(true);
  for (const trace of TRACES) {
    expect([trace, logged.includes(trace), stored.includes(trace)]).toEqual([trace, false, false]);
  }
});
