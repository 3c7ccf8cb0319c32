import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { EThree } from '@virgilsecurity/e3kit-node';
import type { VirgilPublicKey } from 'virgil-crypto';
import type { ICard } from 'virgil-sdk';
import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { type Answer, type Caller, restClient } from '../../support/rest';
import { makeVirgilApplication } from '../../support/virgil-application';
import { serveVirgilCloud } from '../../support/virgil-cloud';
import { loadVirgilCrypto } from '../../support/virgil-crypto';
import ratchetMessages from '../envelope/ratchet-messages.json';

const FORBIDDEN = 119;
const INVALID = 142;
const TOO_LARGE = 116;
const UNAVAILABLE = 100;
const REMEMBERED_MS = 300_000;
const PAUSE_MS = 5_000;
const TEXT = 'The results are here: all clear.';

const message = { encrypted: ['body'], plain: ['senderId', 'seen'], sender: 'senderId', recipients: 'acl' };
const policy = {
  virgil: { tokenTtlSeconds: 1200 },
  classes: {
    Message: message,
    Strict: { ...message, recipientsOutage: 'refuse' },
    Reported: { ...message, mode: 'report' },
    Unchecked: { encrypted: ['body'], plain: ['senderId'], sender: 'senderId' },
    Note: { encrypted: ['body', 'title'], plain: [], recipients: 'acl' },
    Ward: { ...message, plain: ['senderId', 'wardId'], group: 'wardId' },
    Board: { encrypted: ['body'], plain: ['wardId', 'seen'], group: 'wardId' },
    Letter: {
      encrypted: ['body'],
      plain: { from: 'Pointer<_User>', to: 'Pointer<_User>', copyTo: 'String' },
      sender: 'from',
      recipients: ['to', 'copyTo'],
    },
  },
};

// The app can turn its clock, save what it is given with the master key, and ask the guard many times at once.
const cloudCode = `
  const now = performance.now.bind(performance);
  let ahead = 0;
  performance.now = () => now() + ahead;
  const { guard } = require('./e2ee');
  Parse.Cloud.define('turnClock', ({ params }) => { ahead += params.by; });
  const objectOf = ({ className, fields }) => {
    const { ACL, ...rest } = JSON.parse(fields);
    const object = new Parse.Object(className, rest);
    object.setACL(new Parse.ACL(ACL));
    return object;
  };
  Parse.Cloud.define('save', ({ params }) => objectOf(params).save(null, { useMasterKey: true }));
  Parse.Cloud.define('guard', async ({ params, user, log }) => {
    const caller = params.as ? Parse.User.createWithoutData(params.as) : user;
    const ask = () => guard({ object: objectOf(params), user: caller, master: false, log });
    const asked = await Promise.allSettled(Array.from({ length: params.times }, ask));
    return asked.flatMap(({ reason }) => reason?.message ?? []);
  });
`;

interface Person {
  id: string;
  sessionToken: string;
  e3kit: EThree;
}

const folder = mkdtempSync(join(tmpdir(), 'e2ee-recipients-'));
let server: BareParseServer;
let rest: ReturnType<typeof restClient>;
let virgil: Awaited<ReturnType<typeof serveVirgilCloud>>;
let alice: Person;
let bob: Person;
let carol: Person;
/** Has signed up with Parse, and has no card. */
let dave: { id: string; sessionToken: string };

/** Stands between Parse Server and Virgil Cloud: counts, and meddles. */
const proxy = createServer(async (request, response) => {
  const body = await text(request);
  searches.push(JSON.parse(body).identities);
  const { authorization = '' } = request.headers;
  tokens.push(authorization);
  if (meddle) return meddle(request, response, body);
  const answer = await search(authorization, body);
  response.writeHead(answer.status).end(await answer.text());
});
const searches: string[][] = [];
const tokens: string[] = [];
let meddle: ((request: IncomingMessage, response: ServerResponse, body: string) => void) | undefined;

const search = (authorization: string, body: string) =>
  fetch(`${virgil.url}/card/v5/actions/search`, {
    method: 'POST',
    headers: { Authorization: authorization, 'Content-Type': 'application/json' },
    body,
  });
const listen = (port = 0) => new Promise<void>((done) => proxy.listen(port, '127.0.0.1', done));
const stopListening = () =>
  new Promise<void>((done) => {
    proxy.close(() => done());
    proxy.closeAllConnections();
  });
const proxyPort = () => (proxy.address() as AddressInfo).port;

beforeAll(async () => {
  const app = makeVirgilApplication(await loadVirgilCrypto());
  virgil = await serveVirgilCloud(app);
  await listen();
  server = await startBareParseServer({
    policy,
    cloudCode,
    environment: { ...app.environment, VIRGIL_API_URL: `http://127.0.0.1:${proxyPort()}` },
  });
  rest = restClient(server);
  [alice, bob, carol] = await Promise.all([register(), register(), register()]);
  dave = await rest.signUp();
});
afterAll(async () => {
  await server?.stop();
  await stopListening();
  await virgil?.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  searches.length = 0;
});
afterEach(() => {
  meddle = undefined;
});

const graphQLAcl = (...readers: Person[]) => ({
  users: readers.map(({ id }) => ({ userId: id, read: true, write: true })),
});

let devices = 0;
function newDevice(sessionToken: string): Promise<EThree> {
  const storage = join(folder, `device-${++devices}`);
  const getToken = async () => (await rest.run('virgil-jwt', {}, { sessionToken })).body.result.token;
  return EThree.initialize(getToken, {
    apiUrl: virgil.url,
    storageName: join(storage, 'keys'),
    groupStorageName: join(storage, 'groups'),
  });
}

async function register(): Promise<Person> {
  const { id, sessionToken } = await rest.signUp();
  const e3kit = await newDevice(sessionToken);
  await e3kit.register();
  return { id, sessionToken, e3kit };
}

/** Gives a person a new key, on a new device. @returns the person with the old one */
async function rotate(person: Person): Promise<Person> {
  const old = { ...person };
  person.e3kit = await newDevice(person.sessionToken);
  await person.e3kit.rotatePrivateKey();
  return old;
}

const cardOf = (person: Person): Promise<ICard> => alice.e3kit.findUsers(person.id);

/** What the sender's E3Kit makes for these, and for the sender. */
async function encrypt(sender: Person, ...recipients: (Person | ICard)[]): Promise<string> {
  const cards = await Promise.all(
    (recipients.length > 0 ? recipients : [sender]).map(async (recipient) =>
      'e3kit' in recipient ? cardOf(recipient) : recipient,
    ),
  );
  const users = Object.fromEntries(cards.map((card) => [card.identity, card]));
  return (await sender.e3kit.authEncrypt(TEXT, users)) as string;
}

type Reader = { id: string } | string;
const acl = (...readers: Reader[]) =>
  Object.fromEntries(
    readers.map((reader) => [typeof reader === 'string' ? reader : reader.id, { read: true, write: true }]),
  );

const sent: string[] = [];
const saved: string[] = [];
/** A new row that Alice sends. */
async function send(
  body: string,
  readers: Reader[],
  className = 'Message',
  fields: object = {},
): Promise<Answer> {
  const row = { body, senderId: alice.id, ACL: acl(...readers), ...fields };
  sent.push(body);
  const answer = await rest.call('POST', `/classes/${className}`, row, alice);
  if (answer.status === 201) saved.push(body);
  return answer;
}

const update = (id: string, fields: object, caller: Caller = alice, className = 'Message'): Promise<Answer> =>
  rest.call('PUT', `/classes/${className}/${id}`, fields, caller);

function idOf({ body }: Answer): string {
  expect(body).toMatchObject({ objectId: expect.any(String), createdAt: expect.any(String) });
  return body.objectId;
}

const turnClock = (by: number) => rest.run('turnClock', { by });

const error = (code: number, reason: string) => ({ code, error: reason });
const notFor = (...readers: { id: string }[]) =>
  error(
    INVALID,
    `Message.body is not encrypted for ${readers.map(({ id }) => id).join(', ')}, who may read the row: encrypt it for every reader.`,
  );
const STRANGER = error(
  INVALID,
  'Message.body is encrypted for somebody who may not read the row: encrypt it for its readers alone.',
);
const noCard = ({ id }: { id: string }, className = 'Message') =>
  error(
    INVALID,
    `${className}.body is not for all: ${id}, who may read the row, has no card. That user must register.`,
  );
const formerKey = ({ id }: { id: string }) =>
  error(
    INVALID,
    `Message.body is encrypted for a former key of ${id}: find that user anew (forceReload), and encrypt it again.`,
  );
const NO_USERS = error(
  FORBIDDEN,
  'Message.body needs users in its ACL: nobody else, a role neither, could decrypt it.',
);

describe('a message', () => {
  test('for all who may read the row is saved, and read by them', async () => {
    const id = idOf(await send(await encrypt(alice, bob, carol), [alice, bob, carol]));
    for (const reader of [bob, carol]) {
      const { body } = (await rest.call('GET', `/classes/Message/${id}`, undefined, reader)).body;
      expect(await reader.e3kit.authDecrypt(body, await cardOf(alice))).toBe(TEXT);
    }
  });

  test('may be for its sender, who may not read the row', async () => {
    idOf(await send(await encrypt(alice, bob), [bob]));
  });

  test('must be for its sender, who may read the row', async () => {
    const crypto = await loadVirgilCrypto();
    const { privateKey } = crypto.generateKeys();
    const { publicKey } = await cardOf(bob);
    const body = crypto.signAndEncrypt(TEXT, privateKey, publicKey as never, true).toString('base64');
    expect((await send(body, [bob])).status).toBe(201);
    expect((await send(await encrypt(bob), [alice])).body).toEqual(notFor(alice));
  });

  test('that leaves a reader out is refused', async () => {
    expect((await send(await encrypt(alice), [alice, bob])).body).toEqual(notFor(bob));
    expect((await send(await encrypt(alice, carol), [alice, bob])).body).toEqual(notFor(bob));
    expect((await send(await encrypt(alice), [alice, bob, carol])).body).toEqual(notFor(bob, carol));
  });

  test('that somebody else could decrypt is refused', async () => {
    expect((await send(await encrypt(alice, bob, carol), [alice, bob])).body).toEqual(STRANGER);
    // The same number of each: Carol takes the sender's place.
    expect((await send(await encrypt(carol, bob), [bob])).body).toEqual(STRANGER);
  });

  test('without an ACL is its sender’s, and refused if it is for anybody else', async () => {
    expect((await send(await encrypt(alice, bob), [], 'Message', { ACL: undefined })).body).toEqual(STRANGER);
    idOf(await send(await encrypt(alice), [], 'Message', { ACL: undefined }));
  });

  test('to a reader without a card is refused, until that reader has one', async () => {
    const { id, sessionToken } = await rest.signUp();
    expect((await send(await encrypt(alice, bob), [alice, { id }])).body).toEqual(noCard({ id }));
    const e3kit = await newDevice(sessionToken);
    await e3kit.register();
    idOf(await send(await encrypt(alice, { id, sessionToken, e3kit }), [alice, { id }]));
  });

  test('that a role may read is refused: whoever joins it later could not. A role that may write is not', async () => {
    const body = await encrypt(alice, bob);
    expect((await send(body, [alice, bob, 'role:doctors'])).body).toEqual(NO_USERS);
    const writers = { ...acl(alice, bob), 'role:doctors': { write: true } };
    idOf(await send(body, [], 'Message', { ACL: writers }));
  });

  test('of more than 100 readers is refused, and nobody is asked', async () => {
    const readers = Array.from({ length: 101 }, (_, i) => `user${i}`);
    expect((await send(await encrypt(alice), readers)).body).toEqual(
      error(TOO_LARGE, 'Message.body may have at most 100 readers.'),
    );
    expect(searches.flat()).not.toContain('no identity');
  });

  test('whose recipients are too few for one other reader, or too many, is refused, and nobody is asked', async () => {
    const strangers = await Promise.all([register(), register()]);
    const before = searches.length;
    expect((await send(await encrypt(alice), [alice, strangers[0]])).body).toEqual(notFor(strangers[0]));
    expect((await send(await encrypt(alice, ...strangers), [strangers[0]])).body).toEqual(STRANGER);
    expect(searches.length).toBe(before);
  });

  test('that names no recipients is refused', async () => {
    const kinds = [
      [ratchetMessages[0]?.base64 as string, 'ratchet message'],
      [(await (await ward(bob)).group.encrypt(TEXT)) as string, 'group message'],
    ] as const;
    for (const [body, kind] of kinds) {
      expect((await send(body, [alice, bob])).body).toEqual(
        error(
          INVALID,
          `Message.body is a ${kind}, which names no recipients: encrypt it with authEncrypt().`,
        ),
      );
    }
  });

  test('is checked in a batch, by GraphQL, with the master key and from Cloud Code', async () => {
    const fields = { body: await encrypt(alice), senderId: alice.id, ACL: acl(alice, bob) };
    const requests = [{ method: 'POST', path: '/parse/classes/Message', body: fields }];
    expect((await rest.call('POST', '/batch', { requests }, alice)).body).toEqual([{ error: notFor(bob) }]);
    expect((await rest.call('POST', '/classes/Message', fields, { master: true })).body).toEqual(notFor(bob));
    expect(
      (await rest.run('save', { className: 'Message', fields: JSON.stringify(fields) }, alice)).body,
    ).toEqual(notFor(bob));
    const query = `mutation ($fields: CreateMessageFieldsInput!) { createMessage(input: { fields: $fields }) { message { objectId } } }`;
    const create = async (body: string) => {
      const response = await fetch(server.graphQLUrl, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'X-Parse-Application-Id': server.appId,
          'X-Parse-Session-Token': alice.sessionToken,
        },
        body: JSON.stringify({
          query,
          variables: { fields: { ...fields, body, ACL: graphQLAcl(alice, bob) } },
        }),
      });
      return response.json();
    };
    expect(await create(fields.body)).toMatchObject({
      errors: [{ message: notFor(bob).error, extensions: { code: INVALID } }],
    });
    expect(await create(await encrypt(alice, bob))).toMatchObject({
      data: { createMessage: { message: { objectId: expect.any(String) } } },
    });
  });

  test('of a class without a sender is the caller’s, and the master key’s is nobody’s', async () => {
    const both = await encrypt(alice, bob);
    const fields = { body: both, title: both, ACL: acl(bob) };
    idOf(await rest.call('POST', '/classes/Note', fields, alice));
    const refused = { code: INVALID, error: expect.stringContaining('for somebody who may not read') };
    expect((await rest.call('POST', '/classes/Note', fields, { master: true })).body).toEqual(refused);
    expect((await rest.call('POST', '/classes/Note', fields, carol)).body).toEqual(refused);
    const oneIsWrong = { ...fields, title: await encrypt(alice, carol) };
    expect((await rest.call('POST', '/classes/Note', oneIsWrong, alice)).body).toEqual({
      code: INVALID,
      error: expect.stringMatching(/^Note\.title is not encrypted/),
    });
  });

  test('of a caller whose ID is no identity is for its readers alone, and Virgil Cloud is not asked for such an ID', async () => {
    const body = await encrypt(alice, bob, carol);
    const fields = JSON.stringify({ body, title: body, ACL: acl(alice, bob) });
    const asked = await rest.run('guard', { className: 'Note', fields, times: 1, as: 'no identity' }, alice);
    expect(asked.body.result).toEqual([expect.stringMatching(/^Note\.body is encrypted for somebody/)]);
    expect(searches).toEqual([]);
  });

  test('with another fault is told that first', async () => {
    const body = await encrypt(alice);
    const faults: [object, string][] = [
      [{ preview: 'x' }, 'Message.preview is not in the policy'],
      [{ seen: ['x'] }, 'Message.seen may hold'],
      [{ senderId: bob.id }, 'Message.senderId must be'],
      [{ ACL: { ...acl(alice, bob), '*': { read: true } } }, 'Message needs an ACL'],
    ];
    for (const [fields, reason] of faults) {
      const { error: said } = (await send(body, [alice, bob], 'Message', fields)).body;
      expect(said).toMatch(reason);
    }
    expect(searches).toEqual([]);
  });
});

describe('a new key', () => {
  test('is good at once, and the former one at fault at once where nobody is remembered', async () => {
    const erin = await register();
    const former = await cardOf(erin);
    await rotate(erin);
    expect((await send(await encrypt(alice, former), [alice, erin])).body).toEqual(formerKey(erin));
    idOf(await send(await encrypt(alice, erin), [alice, erin]));
  });

  test('is good at once where the former one is remembered, which is at fault after 300 s', async () => {
    const erin = await register();
    const former = await cardOf(erin);
    idOf(await send(await encrypt(alice, former), [alice, erin]));
    await rotate(erin);
    idOf(await send(await encrypt(alice, former), [alice, erin]));
    await turnClock(REMEMBERED_MS);
    expect((await send(await encrypt(alice, former), [alice, erin])).body).toEqual(formerKey(erin));
    const frank = await register();
    idOf(await send(await encrypt(alice, frank), [alice, frank]));
    await rotate(frank);
    idOf(await send(await encrypt(alice, frank), [alice, frank]));
  });

  test('of the sender, of which this device knows nothing: restore it', async () => {
    const erin = await register();
    const old = await rotate(erin);
    const row = { body: await encrypt(old, bob), senderId: erin.id, ACL: acl(erin, bob) };
    const refused = error(
      INVALID,
      `Message.body is encrypted for a former key of ${erin.id}: restore the private key on this device, and encrypt it again.`,
    );
    expect((await rest.call('POST', '/classes/Message', row, erin)).body).toEqual(refused);
    expect((await rest.call('POST', '/classes/Message', { ...row, ACL: acl(bob) }, erin)).body).toEqual(
      refused,
    );
  });
});

describe('an update', () => {
  let id: string;
  beforeEach(async () => {
    id = idOf(await send(await encrypt(alice, bob), [alice, bob]));
    searches.length = 0;
  });

  test('of ciphertext is for those whom the stored ACL, or the one that comes with it, lets read', async () => {
    const forAll = await encrypt(alice, bob, carol);
    expect((await update(id, { body: forAll })).body).toEqual(STRANGER);
    expect((await update(id, { body: await encrypt(alice) })).body).toEqual(notFor(bob));
    expect((await update(id, { body: forAll, ACL: acl(alice, bob, carol) })).status).toBe(200);
    expect((await update(id, { body: forAll })).status).toBe(200);
  });

  test('takes readers away freely', async () => {
    await turnClock(REMEMBERED_MS + 1);
    expect((await update(id, { ACL: acl(alice) }, bob)).status).toBe(200);
    expect(searches).toEqual([]);
  });

  test('of the whole row, unchanged but for its ACL, is judged as a change of the ACL, also after a rotation', async () => {
    const erin = await register();
    const frank = await register();
    const body = await encrypt(alice, erin, frank);
    const row = { body, senderId: alice.id, ACL: acl(alice, erin, frank) };
    const { objectId } = (await rest.call('POST', '/classes/Message', row, alice)).body;
    expect((await update(objectId, { ...row, ACL: acl(alice, erin) })).status).toBe(200);
    await rotate(erin);
    await turnClock(REMEMBERED_MS + 1);
    for (const caller of [alice, erin]) {
      const whole = { ...row, ACL: acl(alice, erin), seen: true };
      expect((await update(objectId, whole, caller)).status).toBe(200);
    }
    expect((await update(objectId, { ...row, ACL: acl(alice, erin, frank) })).status).toBe(200);
    expect((await update(objectId, { ...row, ACL: acl(alice, erin, bob) })).body).toEqual(notFor(bob));
    // Encrypted anew, for the former key, it is a change of the ciphertext.
    const again = { ...row, body: await encrypt(alice, bob), ACL: acl(alice, erin) };
    expect((await update(objectId, again)).body.code).toBe(INVALID);
  });

  test('adds no reader who could not decrypt the message', async () => {
    expect((await update(id, { ACL: acl(alice, bob, carol) }, bob)).body).toEqual(notFor(carol));
    expect((await update(id, { ACL: acl(alice, bob, dave) })).body).toEqual(noCard(dave));
    expect((await update(id, { ACL: acl(alice, bob, 'role:doctors') })).body).toEqual(NO_USERS);
    expect((await update(id, { ACL: acl(alice, carol) })).body).toEqual(notFor(carol));
  });

  test('adds readers by any key that they have had', async () => {
    const erin = await register();
    const sent = idOf(await send(await encrypt(alice, erin), [alice, erin]));
    expect((await update(sent, { ACL: acl(alice) })).status).toBe(200);
    await rotate(erin);
    await turnClock(REMEMBERED_MS);
    expect((await update(sent, { ACL: acl(alice, erin) })).status).toBe(200);
  });

  test('of anything else asks nobody', async () => {
    await turnClock(REMEMBERED_MS + 1);
    expect((await update(id, { seen: true }, bob)).status).toBe(200);
    expect((await update(id, { ACL: acl(alice, bob), seen: false })).status).toBe(200);
    expect(searches).toEqual([]);
  });

  test('of a row from before: its role may stay, plain text is left alone, and no public row gets ciphertext', async () => {
    await server.rows.insert('Message', [
      { objectId: 'oldText', senderId: alice.id, body: 'plain text', _rperm: [alice.id], _wperm: [alice.id] },
      { objectId: 'oldPublic', senderId: alice.id, body: await encrypt(alice, bob) },
    ]);
    expect((await update('oldText', { ACL: acl(alice, bob) })).status).toBe(200);
    expect((await update('oldPublic', { body: await encrypt(alice, bob) })).body).toEqual(NO_USERS);
    expect((await update('oldPublic', { seen: true })).status).toBe(200);
    expect((await update('oldPublic', { ACL: acl(alice, dave) })).status).toBe(200); // could all read it
  });
});

type Group = Awaited<ReturnType<EThree['createGroup']>>;
let wards = 0;
/** Alice's group with others. */
async function ward(...others: Person[]): Promise<{ id: string; group: Group }> {
  const id = `the-ward-${++wards}`;
  const users = await alice.e3kit.findUsers(others.map(({ id: identity }) => identity));
  return { id, group: await alice.e3kit.createGroup(id, users) };
}

describe('a group message', () => {
  test.each(['Ward', 'Board'])('in %s belongs to the group that the row names', async (className) => {
    const { id: wardId, group } = await ward(bob, carol);
    const { senderId, ...row } = { body: await group.encrypt(TEXT), wardId, senderId: alice.id };
    const sender = className === 'Ward' ? { senderId } : {};
    const save = (fields: object) =>
      rest.call(
        'POST',
        `/classes/${className}`,
        { ...row, ...sender, ACL: acl(alice, 'role:ward'), ...fields },
        alice,
      );
    const another = error(INVALID, `${className}.body is of another group than wardId names.`);
    const id = idOf(await save({}));
    expect((await save({ wardId: 'the-ward-0' })).body).toEqual(another);
    expect((await save({ wardId: undefined })).body).toEqual(another);
    expect((await update(id, { wardId: 'the-ward-0' }, alice, className)).body).toEqual(another);
    expect((await update(id, { wardId: { __op: 'Delete' } }, alice, className)).body).toEqual(another);
    expect((await update(id, { ACL: acl(alice, 'role:ward', dave) }, alice, className)).status).toBe(200);
    const elsewhere = await (await ward(bob)).group.encrypt(TEXT);
    expect((await update(id, { body: elsewhere }, alice, className)).body).toEqual(another);
    expect(searches).toEqual([]);
  });

  test('may stand beside messages, which no role may read', async () => {
    const body = await encrypt(alice, bob);
    idOf(await send(body, [alice, bob], 'Ward', { wardId: 'the-ward-0' }));
    expect((await send(body, [alice, bob, 'role:ward'], 'Ward')).body.code).toBe(FORBIDDEN);
    expect((await send(await encrypt(alice), [alice, bob], 'Ward')).body.code).toBe(INVALID);
  });

  test('without `recipients`, messages are for whom they may be', async () => {
    const row = { body: await encrypt(alice), ACL: acl(alice, bob, 'role:ward') };
    const id = idOf(await rest.call('POST', '/classes/Board', row, alice));
    expect((await update(id, { wardId: 'the-ward-0', ACL: acl(alice, dave) }, alice, 'Board')).status).toBe(
      200,
    );
    idOf(await rest.call('POST', '/classes/Board', { body: ratchetMessages[0]?.base64 }, alice));
  });
});

describe('readers whom fields name', () => {
  const pointer = ({ id }: { id: string }) => ({ __type: 'Pointer', className: '_User', objectId: id });
  const write = (body: string, fields: object) =>
    rest.call(
      'POST',
      '/classes/Letter',
      { body, from: pointer(alice), ACL: acl('role:post'), ...fields },
      alice,
    );

  test('are its recipients, with the sender, whatever the ACL', async () => {
    const toBoth = await encrypt(alice, bob, carol);
    idOf(await write(toBoth, { to: pointer(bob), copyTo: carol.id }));
    idOf(await write(await encrypt(alice, bob), { to: pointer(bob), copyTo: bob.id }));
    idOf(await write(await encrypt(alice), {}));
    expect((await write(toBoth, { to: pointer(bob) })).body).toMatchObject({ code: INVALID });
    expect((await write(await encrypt(alice, bob), { copyTo: carol.id })).body).toMatchObject({
      error: expect.stringMatching(`^Letter.body is not encrypted for ${carol.id}`),
    });
  });

  test('that change are readers who are added', async () => {
    const id = idOf(await write(await encrypt(alice, bob), { to: pointer(bob) }));
    const change = (fields: object) => update(id, fields, { master: true }, 'Letter');
    expect((await change({ to: pointer(carol) })).body).toMatchObject({ code: INVALID });
    expect((await change({ copyTo: carol.id })).body).toMatchObject({ code: INVALID });
    expect((await change({ copyTo: bob.id })).status).toBe(200);
    expect((await change({ to: { __op: 'Delete' }, copyTo: null })).status).toBe(200);
  });

  test('that are no identities are refused, and not repeated', async () => {
    expect((await write(await encrypt(alice), { copyTo: 'my dear Bob' })).body).toEqual(
      error(
        FORBIDDEN,
        'Letter.body needs users in its to,copyTo: nobody else, a role neither, could decrypt it.',
      ),
    );
  });
});

test('a class that only reports says what it would refuse, and names nobody', async () => {
  const lines = async () =>
    (await server.logged()).split('\n').filter((line) => line.includes('e2ee report: Reported:'));
  idOf(await send(await encrypt(alice, bob), [alice, bob], 'Reported'));
  expect(await lines()).toEqual([]);
  idOf(await send(await encrypt(alice), [alice, bob], 'Reported'));
  idOf(await send(await encrypt(alice, bob), [alice, dave], 'Reported'));
  const said = (await lines()).join('\n');
  expect(said).toContain('142 Reported.body is not encrypted for a user, who may read the row');
  expect(said).toContain('142 Reported.body is not for all: a user, who may read the row, has no card');
  for (const { id } of [alice, bob, dave]) {
    for (const line of said.split('\n')) expect(line.split('e2ee report')[1]).not.toContain(id);
  }
});

describe('Virgil Cloud', () => {
  beforeEach(() => turnClock(PAUSE_MS));

  // A reader without a card is never remembered, so that somebody has to be asked.
  const ask = async (className: string) => send(await encrypt(alice, bob), [alice, dave], className);
  const html = '<!doctype html><p>Bad gateway</p>';
  const answer = (status: number, body: string) => (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status).end(body);
  };
  const failures: [name: string, meddling: NonNullable<typeof meddle>, logged: string][] = [
    ['hangs', () => {}, 'was not answered within 3 s.'],
    ['hangs up', (request) => request.socket.destroy(), 'failed (ECONNRESET).'],
    ['answers 500', answer(500, '{}'), 'was answered 500.'],
    ['answers HTML', answer(200, html), 'was answered with no list of cards.'],
    ['answers another JSON', answer(200, '{"cards":[]}'), 'was answered with no list of cards.'],
    ['refuses the token', answer(401, '{"code":20304}'), 'was answered 401.'],
    ['has had enough', answer(429, '{}'), 'was answered 429.'],
    [
      'answers without an end',
      answer(200, `[${'1,'.repeat(2.2e6)}1]`),
      'was answered with more than 4194304 bytes.',
    ],
  ];
  const unavailable = error(
    UNAVAILABLE,
    'Strict.body could not be checked: Virgil Cloud does not answer. Save it again later.',
  );

  test.each(failures)(
    '%s: saved with a line in the log, or refused, as the policy says',
    async (_name, meddling, logged) => {
      meddle = meddling;
      const before = (await server.logged()).length;
      idOf(await ask('Message'));
      expect((await ask('Strict')).body).toEqual(unavailable);
      const log = (await server.logged()).slice(before);
      expect(log).toContain(`e2ee recipients: Message: not checked: POST /card/v5/actions/search ${logged}`);
      expect(log).toContain('e2ee recipients: Strict: not checked: ');
    },
  );

  test('is down', async () => {
    const port = proxyPort();
    await stopListening();
    idOf(await ask('Message'));
    expect((await ask('Strict')).body).toEqual(unavailable);
    await listen(port);
    await turnClock(PAUSE_MS);
    expect((await ask('Strict')).body).toMatchObject({ code: INVALID });
  });

  test.each([500, 401, 403, 429])('is not asked for 5 s after it has answered %i', async (status) => {
    meddle = answer(status, '');
    await ask('Message');
    meddle = undefined;
    idOf(await ask('Message'));
    expect(searches).toEqual([[dave.id]]);
    await turnClock(PAUSE_MS);
    expect((await ask('Message')).body).toEqual(noCard(dave));
  });

  const cards = (count: number) => JSON.stringify(Array(count).fill({ content_snapshot: 'e30=' }));
  test.each([
    ['400', answer(400, '{}')],
    ['413', answer(413, '{}')],
    ['more than 4 MiB', answer(200, `[${'1,'.repeat(2.2e6)}1]`)],
    ['millions of cards', answer(200, `[${'null,'.repeat(8e5)}null]`)],
    ['cards that cannot be read', answer(200, cards(101))],
  ])(
    'answers %s where one identity is searched for: others are checked all the same',
    async (_name, fault) => {
      const erin = await register();
      meddle = async (request, response, body) => {
        if (body.includes(erin.id)) return fault(request, response);
        response.end(await (await search(request.headers.authorization as string, body)).text());
      };
      const toErin = send(await encrypt(alice, erin), [alice, erin], 'Strict');
      const toFrank = (async () => {
        const frank = await register();
        idOf(await send(await encrypt(alice, frank), [alice, frank], 'Strict'));
        return send(await encrypt(alice, bob), [alice, frank], 'Strict');
      })();
      expect((await toErin).body).toEqual(unavailable);
      expect((await toFrank).body.code).toBe(INVALID);
      // Together, too; and Virgil Cloud is not left alone.
      const many = await Promise.all(Array.from({ length: 5 }, register));
      expect(
        (await send(await encrypt(alice, ...many, erin), [alice, ...many, erin], 'Strict')).body,
      ).toEqual(unavailable);
      idOf(await send(await encrypt(alice, ...many), [alice, ...many], 'Strict'));
    },
  );

  test('answers with lengths in the place of strings: nobody has a card, and no memory is taken', async () => {
    const erin = await register();
    const body = await encrypt(alice, erin);
    const snapshot = (content: object) => Buffer.from(JSON.stringify(content)).toString('base64');
    for (const content of [
      { length: 2e9 },
      snapshot({ identity: erin.id, public_key: { length: 2e9 } }),
      snapshot({ identity: { length: 2e9 }, public_key: '' }),
    ]) {
      meddle = answer(200, JSON.stringify([{ content_snapshot: content }]));
      expect((await send(body, [alice, erin], 'Strict')).body).toEqual(noCard(erin, 'Strict'));
    }
  });

  test('is slow, and somebody names made-up readers again and again: others wait for their own readers alone', async () => {
    const held: (() => void)[] = [];
    meddle = async ({ headers }, response, body) => {
      await new Promise<void>((go) => held.push(go));
      response.end(await (await search(headers.authorization as string, body)).text());
    };
    const body = await encrypt(alice, ...(await Promise.all(Array.from({ length: 9 }, register))));
    const attack = Array.from({ length: 20 }, (_, n) => {
      const readers = Array.from({ length: 9 }, (_reader, i) => `nobody${n}x${i}`);
      const row = { body, senderId: alice.id, ACL: acl(alice, ...readers) };
      return rest.call('POST', '/classes/Strict', row, alice);
    });
    while (held.length === 0) await new Promise((done) => setTimeout(done, 10));
    const erin = await register();
    const message = { body: await encrypt(carol, erin), senderId: carol.id, ACL: acl(carol, erin) };
    let isAnswered = false;
    const honest = rest.call('POST', '/classes/Strict', message, carol).finally(() => {
      isAnswered = true;
    });
    await new Promise((done) => setTimeout(done, 100)); // it is queued
    const before = searches.length;
    while (!isAnswered) {
      held.shift()?.();
      await new Promise((done) => setTimeout(done, 10));
    }
    idOf(await honest);
    // Of the attack there are twenty more.
    expect(searches.length - before).toBeLessThanOrEqual(4);
    meddle = undefined;
    for (const go of held) go();
    for (const { body: rejected } of await Promise.all(attack)) expect(rejected.code).not.toBe(undefined);
  });

  test('is away: what is remembered counts', async () => {
    idOf(await send(await encrypt(alice, bob), [alice, bob], 'Strict'));
    await turnClock(REMEMBERED_MS + 1);
    meddle = answer(500, '');
    idOf(await send(await encrypt(alice, bob), [alice, bob], 'Strict'));
    expect((await send(await encrypt(alice), [alice, bob], 'Strict')).body.code).toBe(INVALID);
  });

  test.each([
    ['null', 'null'],
    ['cards that are none', '[1, null, {}, {"content_snapshot": "e30="}, {"content_snapshot": 5}]'],
  ])('answers %s: nobody has a card', async (_name, body) => {
    const erin = await register();
    meddle = answer(200, body);
    const row = { body: await encrypt(erin, bob), senderId: erin.id, ACL: acl(erin, bob) };
    expect((await rest.call('POST', '/classes/Message', row, erin)).body).toEqual(noCard(bob));
  });

  test('says by a card without a key that the card before is revoked', async () => {
    const erin = await register();
    const { id } = await cardOf(erin);
    meddle = async ({ headers }, response, body) => {
      const cards = (await (await search(headers.authorization as string, body)).json()) as object[];
      const content = JSON.stringify({ identity: erin.id, public_key: '', previous_card_id: id });
      const revoked = { content_snapshot: Buffer.from(content).toString('base64'), signatures: [] };
      response.end(JSON.stringify([...cards, revoked]));
    };
    const body = await encrypt(alice, erin);
    expect((await send(body, [alice, erin])).body).toEqual(formerKey(erin));
    expect((await send(await encrypt(alice, bob), [alice, erin])).body).toEqual(noCard(erin));
  });

  test('gives out a card with a bad signature: no harm is done', async () => {
    const erin = await register();
    meddle = async ({ headers }, response, body) => {
      const cards = (await (await search(headers.authorization as string, body)).json()) as object[];
      response.end(JSON.stringify(cards.map((card) => ({ ...card, signatures: [{ signature: 'AAAA' }] }))));
    };
    idOf(await send(await encrypt(alice, erin), [alice, erin]));
    expect((await send(await encrypt(alice, bob), [alice, erin])).body).toEqual(notFor(erin));
  });
});

test('a thousand cold saves to the same ten readers are at most ten searches', async () => {
  const readers = await Promise.all(Array.from({ length: 10 }, register));
  const body = await encrypt(alice, ...readers);
  const fields = JSON.stringify({ body, senderId: alice.id, ACL: acl(alice, ...readers) });
  const asked = await rest.run('guard', { className: 'Strict', fields, times: 1000 }, alice);
  expect(asked.body).toEqual({ result: [] });
  expect(searches.length).toBeGreaterThan(0);
  expect(searches.length).toBeLessThanOrEqual(10);
});

test('a class without the options asks nobody', async () => {
  idOf(await send(await encrypt(alice), [alice, bob, 'role:doctors'], 'Unchecked'));
  idOf(await send(ratchetMessages[0]?.base64 as string, [alice, dave], 'Unchecked'));
  expect(searches).toEqual([]);
});

test('without credentials the policy’s setting for an outage decides, and the log says what is missing', async () => {
  const bare = await startBareParseServer({
    policy,
    environment: { VIRGIL_APP_ID: null, VIRGIL_APP_KEY_ID: null, VIRGIL_APP_KEY: null },
  });
  const client = restClient(bare);
  const user = await client.signUp();
  const row = { body: await encrypt(alice), senderId: user.id, ACL: acl(user) };
  const save = (className: string) => client.call('POST', `/classes/${className}`, row, user);
  expect([(await save('Message')).status, (await save('Strict')).body.code]).toEqual([201, UNAVAILABLE]);
  const log = await bare.logged();
  await bare.stop();
  expect(log).toContain('The check of recipients is not configured: VIRGIL_APP_ID is not set.');
  expect(log).toMatch(/e2ee recipients: Message: not checked: .*not configured/);
});

// The last test: it reads what all the others have left.
test('no log line holds a token, a key ID or a payload, and no row what was refused', async () => {
  const refused = sent.filter((payload) => !saved.includes(payload));
  expect(refused.length).toBeGreaterThan(20);
  const stored = await server.stored();
  expect(stored).toContain(saved[0]);
  for (const payload of refused) expect(stored).not.toContain(payload);

  const log = await server.logged();
  expect(log).toContain('not encrypted for');
  expect(tokens.length).toBeGreaterThan(5);
  expect(sent.length).toBeGreaterThan(50);
  const keys = await Promise.all(
    [alice, bob, carol].map(
      async (person) => ((await cardOf(person)).publicKey as VirgilPublicKey).identifier,
    ),
  );
  const secrets = [
    ...tokens.map((token) => token.replace('Virgil ', '')),
    ...sent.map((payload) => payload.slice(-40)),
    ...keys.flatMap((keyId) => [keyId.toString('hex'), keyId.toString('base64')]),
  ];
  for (const secret of secrets) expect(log).not.toContain(secret);
  expect(log).not.toContain(TEXT);
  expect(log).not.toContain('my dear Bob');
});
