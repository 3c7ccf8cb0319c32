import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { envelopeMaker } from '../../support/envelopes';
import { type Caller, restClient } from '../../support/rest';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const SECRET = 'Xylophone';
const FORBIDDEN = 119;
const INVALID = 142;

const chatMessage = {
  encrypted: ['text'],
  plain: {
    from: 'Pointer<_User>',
    to: 'Pointer<_User>',
    sentAt: 'Date',
    room: 'String',
    order: 'Number',
    seen: 'Boolean',
  },
  sender: 'from',
};
const policyOf = (mode: string) => ({
  virgil: { tokenTtlSeconds: 1200 },
  classes: { ChatMessage: { ...chatMessage, mode }, Nobodys: { mode, encrypted: ['text'], plain: ['tag'] } },
});

// The app as it was before it met us: its function, and its trigger, which reads the text.
const appCode = `
  Parse.Cloud.define('hello', () => 'hello from the app');
  Parse.Cloud.beforeSave('ChatMessage', ({ object }) => {
    if (object.get('room') === 'closed') throw 'closed';
    object.set('order', (object.get('text') || '').length);
  }, { fields: { room: { options: (room) => room !== 'invalid' } } });
`;

let envelope: ReturnType<typeof envelopeMaker>;
beforeAll(async () => {
  envelope = envelopeMaker(await loadVirgilCrypto());
});

type User = Awaited<ReturnType<ReturnType<typeof restClient>['signUp']>>;

/** The app on a server, with the bundle required above its code or below. */
async function startApp(mode: string, cloudCode: string) {
  const server = await startBareParseServer({ policy: policyOf(mode), cloudCode });
  const rest = restClient(server);
  const [alice, bob] = [await rest.signUp(), await rest.signUp()];
  const pointer = ({ id }: { id: string }) => ({ __type: 'Pointer', className: '_User', objectId: id });
  const acl = { [alice.id]: { read: true, write: true }, [bob.id]: { read: true } };
  const sentAt = { __type: 'Date', iso: '2026-01-01T00:00:00.000Z' };
  const message = (text: unknown) => ({ text, from: pointer(alice), to: pointer(bob), sentAt, ACL: acl });
  const save = (fields: object, caller: Caller = alice) =>
    rest.call('POST', '/classes/ChatMessage', { ...message(envelope()), ...fields }, caller);
  const update = (id: string, fields: object, caller: Caller = alice) =>
    rest.call('PUT', `/classes/ChatMessage/${id}`, fields, caller);
  const read = async (id: string, caller: Caller = { master: true }) =>
    (await rest.call('GET', `/classes/ChatMessage/${id}`, undefined, caller)).body;
  const reports = async () =>
    [...(await server.logged()).matchAll(/"message":"(e2ee report: [^"]+)"/g)].map(([, line]) => line);
  return { server, rest, alice, bob, pointer, acl, message, save, update, read, reports };
}
type App = Awaited<ReturnType<typeof startApp>>;

const requiredFirst = `require('./e2ee');\n${appCode}`;
const requiredLast = `${appCode}\nrequire('./e2ee');`;

describe.each([
  ['above', requiredFirst],
  ['below', requiredLast],
])("with the bundle required %s the app's code", (where, cloudCode) => {
  let app: App;
  let server: BareParseServer;
  beforeAll(async () => {
    app = await startApp('enforce', cloudCode);
    ({ server } = app);
  });
  afterAll(() => server?.stop());

  test('its function, trigger and validator run', async () => {
    const { rest, alice, save, read } = app;
    expect((await rest.run('hello', {}, alice)).body.result).toBe('hello from the app');
    const text = envelope();
    expect((await read((await save({ text })).body.objectId)).order).toBe(text.length);
    expect((await save({ room: 'closed' })).body).toEqual({ code: 141, error: 'closed' });
    expect((await save({ room: 'invalid' })).body.code).toBe(INVALID);
  });

  test('plain text is refused, and what the reader finds is the envelope', async () => {
    const { save, read, bob } = app;
    expect((await save({ text: `${SECRET}, said plainly` })).body.code).toBe(INVALID);
    const text = envelope();
    expect((await read((await save({ text })).body.objectId, bob)).text).toBe(text);
  });

  test('the load says what is wrong, and nothing where nothing is', async () => {
    const logged = await server.logged();
    if (where === 'above') expect(logged.includes('Duplicate cloud functions')).toBe(false);
    expect(logged.includes("is defined above require('./e2ee')")).toBe(where === 'below');
    expect(logged.includes(SECRET)).toBe(false);
  });
});

describe('a Pointer as the sender, and types', () => {
  let app: App;
  let sent: string;
  let eve: User;
  beforeAll(async () => {
    app = await startApp('enforce', "require('./e2ee');");
    sent = (await app.save({})).body.objectId;
    eve = await app.rest.signUp();
  });
  afterAll(() => app?.server.stop());

  test('the sender is the caller on create, whose class and ID are compared', async () => {
    const { save, pointer, alice, bob } = app;
    for (const from of [pointer(bob), null, { __op: 'Delete' }]) {
      expect((await save({ from })).body).toEqual({
        code: FORBIDDEN,
        error: 'ChatMessage.from must be a Pointer to the user who saves the object.',
      });
    }
    // Parse Server itself refuses another class or a string where the column has this type.
    for (const from of [{ ...pointer(alice), className: 'ChatMessage' }, alice.id]) {
      expect([INVALID, 111]).toContain((await save({ from })).body.code);
    }
    expect((await save({ from: pointer(bob) }, { master: true })).status).toBe(201);
    expect((await save({ from: pointer({ id: '*' }) }, { master: true })).body.code).toBe(FORBIDDEN);
    expect((await save({}, {})).body.code).toBe(209);
  });

  test('it never changes, and alone may replace the ciphertext', async () => {
    const { update, pointer, alice, bob, acl, save } = app;
    const open = { ...acl, [bob.id]: { read: true, write: true } };
    const { objectId } = (await save({ ACL: open })).body;
    expect((await update(objectId, { from: pointer(bob) })).body.code).toBe(FORBIDDEN);
    expect((await update(objectId, { from: pointer(bob) }, { master: true })).body.code).toBe(FORBIDDEN);
    expect((await update(objectId, { text: envelope() }, bob)).body.code).toBe(FORBIDDEN);
    expect((await update(objectId, { seen: true }, bob)).status).toBe(200);
    expect((await update(objectId, { text: envelope(), from: pointer(alice) })).status).toBe(200);
    expect((await update(objectId, { seen: false }, eve)).body.code).toBe(101);
  });

  test('a missing ACL becomes the sender only', async () => {
    const { rest, alice, bob, message, read } = app;
    const { ACL, ...fields } = message(envelope());
    const { body } = await rest.call('POST', '/classes/ChatMessage', fields, alice);
    expect((await read(body.objectId)).ACL).toEqual({ [alice.id]: { read: true, write: true } });
    expect((await read(body.objectId, bob)).code).toBe(101);
  });

  test.each([
    ['sentAt', 'yesterday', 'a Date'],
    ['order', 'one', 'a Number'],
    ['seen', 1, 'a Boolean'],
    ['room', 5, 'a String of at most 256 bytes'],
    ['room', 'x'.repeat(257), 'a String of at most 256 bytes'],
    ['to', { __type: 'Pointer', className: 'ChatMessage', objectId: 'x' }, 'a Pointer<_User>'],
  ])('%s cannot hold %j', async (field, value, what) => {
    const { save, update, server } = app;
    const dropped = { className: 'ChatMessage', fields: { [field]: { __op: 'Delete' } } };
    await app.rest.call('PUT', '/schemas/ChatMessage', dropped, { master: true });
    const stranger = { ...app, rest: restClient(server) };
    for (const { body } of [
      await save({ [field]: value }),
      await update(sent, { [field]: value }),
      await stranger.save({ [field]: value }, { master: true }),
    ]) {
      expect([INVALID, 111]).toContain(body.code);
      if (body.code === INVALID) expect(body.error).toBe(`ChatMessage.${field} must be ${what}.`);
    }
  });

  test('what has a type may be taken away', async () => {
    const { update } = app;
    expect((await update(sent, { room: 'a room', order: 1 })).status).toBe(200);
    expect((await update(sent, { room: null, order: { __op: 'Delete' } })).status).toBe(200);
    expect((await update(sent, { order: { __op: 'Increment', amount: 2 } })).status).toBe(200);
  });
});

describe('report', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp('report', requiredFirst);
  });
  afterAll(() => app?.server.stop());

  async function expectReport(act: () => Promise<{ body: { code?: number } }>, line?: string): Promise<void> {
    const before = (await app.reports()).length;
    expect((await act()).body.code).toBeUndefined();
    // Each line is in a log of its own and, as all lines, on the terminal.
    const lines = new Set((await app.reports()).slice(before));
    expect([...lines]).toEqual(line === undefined ? [] : [line]);
  }

  test('lets an old client save, exactly as it sent it, and writes down why it would not', async () => {
    const { save, read, message, bob, update } = app;
    const text = `${SECRET}, said plainly`;
    let id = '';
    await expectReport(async () => {
      const answer = await save({ text });
      id = answer.body.objectId;
      return answer;
    }, "e2ee report: ChatMessage: 142 ChatMessage.text is refused: not base64. Encrypt it with E3Kit's authEncrypt().");
    expect(await read(id, bob)).toMatchObject({ ...message(text), order: text.length });
    await expectReport(
      () => update(id, { text: `${SECRET}, corrected` }),
      "e2ee report: ChatMessage: 142 ChatMessage.text is refused: not base64. Encrypt it with E3Kit's authEncrypt().",
    );
  });

  test('leaves an ACL that is missing as it is, and says who would be shut out', async () => {
    const { rest, alice, message, read, bob } = app;
    const { ACL, ...fields } = message(envelope());
    let id = '';
    await expectReport(async () => {
      const answer = await rest.call('POST', '/classes/ChatMessage', fields, alice);
      id = answer.body.objectId;
      return answer;
    }, 'e2ee report: ChatMessage: 119 No ACL: it would be readable by its sender alone.');
    expect((await read(id)).ACL).toBeUndefined();
    expect((await read(id, bob)).text).toBe(fields.text);
  });

  test.each([
    [
      'a stray field',
      { note: SECRET },
      '142 ChatMessage.note is not in the policy: name it in back4app.json, or leave it out.',
    ],
    [
      'an open ACL',
      { ACL: { '*': { read: true } } },
      '119 ChatMessage needs an ACL that names users or roles: the public may neither read nor write it.',
    ],
    [
      'a long plain value',
      { room: SECRET.repeat(40) },
      '142 ChatMessage.room must be a String of at most 256 bytes.',
    ],
  ])('writes down, in one line without any value, %s', async (_name, fields, why) => {
    await expectReport(() => app.save(fields), `e2ee report: ChatMessage: ${why}`);
  });

  test('says that nobody is calling, and names no user', async () => {
    const { save, reports, alice, bob } = app;
    await expectReport(
      () => save({}, {}),
      'e2ee report: ChatMessage: 209 No valid session: log in, and call with its session token.',
    );
    const lines = (await reports()).join();
    for (const { id, username } of [alice, bob]) {
      expect(lines).not.toContain(id);
      expect(lines).not.toContain(username);
    }
  });

  test('says nothing of what it would accept', async () => {
    await expectReport(() => app.save({}));
  });

  test('still refuses what would end the server', async () => {
    const { body } = await app.save({ note: [{ __type: 'File', name: 'x' }] });
    expect(body).toEqual({ code: INVALID, error: expect.stringContaining('a File without a url') });
  });

  test('the plain text that passes is in no log with default levels', async () => {
    const logged = await app.server.logged();
    expect(logged).toContain('beforeSave triggered for ChatMessage');
    expect(logged.includes(SECRET)).toBe(false);
    expect((await app.server.stored()).includes(SECRET)).toBe(true);
  });
});
