import type { VirgilCrypto } from 'virgil-crypto';
import { recogniseEnvelope } from '../../../cloud/envelope/recognise-envelope';
import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { abortingEnvelope, envelopeMaker } from '../../support/envelopes';
import { type Answer, type Caller, restClient } from '../../support/rest';
import { tracesOf } from '../../support/traces';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

type User = Awaited<ReturnType<ReturnType<typeof restClient>['signUp']>>;

const FORBIDDEN = 119;
const INVALID = 142;
const TOO_LARGE = 116;
const NO_SESSION = 209;

// Every text that must leave no trace holds one of these words, in the clear or in base64 at any offset.
const SECRET = 'Xylophone';
const TRACES = tracesOf(SECRET);

const policy = {
  virgil: { tokenTtlSeconds: 1200 },
  classes: {
    Message: {
      encrypted: ['body'],
      plain: ['senderId', 'threadId', 'timestamp', 'count', 'seen', 'sentAt', 'thread'],
      sender: 'senderId',
      maxPayloadBytes: 20_000,
    },
    Listed: {
      encrypted: ['body'],
      plain: { senderId: 'String', readBy: 'Array<Pointer<_User>>', labels: 'Array<String>' },
      sender: 'senderId',
    },
    Note: { encrypted: ['body', 'title'], plain: ['tag'], allowLegacyEncrypt: true },
  },
};

// A Cloud Function of the app that saves what it is given, as its caller or with the master key.
const cloudCode = `
  require('./e2ee');
  Parse.Cloud.define('save', async ({ params, user }) => {
    const message = new Parse.Object('Message');
    if (params.objectId) message.id = params.objectId;
    const options = params.master ? { useMasterKey: true } : { sessionToken: user.getSessionToken() };
    await message.save(JSON.parse(params.fields), options);
    return message.id;
  });
  Parse.Cloud.define('findMessages', () => new Parse.Query('Message').select('threadId').find({ useMasterKey: true }));
`;

let server: BareParseServer;
let rest: ReturnType<typeof restClient>;
let crypto: VirgilCrypto;
let envelope: ReturnType<typeof envelopeMaker>;
let alice: User;
let bob: User;

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  envelope = envelopeMaker(crypto);
  server = await startBareParseServer({ policy, cloudCode });
  rest = restClient(server);
  alice = await rest.signUp();
  bob = await rest.signUp();
  await send(); // makes the class and its columns
});
afterAll(() => server?.stop());

const acl = (...ids: string[]) => Object.fromEntries(ids.map((id) => [id, { read: true, write: true }]));

const save = (fields: object, caller: Caller = alice): Promise<Answer> =>
  rest.call('POST', '/classes/Message', { body: envelope(), senderId: alice.id, ...fields }, caller);

const update = (id: string, fields: object, caller: Caller = alice): Promise<Answer> =>
  rest.call('PUT', `/classes/Message/${id}`, fields, caller);

const read = async (id: string, className = 'Message') =>
  (await rest.call('GET', `/classes/${className}/${id}`, undefined, { master: true })).body;

/** Saves a good message, which both may write. */
async function send(fields: object = {}): Promise<string> {
  const { status, body } = await save({ ACL: acl(alice.id, bob.id), threadId: 'a thread', ...fields });
  expect([status, body]).toEqual([201, body]);
  return body.objectId;
}

function expectError(answer: Answer, code: number, message: RegExp | string = ''): void {
  expect(answer.body).toEqual({ code, error: expect.stringMatching(message) });
  for (const trace of TRACES) expect(answer.body.error).not.toContain(trace);
}

describe('what is not ciphertext is refused', () => {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const long = `${SECRET} is what I said to you. `.repeat(20);
  const header = () => {
    const bytes = Buffer.from(envelope(), 'base64');
    const { ciphertextOffset } = recogniseEnvelope(bytes.toString('base64'), { allowLegacyEncrypt: false });
    return bytes.subarray(0, ciphertextOffset);
  };
  const forgeries: [name: string, make: () => unknown][] = [
    ['plain text', () => long],
    ['base64 of text', () => base64(long)],
    ['JSON', () => JSON.stringify({ text: long })],
    ['an empty string', () => ''],
    ['a number', () => 42],
    ['true', () => true],
    ['null', () => null],
    ['an array', () => [SECRET]],
    ['an object', () => ({ text: SECRET })],
    ['a File', () => ({ __type: 'File', name: `${SECRET}.txt`, url: `http://127.0.0.1/${SECRET}` })],
    ['a PGP message', () => `-----BEGIN PGP MESSAGE-----\n\n${base64(long)}\n-----END PGP MESSAGE-----`],
    [
      'a JWE',
      () =>
        `eyJhbGciOiJSU0EtT0FFUCJ9.${base64(SECRET)}.48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9o`,
    ],
    ['random base64', () => Buffer.alloc(400, 0xa7).toString('base64')],
    ['a truncated header', () => header().subarray(0, 100).toString('base64')],
    [
      'an envelope that aborts the library of whoever opens it',
      () => abortingEnvelope(Buffer.from(envelope(), 'base64')).toString('base64'),
    ],
    [
      'a header with a bit flipped',
      () => {
        const bytes = Buffer.from(envelope(), 'base64');
        bytes[5] = (bytes[5] as number) ^ 8;
        return bytes.toString('base64');
      },
    ],
    ['a header with text behind it', () => Buffer.concat([header(), Buffer.from(long)]).toString('base64')],
    [
      'a header with UTF-16 text behind it',
      () => Buffer.concat([header(), Buffer.from(long, 'utf16le')]).toString('base64'),
    ],
    ['an envelope with text behind it', () => envelope() + base64(long)],
    ['text in the custom parameters of an envelope', () => withCustomParameter(long)],
    [
      'a group ticket',
      () => crypto.generateGroupSession(`the ${SECRET} group`).export()[0]?.toString('base64'),
    ],
    [
      'what the deprecated encrypt() makes',
      () => {
        const { privateKey, publicKey } = crypto.generateKeys();
        return crypto.signThenEncrypt(SECRET, privateKey, publicKey).toString('base64');
      },
    ],
  ];

  test.each(forgeries)('%s: on create, by its sender and with the master key', async (_name, make) => {
    const body = make();
    for (const caller of [alice, { master: true }]) {
      expectError(await save({ body }, caller), INVALID, /Message\.body is refused: /);
    }
  });

  test.each(forgeries)('%s: on update, in a batch, from a Cloud Function', async (_name, make) => {
    const body = make();
    const id = await send();
    const before = (await read(id)).body;
    for (const caller of [alice, { master: true }]) {
      expectError(await update(id, { body }, caller), INVALID);
    }
    const fields = { body, senderId: alice.id };
    const batch = await rest.call(
      'POST',
      '/batch',
      {
        requests: [
          { method: 'POST', path: '/parse/classes/Message', body: fields },
          { method: 'PUT', path: `/parse/classes/Message/${id}`, body: { body } },
        ],
      },
      alice,
    );
    for (const { error } of batch.body) expect(error.code).toBe(INVALID);
    // The app's own function has its parameters logged by Parse Server; only its text is out of our reach.
    if (!TRACES.some((trace) => JSON.stringify(body ?? '').includes(trace))) {
      for (const master of [false, true]) {
        expectError(await rest.run('save', { fields: JSON.stringify(fields), master }, alice), INVALID);
      }
    }
    expect((await read(id)).body).toBe(before);
  });

  test('through GraphQL: create and update', async () => {
    const id = await send();
    const mutate = async (query: string, variables: object) => {
      const response = await fetch(server.graphQLUrl, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'X-Parse-Application-Id': server.appId,
          'X-Parse-Session-Token': alice.sessionToken,
        },
        body: JSON.stringify({ query, variables }),
      });
      return (await response.json()) as { data?: unknown; errors?: { extensions: { code: number } }[] };
    };
    const create = `mutation ($body: String!, $senderId: String!) {
      createMessage(input: { fields: { body: $body, senderId: $senderId } }) { message { objectId } } }`;
    const change = `mutation ($id: ID!, $body: String!) {
      updateMessage(input: { id: $id, fields: { body: $body } }) { message { objectId } } }`;
    for (const body of [long, base64(long)]) {
      const refused = await mutate(create, { body, senderId: alice.id });
      expect(refused.errors?.[0]?.extensions.code).toBe(INVALID);
      expect((await mutate(change, { id, body })).errors?.[0]?.extensions.code).toBe(INVALID);
    }
    expect((await mutate(create, { body: envelope(), senderId: alice.id })).errors).toBeUndefined();
  });

  test('by operations: Delete, SetOnInsert, Add, AddUnique, Remove, Increment, AddRelation, Batch', async () => {
    const id = await send();
    const before = (await read(id)).body;
    const pointer = { __type: 'Pointer', className: 'Message', objectId: id };
    for (const body of [
      { __op: 'Delete' },
      { __op: 'SetOnInsert', amount: SECRET },
      { __op: 'Add', objects: [SECRET] },
      { __op: 'AddUnique', objects: [SECRET] },
      { __op: 'Remove', objects: [SECRET] },
      { __op: 'Increment', amount: 1 },
      { __op: 'AddRelation', objects: [pointer] },
      { __op: 'Batch', ops: [{ __op: 'AddRelation', objects: [pointer] }] },
      { __op: 'Nonsense', amount: SECRET },
    ]) {
      expect((await save({ body })).status).toBeGreaterThanOrEqual(400);
      expect((await update(id, { body })).status).toBeGreaterThanOrEqual(400);
    }
    for (const body of [{ __op: 'Delete' }, null]) {
      expectError(await update(id, { body }), INVALID, /missing/);
      expectError(await update(id, { body }, { master: true }), INVALID, /missing/);
      expectError(await save({ body }), INVALID, /missing/);
    }
    expect((await read(id)).body).toBe(before);
  });

  test('by dotted keys and keys that Parse Server keeps to itself', async () => {
    const id = await send();
    for (const fields of [
      { 'body.text': SECRET },
      { 'threadId.text': SECRET },
      { _hashed_password: SECRET },
      { _rperm: ['*'], _wperm: ['*'] },
      { _email_verify_token: SECRET },
      { __proto__x: SECRET },
    ]) {
      const created = await save(fields);
      const updated = await update(id, fields);
      for (const { status, body } of [created, updated]) {
        // Refused, or saved without them.
        if (status < 400 && body.objectId)
          expect(JSON.stringify(await read(body.objectId))).not.toContain(SECRET);
      }
    }
    expect(JSON.stringify(await read(id))).not.toContain(SECRET);
    const [row] = await server.rows.find('Message', { objectId: id });
    expect(JSON.stringify(row)).not.toContain('*');
  });

  test('a missing encrypted field on create', async () => {
    const { body } = await rest.call('POST', '/classes/Message', { senderId: alice.id }, alice);
    expect(body).toEqual({
      code: INVALID,
      error: expect.stringContaining('Message.body is refused: missing'),
    });
  });

  test('says why, and what to do', async () => {
    expectError(
      await save({ body: long }),
      INVALID,
      /Message\.body is refused: not base64\. Encrypt it with E3Kit/,
    );
  });

  test('a payload over maxPayloadBytes, before it is looked at', async () => {
    expectError(await save({ body: SECRET.repeat(3000) }), TOO_LARGE, /Message\.body is over 20000 bytes/);
    expectError(await save({ body: envelope('x'.repeat(16_000)) }), TOO_LARGE);
    expectError(await save({ body: 'é'.repeat(10_001) }), TOO_LARGE); // bytes, not characters
    await send({ body: envelope('x'.repeat(12_000)) });
  });

  test('allowLegacyEncrypt lets through what the deprecated encrypt() makes, where the policy says so', async () => {
    const { privateKey, publicKey } = crypto.generateKeys();
    const legacy = crypto.signThenEncrypt('hello', privateKey, publicKey).toString('base64');
    const { status } = await rest.call('POST', '/classes/Note', { body: legacy, title: legacy }, alice);
    expect(status).toBe(201);
  });

  test('every encrypted field of a class counts', async () => {
    const fields = { body: envelope(), title: long };
    expectError(await rest.call('POST', '/classes/Note', fields, alice), INVALID, /Note\.title/);
  });

  /** An envelope that decrypts, and carries a text in the clear. */
  function withCustomParameter(text: string): string {
    const sequence = (tag: number, ...content: Uint8Array[]) => {
      const bytes = Buffer.concat(content);
      return Buffer.concat([Buffer.from([tag, 0x82, bytes.length >> 8, bytes.length & 0xff]), bytes]);
    };
    const bytes = Buffer.from(crypto.encrypt('hello', crypto.generateKeys().publicKey));
    const headerLength = bytes.readUInt16BE(2) + 4;
    const parameter = sequence(
      0x30,
      sequence(0x0c, Buffer.from('note')),
      sequence(0xa1, sequence(0x0c, Buffer.from(text))),
    );
    const customised = sequence(
      0x30,
      bytes.subarray(4, headerLength),
      sequence(0xa0, sequence(0x31, parameter)),
    );
    return Buffer.concat([customised, bytes.subarray(headerLength)]).toString('base64');
  }
});

describe('plain fields', () => {
  test('hold a short string, a number, a boolean, a Date, a Pointer, or nothing', async () => {
    const id = await send({
      threadId: 'x'.repeat(256),
      count: 1,
      seen: false,
      sentAt: { __type: 'Date', iso: '2026-01-01T00:00:00.000Z' },
      thread: { __type: 'Pointer', className: 'Thread', objectId: 'abc' },
    });
    for (const fields of [
      { count: { __op: 'Increment', amount: 2 } },
      { seen: null },
      { threadId: { __op: 'Delete' } },
    ]) {
      expect((await update(id, fields)).status).toBe(200);
    }
    expect(await read(id)).toMatchObject({ count: 3 });
  });

  test.each([
    ['a string of 257 bytes', { threadId: SECRET.padEnd(257) }],
    ['a string of 256 characters and more bytes', { threadId: 'é'.repeat(129) }],
    ['an object', { extra: { text: SECRET } }],
    ['a list', { extra: [SECRET] }],
    ['a list, by AddUnique', { extra: { __op: 'AddUnique', objects: [SECRET] } }],
    ['a File', { extra: { __type: 'File', name: `${SECRET}.txt` } }],
    ['a GeoPoint', { extra: { __type: 'GeoPoint', latitude: 1, longitude: 2 } }],
    [
      'a relation',
      { extra: { __op: 'AddRelation', objects: [{ __type: 'Pointer', className: 'T', objectId: 'x' }] } },
    ],
    ['an empty relation', { extra: { __op: 'AddRelation', objects: [] } }],
    [
      'a Pointer whose ID is a text',
      { thread: { __type: 'Pointer', className: 'Thread', objectId: SECRET.repeat(40) } },
    ],
    [
      'a Pointer whose class is a text',
      { extra: { __type: 'Pointer', className: SECRET.repeat(40), objectId: 'x' } },
    ],
    ['a string with a NUL in it', { threadId: `${SECRET}\0` }],
    [
      'a Pointer whose ID is an object',
      { extra: { __type: 'Pointer', className: 'Thread', objectId: { text: SECRET } } },
    ],
    ['bytes', { extra: { __type: 'Bytes', base64: Buffer.from(SECRET).toString('base64') } }],
    ['a Date before the year 1', { extra: { __type: 'Date', iso: '0000-12-31T23:59:59.999Z' } }],
    ['a Date long before', { sentAt: { __type: 'Date', iso: '-271821-04-20T00:00:00.000Z' } }],
    ['a Date after the year 9999', { sentAt: { __type: 'Date', iso: '+010000-01-01T00:00:00.000Z' } }],
    ['a Date that is none', { sentAt: { __type: 'Date', iso: SECRET } }],
  ])('refuse %s', async (_name, fields) => {
    // `extra` stands for a plain field without a column yet, which would take any type.
    const renamed = JSON.parse(JSON.stringify(fields).replace('"extra"', '"timestamp"'));
    const dropped = { className: 'Message', fields: { timestamp: { __op: 'Delete' } } };
    await rest.call('PUT', '/schemas/Message', dropped, { master: true });
    expectError(await save(renamed), INVALID);
    const id = await send();
    for (const caller of [alice, { master: true }]) expectError(await update(id, renamed, caller), INVALID);
  });

  test('hold the first Date and the last that every database takes', async () => {
    for (const iso of ['0001-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999Z']) {
      expect((await read(await send({ sentAt: { __type: 'Date', iso } }))).sentAt.iso).toBe(iso);
    }
  });

  test('refuse a number that is not finite', async () => {
    const id = await send();
    const create = JSON.stringify({ body: envelope(), senderId: alice.id, count: 0 });
    for (const number of ['1e400', '-1e400', '{"__op":"Increment","amount":1e400}']) {
      for (const [method, path, json] of [
        ['POST', '/classes/Message', create.replace('"count":0', `"count":${number}`)],
        ['PUT', `/classes/Message/${id}`, `{"count":${number}}`],
      ]) {
        const response = await fetch(server.url + path, {
          method,
          headers: {
            'Content-Type': 'application/json',
            'X-Parse-Application-Id': server.appId,
            'X-Parse-Session-Token': alice.sessionToken,
          },
          body: json,
        });
        expect(await response.json()).toMatchObject({ code: INVALID });
      }
    }
  });

  test('a field that the policy does not name is refused by its name', async () => {
    for (const caller of [alice, { master: true }]) {
      expectError(await save({ preview: SECRET }, caller), INVALID, /Message\.preview is not in the policy/);
    }
    expectError(await update(await send(), { preview: SECRET }), INVALID, /Message\.preview/);
    const long = await save({ [`x${'y'.repeat(300)}`]: 1 });
    expect(long.body.error.length).toBeLessThan(200);
  });
});

// Without the refusal Parse Server ends: it cannot write the value into its log.
describe('what would end the server is refused before all else', () => {
  const file = { __type: 'File', name: SECRET };
  test.each([
    ['a File without a url', file],
    ['one in an object in a list', [{ a: [{ b: file }] }]],
    ['one in an Add', { __op: 'Add', objects: [file] }],
    ['one in an AddUnique', { __op: 'AddUnique', objects: [{ a: file }] }],
    ['one in a Remove', { __op: 'Remove', objects: [file] }],
    ['a Date that is none', [{ __type: 'Date', iso: SECRET }]],
  ])(
    '%s: in any field, on create, update, in a batch, from a Cloud Function, by anybody',
    async (_name, value) => {
      const id = await send();
      for (const field of ['body', 'threadId', 'timestamp', 'stray']) {
        const dropped = { className: 'Message', fields: { timestamp: { __op: 'Delete' } } };
        await rest.call('PUT', '/schemas/Message', dropped, { master: true });
        for (const caller of [alice, { master: true }, {}]) {
          const { body } = await save({ [field]: value }, caller);
          expect([INVALID, 111]).toContain(body.code); // 111: the field has another type
          const requests = [
            { method: 'PUT', path: `/parse/classes/Message/${id}`, body: { [field]: value } },
          ];
          // Parse Server itself cannot add to a string.
          expect((await rest.call('POST', '/batch', { requests }, caller)).body[0].error).toBeTruthy();
        }
        // The parameters of the app's own function are logged by Parse Server.
        const fields = JSON.stringify({ [field]: value }).replaceAll(SECRET, 'x');
        expect((await rest.run('save', { fields, master: true }, alice)).status).toBeGreaterThanOrEqual(400);
      }
      expectError(await save({ stray: value }), INVALID, /^Message contains a File without a url/);
      expect((await rest.call('GET', '/health')).body.status).toBe('ok');
    },
  );
});

describe('one request cannot block the server', () => {
  const many = (name: string, value: unknown = {}) =>
    Object.fromEntries(Array.from({ length: 4000 }, (_, i) => [`${name}${i}`, value]));
  const numbers = Array.from({ length: 1500 }, (_, i) => i);
  test.each([
    ['with thousands of fields', many('f'), /^Message is sent \d+ fields at once, of at most \d+: /],
    ['with thousands of dotted fields', many('f.x'), /^Message is sent \d+ fields at once, of at most \d+: /],
    [
      'with an operation on thousands of elements',
      { timestamp: { __op: 'AddUnique', objects: numbers } },
      /^Message is sent an operation on more than 1000 elements/,
    ],
  ])('%s: on create, update, in a batch, from Cloud Code, by anybody', async (_name, fields, message) => {
    const id = await send();
    const path = '/parse/classes/Message';
    const body = { ...fields, body: envelope() };
    const requests = [
      { method: 'POST', path, body },
      { method: 'PUT', path: `${path}/${id}`, body },
    ];
    for (const caller of [alice, { master: true }, {}]) {
      expectError(await save(fields, caller), INVALID, message);
      expectError(await update(id, fields, caller), INVALID, message);
      for (const { error } of (await rest.call('POST', '/batch', { requests }, caller)).body) {
        expect(error).toEqual({ code: INVALID, error: expect.stringMatching(message) });
      }
    }
    for (const master of [true, false]) {
      const saved = await rest.run('save', { fields: JSON.stringify(fields), master }, alice);
      expect(saved.status).toBeGreaterThanOrEqual(400);
    }
  });
});

describe('a text in the place of a name', () => {
  test.each([
    ['a class', { threadId: { __type: 'Pointer', className: `${SECRET} class`, objectId: 'x' } }],
    ['a type', { threadId: { __type: `${SECRET} type` } }],
    ['an operation', { threadId: { __op: `${SECRET} operation` } }],
    ['a field', { [`${SECRET} field`]: 1 }],
    ['a field with a dot', { [`threadId.${SECRET}`]: 1 }],
  ])('is rejected, and neither answered nor logged: %s', async (_name, fields) => {
    const id = await send();
    for (const caller of [alice, { master: true }]) {
      expectError(await save(fields, caller), INVALID, /name/);
      expectError(await update(id, fields, caller), INVALID, /name/);
    }
    expectError(await save(fields, {}), NO_SESSION);
  });
});

describe('the sender', () => {
  test('nobody at all: 209', async () => {
    expectError(await save({}, {}), NO_SESSION);
    expectError(await update(await send(), { threadId: 'x' }, {}), 101); // the ACL, before any trigger
  });

  test('is the caller on create', async () => {
    expectError(await save({ senderId: bob.id }), FORBIDDEN, /Message\.senderId/);
    expectError(await save({ senderId: undefined }), FORBIDDEN);
    expectError(await save({ senderId: { __op: 'Delete' } }), FORBIDDEN);
    expectError(await save({ senderId: null }), FORBIDDEN);
  });

  test('may be named by the master key, and must be', async () => {
    expect((await save({ senderId: bob.id }, { master: true })).status).toBe(201);
    expectError(await save({ senderId: undefined }, { master: true }), FORBIDDEN);
    expectError(await save({ senderId: '' }, { master: true }), FORBIDDEN);
    // An ACL made of these would let the public or a role in.
    expectError(await save({ senderId: '*' }, { master: true }), FORBIDDEN);
    expectError(await save({ senderId: 'role:all' }, { master: true }), FORBIDDEN);
  });

  test('never changes, not even by the master key', async () => {
    const id = await send();
    for (const senderId of [bob.id, null, { __op: 'Delete' }]) {
      for (const caller of [alice, bob, { master: true }]) {
        expectError(await update(id, { senderId }, caller), FORBIDDEN, /cannot change/);
      }
    }
    expect((await update(id, { senderId: alice.id, threadId: 'resent' })).status).toBe(200);
    expect((await read(id)).senderId).toBe(alice.id);
  });

  test('alone, or the master key, may replace the ciphertext; others with write access may not', async () => {
    const id = await send();
    const before = (await read(id)).body;
    expectError(await update(id, { body: envelope('forged') }, bob), FORBIDDEN, /Only its sender/);
    expectError(await update(id, { body: envelope(), senderId: bob.id }, bob), FORBIDDEN);
    expect((await read(id)).body).toBe(before);
    expect((await update(id, { seen: true }, bob)).status).toBe(200);
    for (const caller of [alice, { master: true }]) {
      expect((await update(id, { body: envelope('edited') }, caller)).status).toBe(200);
    }
  });

  test('that `protectedFields` hides is asked of the database: the sender may go on, others learn nothing', async () => {
    const id = await send();
    const schema = (protectedFields: object) =>
      rest.call(
        'PUT',
        '/schemas/Message',
        {
          classLevelPermissions: {
            ...Object.fromEntries(
              ['find', 'get', 'count', 'create', 'update', 'delete', 'addField'].map((key) => [
                key,
                { '*': true },
              ]),
            ),
            protectedFields,
          },
        },
        { master: true },
      );
    await schema({ '*': ['senderId'] });
    try {
      const before = (await read(id)).body;
      expectError(await update(id, { body: envelope('forged') }, bob), FORBIDDEN);
      expectError(await update(id, { senderId: bob.id, body: envelope('forged') }, bob), FORBIDDEN);
      for (const guess of [alice.id, bob.id])
        expectError(await update(id, { senderId: guess }, bob), FORBIDDEN, /cannot change/);
      // Nor can it be erased.
      expectError(await update(id, { senderId: { __op: 'Delete' } }, bob), FORBIDDEN);
      expect(await read(id)).toMatchObject({ body: before, senderId: alice.id });
      expect((await update(id, { body: envelope('edited') }, alice)).status).toBe(200);
      expect((await update(id, { body: envelope('edited'), senderId: alice.id }, alice)).status).toBe(200);
      expectError(await update(id, { senderId: bob.id }, alice), FORBIDDEN, /cannot change/);
    } finally {
      await schema({ '*': [] });
    }
  });

  test('of an old row that has none cannot be claimed', async () => {
    const id = await send();
    await server.rows.update('Message', { objectId: id }, { senderId: { __op: 'Delete' } });
    expectError(await update(id, { senderId: bob.id }, bob), FORBIDDEN);
    expectError(await update(id, { body: envelope() }, bob), FORBIDDEN);
  });
});

describe('an ID', () => {
  test('that the client writes on update is refused, and stays out of the log', async () => {
    const id = await send();
    const other = await send();
    for (const written of [SECRET.repeat(20), other]) {
      for (const caller of [alice, { master: true }]) {
        expectError(await update(id, { id: written, threadId: 'x' }, caller), INVALID, /ID/);
      }
    }
    expect((await read(other)).threadId).toBe('a thread');
  });
});

describe('the ACL', () => {
  test.each([
    ['a text for a user', { [`${SECRET} is what I said`]: { read: true } }],
    ['a long text for a user', { [SECRET.repeat(20)]: { read: true } }],
    ['a text for a role', { [`role:${SECRET}, is what I said`]: { read: true } }],
    ['a NUL', { [`${SECRET}\0`]: { read: true } }],
    [
      'a thousand users and more',
      Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`u${i}`, { read: true }])),
    ],
  ])('may not hold %s', async (_name, more) => {
    const id = await send();
    for (const caller of [alice, { master: true }]) {
      expectError(await save({ ACL: { ...acl(alice.id), ...more } }, caller), FORBIDDEN, /ACL/);
      expectError(await update(id, { ACL: { ...acl(alice.id), ...more } }, caller), FORBIDDEN, /ACL/);
    }
  });

  test('may name hundreds of users, and roles', async () => {
    const users = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`user${i}`, { read: true }]));
    expect((await save({ ACL: { ...users, 'role:Care team': { read: true } } })).status).toBe(201);
  });

  const everybody = [{ '*': { read: true } }, { '*': { write: true } }, { '*': { read: true, write: true } }];

  test.each(everybody)('may not let the public in: %j', async (open) => {
    for (const caller of [alice, { master: true }]) {
      expectError(await save({ ACL: { ...acl(alice.id), ...open } }, caller), FORBIDDEN, /ACL/);
    }
    const id = await send();
    for (const caller of [alice, bob, { master: true }]) {
      expectError(await update(id, { ACL: { ...acl(alice.id, bob.id), ...open } }, caller), FORBIDDEN, /ACL/);
    }
    expect((await read(id)).ACL).toEqual(acl(alice.id, bob.id));
  });

  test('holds rights alone, by whatever way it is written', async () => {
    const id = await send();
    const before = (await read(id)).ACL;
    for (const caller of [alice, { master: true }]) {
      const written = { 'ACL.permissionsById': { [alice.id]: 'The door code is 4711' } };
      const answer = await update(id, written, caller);
      expectError(answer, INVALID, /name/);
      expect(JSON.stringify(answer.body)).not.toContain('4711');
    }
    expect((await read(id)).ACL).toEqual(before);
  });

  test('may not be taken away', async () => {
    const id = await send();
    for (const caller of [alice, bob, { master: true }]) {
      expectError(await update(id, { ACL: { __op: 'Delete' } }, caller), FORBIDDEN, /ACL/);
    }
    expect((await read(id)).ACL).toEqual(acl(alice.id, bob.id));
  });

  test.each([null, {}, { a: {} }, { a: { read: false } }, { '*': {} }])(
    'that gives nobody a right is no ACL, unless it comes with the master key: %j',
    async (ACL) => {
      const { body } = await save({ ACL });
      expect((await read(body.objectId)).ACL).toEqual(acl(alice.id));
      const id = await send();
      for (const caller of [alice, bob]) expectError(await update(id, { ACL }, caller), FORBIDDEN, /ACL/);
      expect((await read(id)).ACL).toEqual(acl(alice.id, bob.id));

      const byMaster = await save({ ACL }, { master: true });
      expect((await read(byMaster.body.objectId)).ACL).toEqual({});
      expect((await update(id, { ACL }, { master: true })).status).toBe(200);
      expect((await read(id)).ACL).toEqual({});
    },
  );

  test('may deny the public', async () => {
    for (const denied of [{ '*': {} }, { '*': { read: false, write: false } }]) {
      const { status, body } = await save({ ACL: { ...acl(alice.id, bob.id), ...denied } });
      expect(status).toBe(201);
      expect((await read(body.objectId)).ACL).toEqual(acl(alice.id, bob.id));
      expect((await update(body.objectId, { ACL: { ...acl(alice.id), ...denied } })).status).toBe(200);
    }
  });

  test('that is missing on create becomes the sender only', async () => {
    for (const [fields, caller] of [
      [{}, alice],
      [{ ACL: { __op: 'Delete' } }, alice],
      [{}, { master: true }],
    ] as const) {
      const { body } = await save(fields, caller);
      expect((await read(body.objectId)).ACL).toEqual(acl(alice.id));
    }
  });

  test('that is missing on create of a class without a sender becomes the caller only, or nobody', async () => {
    const fields = () => ({ body: envelope(), title: envelope() });
    const mine = await rest.call('POST', '/classes/Note', fields(), alice);
    expect((await read(mine.body.objectId, 'Note')).ACL).toEqual(acl(alice.id));
    for (const caller of [{ master: true }, {}]) {
      const nobodys = await rest.call('POST', '/classes/Note', fields(), caller);
      expect((await read(nobodys.body.objectId, 'Note')).ACL).toEqual({});
    }
  });

  test('that is left out of an update stays as it is, even an old public one', async () => {
    const id = await send();
    expect((await update(id, { threadId: 'x' })).status).toBe(200);
    expect((await read(id)).ACL).toEqual(acl(alice.id, bob.id));
    await server.rows.update('Message', { objectId: id }, { _rperm: ['*'], _wperm: ['*'] });
    expect((await update(id, { threadId: 'y' }, bob)).status).toBe(200);
  });

  test('of nonsense is refused', async () => {
    for (const ACL of [SECRET, 5, [SECRET], { '*': { read: 'true' } }, { [SECRET]: { read: 1 } }]) {
      const { status, body } = await save({ ACL });
      if (status < 400) expect((await read(body.objectId)).ACL).toEqual(acl(alice.id));
    }
  });
});

test('the first error in the order of docs/errors.md is given', async () => {
  const all = {
    body: 'x'.repeat(30_000),
    preview: 1,
    threadId: 'x'.repeat(300),
    senderId: bob.id,
    ACL: { '*': { read: true } },
  };
  expectError(await save(all, {}), NO_SESSION);
  expectError(await save(all), INVALID, /preview/);
  expectError(await save({ ...all, preview: undefined }), TOO_LARGE);
  expectError(await save({ ...all, preview: undefined, body: 'x' }), INVALID, /body/);
  const good = { ...all, preview: undefined, body: envelope() };
  expectError(await save(good), INVALID, /threadId/);
  expectError(await save({ ...good, threadId: 'x' }), FORBIDDEN, /senderId/);
  expectError(await save({ ...good, threadId: 'x', senderId: alice.id }), FORBIDDEN, /ACL/);
});

test('an old row with plain text lets its other fields be updated, takes no new plain text, and stays out of the log', async () => {
  const id = await send();
  const old = `${SECRET}-old`;
  await server.rows.update('Message', { objectId: id }, { body: old });
  expect((await update(id, { threadId: 'moved' })).status).toBe(200);
  expectError(await update(id, { body: `${SECRET} again` }), INVALID);
  expect((await update(id, { body: old, threadId: 'moved again' })).status).toBe(200); // sent again unchanged
  expect((await read(id)).body).toBe(old);
  expect((await update(id, { body: envelope() })).status).toBe(200);
});

// As Parse-Swift, ParsePy, Unity and .NET do.
describe('a client that sends the whole object', () => {
  const whole = async (id: string, caller: Caller) => {
    const { body } = await rest.call('GET', `/classes/Message/${id}`, undefined, caller);
    const { objectId: _, createdAt: __, updatedAt: ___, ...fields } = body;
    return fields;
  };
  const times = { sentAt: { __type: 'Date', iso: '2026-01-01T00:00:00.000Z' } };
  const thread = { __type: 'Pointer', className: 'Thread', objectId: 'aThread000' };

  test('may change one field and send the rest unchanged, if it may read the row', async () => {
    const id = await send({ ...times, thread, count: 5 });
    for (const caller of [alice, bob, { master: true }]) {
      const fields = await whole(id, caller);
      expect((await update(id, { ...fields, seen: true }, caller)).status).toBe(200);
      const requests = [
        { method: 'PUT', path: `/parse/classes/Message/${id}`, body: { ...fields, seen: false } },
      ];
      expect((await rest.call('POST', '/batch', { requests }, caller)).body[0].success).toBeTruthy();
    }
    const fields = await whole(id, bob);
    expectError(await update(id, { ...fields, body: envelope() }, bob), FORBIDDEN);
    expectError(await update(id, { ...fields, senderId: bob.id }, bob), FORBIDDEN);
    expectError(await update(id, { ...fields, ACL: { ...fields.ACL, '*': { read: true } } }, bob), FORBIDDEN);
  });

  test('may send an old row again, with its plain text, which is not logged', async () => {
    const id = await send();
    const old = { body: `${SECRET} of an old row`, preview: `${SECRET} preview` };
    const column = { className: 'Message', fields: { preview: { type: 'String' } } };
    await rest.call('PUT', '/schemas/Message', column, { master: true });
    await server.rows.update('Message', { objectId: id }, old);
    for (const caller of [alice, bob, { master: true }]) {
      const fields = await whole(id, caller);
      expect(fields).toMatchObject(old);
      expect((await update(id, { ...fields, seen: true }, caller)).status).toBe(200);
      expectError(await update(id, { ...fields, preview: `${SECRET} changed` }, caller), INVALID, /preview/);
    }
    // What the policy does not name may be removed, and then there is nothing to remove.
    const removal = { preview: { __op: 'Delete' } };
    expect((await update(id, removal)).status).toBe(200);
    expect((await update(id, { ...removal, threadId: 'moved' })).status).toBe(200);
    expect(await read(id)).toMatchObject({ threadId: 'moved' });
    expect((await read(id)).preview).toBeUndefined();
    const unknown = { [`${SECRET}Field`]: { __op: 'Delete' }, threadId: 'moved again' };
    expect((await update(id, unknown)).status).toBe(200);
    expect((await save(unknown)).status).toBe(201);
    for (const right of ['_rperm', '_wperm']) await update(id, { [right]: { __op: 'Delete' }, seen: true });
    expect((await read(id)).ACL).toEqual(acl(alice.id, bob.id));
    await update(id, { body: envelope() });
  });

  test('and may write, but not read, learns nothing by guesses', async () => {
    const id = await send({
      threadId: 'a secret thread',
      ACL: { ...acl(alice.id), [bob.id]: { write: true } },
    });
    const { body } = await read(id);
    for (const guess of [alice.id, bob.id]) {
      expectError(await update(id, { senderId: guess }, bob), FORBIDDEN, /cannot change/);
    }
    for (const guess of [body, envelope()]) expectError(await update(id, { body: guess }, bob), FORBIDDEN);
    expect((await update(id, { threadId: 'a secret thread' }, bob)).status).toBe(200);
  });

  test('may be a member of a role that may read', async () => {
    const role = {
      name: 'doctors',
      ACL: { '*': { read: true } },
      users: { __op: 'AddRelation', objects: [{ __type: 'Pointer', className: '_User', objectId: bob.id }] },
    };
    expect((await rest.call('POST', '/roles', role, { master: true })).status).toBe(201);
    const right = { read: true, write: true };
    const id = await send({ ACL: { [alice.id]: right, 'role:doctors': right } });
    const fields = await whole(id, bob);
    expect((await update(id, { ...fields, seen: true }, bob)).status).toBe(200);
    expectError(await update(id, { ...fields, body: envelope() }, bob), FORBIDDEN);
  });
});

describe('lists', () => {
  const users = (...ids: string[]) =>
    ids.map((objectId) => ({ __type: 'Pointer', className: '_User', objectId }));

  test('of Pointers and of identifiers hold these alone, at most a hundred', async () => {
    const create = (fields: object) => {
      const row = { body: envelope(), senderId: alice.id, ACL: acl(alice.id, bob.id), ...fields };
      return rest.call('POST', '/classes/Listed', row, alice);
    };
    const { body } = await create({ readBy: users(alice.id), labels: ['a-label'] });
    const path = `/classes/Listed/${body.objectId}`;
    const act = (__op: string, field: string, objects: unknown[]) =>
      rest.call('PUT', path, { [field]: { __op, objects } }, bob);
    expect((await act('AddUnique', 'readBy', users(bob.id))).status).toBe(200);
    expect((await act('Add', 'labels', ['another'])).status).toBe(200);
    expect(await read(body.objectId, 'Listed')).toMatchObject({
      readBy: expect.arrayContaining(users(alice.id, bob.id)), // PostgreSQL puts them in an order of its own
      labels: ['a-label', 'another'],
    });
    expect((await act('Remove', 'labels', ['a-label'])).status).toBe(200);
    const many = Array.from({ length: 101 }, (_, i) => `user${i}`);
    for (const [field, objects] of [
      ['labels', [`${SECRET} is a text`]],
      ['labels', many],
      ['readBy', users(...many)],
      ['readBy', [{ text: SECRET }]],
      ['readBy', [{ __type: 'Pointer', className: 'Thread', objectId: 'x' }]],
    ] as const) {
      expectError(await act('AddUnique', field, [...objects]), INVALID, /identifiers/);
      expectError(await create({ [field]: objects }), INVALID, /identifiers/);
    }
    expect((await read(body.objectId, 'Listed')).labels).toEqual(['another']);
  });

  test('need a type in the policy, which the error names', async () => {
    const id = await send();
    const dropped = { className: 'Message', fields: { seen: { __op: 'Delete' } } };
    await rest.call('PUT', '/schemas/Message', dropped, { master: true });
    expectError(await update(id, { seen: ['x'] }), INVALID, /Array<String>/);
  });
});

test('a query made inside Cloud Code works', async () => {
  expect((await rest.run('findMessages', {}, alice)).body.result.length).toBeGreaterThan(0);
});

// Last: it looks for what all tests above have left.
test('of all plain text refused above, nothing is in the database or in a log with default levels', async () => {
  const logged = await server.logged();
  expect(logged.includes('beforeSave failed for Message')).toBe(true); // the refusals were logged
  const stored = await server.stored();
  expect(stored.includes(alice.id)).toBe(true);
  expect(TRACES.filter((trace) => logged.includes(trace) || stored.includes(trace))).toEqual([]);
});
