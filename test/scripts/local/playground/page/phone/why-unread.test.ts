import Parse from 'parse/node';
import { whyUnread } from '../../../../../../scripts/local/playground/page/phone/cipher';
import { type E3KitServer, type Person, startE3KitServer } from '../../../../../support/e3kit';

let server: E3KitServer;
let alice: Person;
let bob: Person;
let mallory: Person;

beforeAll(async () => {
  server = await startE3KitServer();
  [alice, bob, mallory] = await Promise.all([server.register(), server.register(), server.register()]);
});
afterAll(() => server?.stop());

const TEXT = 'The results are here: all clear.';
const GROUP = 'the ward round';

const cardOf = (person: Person, reader = alice) => reader.e3kit.findUsers(person.identity);
/** What an author writes to Alice. */
const seal = async (author: Person) =>
  (await author.e3kit.authEncrypt(TEXT, await cardOf(alice, author))) as string;

/** Changes the last byte. */
function tamper(payload: string): string {
  const bytes = Buffer.from(payload, 'base64');
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
  return bytes.toString('base64');
}

/** What the page shows of an attempt to read. */
async function shows(reading: Promise<unknown>): Promise<string> {
  return reading.then(String, whyUnread);
}

/** What Alice's phone shows of a row: it looks for the sender whom the row names. */
async function shownRow(id: string): Promise<string> {
  const row = await new Parse.Query('Message').get(id, { sessionToken: alice.sessionToken });
  const sender = await alice.e3kit.findUsers(row.get('senderId'));
  return shows(alice.e3kit.authDecrypt(row.get('body'), sender));
}

test('a row that names another sender than the one who signed it is not trusted', async () => {
  expect(await shownRow(await server.save(await seal(bob), bob, alice))).toBe(TEXT);
  const ACL = { [alice.identity]: { read: true } };
  const forged = { body: await seal(mallory), senderId: bob.identity, ACL };
  const { body } = await server.rest.call('POST', '/classes/Message', forged, { master: true });
  expect(await shownRow(body.objectId)).toBe('not trusted');
});

test('nor is one that was changed, or a group message that another has signed, changed or moved from another group', async () => {
  expect(await shownRow(await server.save(tamper(await seal(bob)), bob, alice))).toBe('not trusted');

  const group = await bob.e3kit.createGroup(GROUP, await bob.e3kit.findUsers([alice.identity]));
  const message = (await group.encrypt(TEXT)) as string;
  const loaded = await alice.e3kit.loadGroup(GROUP, await cardOf(bob));
  const other = await bob.e3kit.createGroup('another group', await cardOf(alice, bob));
  expect(await shows(loaded.decrypt(message, await cardOf(bob)))).toBe(TEXT);
  expect(await shows(loaded.decrypt(message, await cardOf(mallory)))).toBe('not trusted');
  expect(await shows(loaded.decrypt(tamper(message), await cardOf(bob)))).toBe('not trusted');
  expect(await shows(loaded.decrypt(await other.encrypt(TEXT), await cardOf(bob)))).toBe('not trusted');
});

test('what nobody has forged is called by its own reason', async () => {
  const message = await seal(bob);
  const phone = await server.newDevice(alice);
  const sender = await cardOf(bob);
  expect(await shows(phone.authDecrypt(message, sender))).toBe('no key');
  expect(await shows(mallory.e3kit.authDecrypt(message, sender))).toBe('not for you');
  expect(await shows(mallory.e3kit.loadGroup(GROUP, sender))).toBe('no member');
  const stranger = await server.signUp();
  expect(await shows(alice.e3kit.findUsers(stranger.identity))).toBe('no sender');
  expect(await shows(fetch('http://127.0.0.1:1'))).toBe('try again');
});
