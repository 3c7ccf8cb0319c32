import { GroupError, GroupErrorCode } from '@virgilsecurity/e3kit-node';
import Parse from 'parse/node';
import { recogniseEnvelope } from '../../cloud/envelope/recognise-envelope';
import { type E3KitServer, type Person, startE3KitServer } from '../support/e3kit';

let server: E3KitServer;
let alice: Person;
let bob: Person;
let carol: Person;

beforeAll(async () => {
  server = await startE3KitServer();
  [alice, bob, carol] = await Promise.all([server.register(), server.register(), server.register()]);
});
afterAll(() => server?.stop());

type Group = Awaited<ReturnType<Person['e3kit']['createGroup']>>;
const TEXT = 'Welcome to the ward round.';
const NO_ACCESS = { errorCode: GroupErrorCode.NoAccess };

let groups = 0;

/** Alice's group with some others. */
async function createGroup(...others: Person[]): Promise<{ id: string; group: Group }> {
  const id = `ward-round-${++groups}`;
  const users = await alice.e3kit.findUsers(others.map(({ identity }) => identity));
  return { id, group: await alice.e3kit.createGroup(id, users) };
}

const cardOf = (person: Person, reader: Person) => reader.e3kit.findUsers(person.identity);
const loadGroup = async (id: string, person: Person) =>
  person.e3kit.loadGroup(id, await cardOf(alice, person));

/** Somebody writes to the group, through Parse Server. */
async function write(group: Group, sender: Person): Promise<string> {
  return server.read(await server.save(await group.encrypt(TEXT), sender), sender);
}

describe('a group message', () => {
  test('goes through the guard, and every member can read it', async () => {
    const { id, group } = await createGroup(bob, carol);
    const message = await write(group, alice);
    expect(recogniseEnvelope(message, { allowLegacyEncrypt: false }).kind).toBe('group message');
    for (const member of [bob, carol]) {
      const loaded = await loadGroup(id, member);
      expect(await loaded.decrypt(message, await cardOf(alice, member))).toBe(TEXT);
    }
  });

  test("of a member is that member's, and nobody else's", async () => {
    const { id, group } = await createGroup(bob, carol);
    const message = await write(await loadGroup(id, bob), bob);
    expect(await group.decrypt(message, await cardOf(bob, alice))).toBe(TEXT);
    await expect(group.decrypt(message, await cardOf(carol, alice))).rejects.toMatchObject({
      errorCode: GroupErrorCode.DataVerificationFailed,
    });
  });

  test('that was tampered with is not decrypted', async () => {
    const { group } = await createGroup(bob);
    const bytes = Buffer.from(await write(group, alice), 'base64');
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    const id = await server.save(bytes.toString('base64'), alice);
    await expect(group.decrypt(await server.read(id, alice), await cardOf(alice, alice))).rejects.toThrow(
      GroupError,
    );
  });

  test('is read on another device of the founder, whose private key was restored', async () => {
    const { id, group } = await createGroup(bob);
    const message = await write(group, alice);
    await alice.e3kit.backupPrivateKey('a password');
    const phone = await server.newDevice(alice);
    await phone.restorePrivateKey('a password');
    const card = await phone.findUsers(alice.identity);
    const loaded = await phone.loadGroup(id, card);
    expect(await loaded.decrypt(message, card)).toBe(TEXT);
    expect(loaded.participants.sort()).toEqual([alice.identity, bob.identity].sort());
  });
});

describe('a text over 30,000 bytes', () => {
  const LONG = 'x'.repeat(30_001);

  /** Saves a row of a class whose policy has `"group": "groupId"` and `"recipients": "acl"`. */
  async function save(body: unknown, groupId: string, ...readers: Person[]): Promise<string> {
    const acl = new Parse.ACL();
    for (const { identity } of readers) acl.setReadAccess(identity, true);
    const { identity: senderId, sessionToken } = alice;
    const row = new Parse.Object('PlaygroundMessage', { body, senderId, groupId });
    row.setACL(acl);
    return (await row.save(null, { sessionToken })).id as string;
  }

  test('is too long for a group message, and 30,000 are not', async () => {
    const { group } = await createGroup(bob);
    await group.encrypt(LONG.slice(1));
    await expect(group.encrypt(LONG)).rejects.toThrow('Plain text too long');
  });

  test('goes to the members as an envelope, which the guard takes in a row of the group', async () => {
    const { id } = await createGroup(bob, carol);
    const members = await alice.e3kit.findUsers([bob.identity, carol.identity]);
    const row = await save(await alice.e3kit.authEncrypt(LONG, members), id, alice, bob, carol);
    for (const member of [alice, bob, carol]) {
      const { body } = await server.rest.call('GET', `/classes/PlaygroundMessage/${row}`, undefined, member);
      expect(await member.e3kit.authDecrypt(body.body, await cardOf(alice, member))).toBe(LONG);
    }
  });

  test('is refused where a member who may read the row is left out', async () => {
    const { id } = await createGroup(bob, carol);
    const envelope = await alice.e3kit.authEncrypt(LONG, await cardOf(bob, alice));
    await expect(save(envelope, id, alice, bob, carol)).rejects.toMatchObject({
      code: Parse.Error.VALIDATION_ERROR,
    });
  });
});

describe('membership', () => {
  test('a stranger cannot load the group', async () => {
    const { id } = await createGroup(bob);
    await expect(loadGroup(id, carol)).rejects.toMatchObject(NO_ACCESS);
  });

  test('who is added reads what follows and what came before', async () => {
    const { id, group } = await createGroup(bob);
    const before = await write(group, alice);
    await group.add(await cardOf(carol, alice));
    const after = await write(group, alice);
    const loaded = await loadGroup(id, carol);
    for (const message of [before, after]) {
      expect(await loaded.decrypt(message, await cardOf(alice, carol))).toBe(TEXT);
    }
  });

  test('who is removed cannot read what follows, and the others can', async () => {
    const { id, group } = await createGroup(bob, carol);
    const [bobGroup, carolGroup] = [await loadGroup(id, bob), await loadGroup(id, carol)];
    await group.remove(await cardOf(carol, alice));
    const message = await write(group, alice);

    const aliceCard = await cardOf(alice, carol);
    await expect(carolGroup.decrypt(message, aliceCard)).rejects.toMatchObject({
      errorCode: GroupErrorCode.GroupIsOutdated,
    });
    await expect(carolGroup.update()).rejects.toMatchObject(NO_ACCESS);
    await expect(loadGroup(id, carol)).rejects.toMatchObject(NO_ACCESS);

    await bobGroup.update();
    expect(await bobGroup.decrypt(message, await cardOf(alice, bob))).toBe(TEXT);
  });

  test('only the founder adds and removes', async () => {
    const { id } = await createGroup(bob, carol);
    const bobGroup = await loadGroup(id, bob);
    const refused = { errorCode: GroupErrorCode.PermissionDenied };
    await expect(bobGroup.remove(await cardOf(carol, bob))).rejects.toMatchObject(refused);
    await expect(bobGroup.add(await cardOf(carol, bob))).rejects.toMatchObject(refused);
  });

  test('a deleted group can no longer be loaded', async () => {
    const { id } = await createGroup(bob);
    await alice.e3kit.deleteGroup(id);
    await expect(loadGroup(id, bob)).rejects.toMatchObject(NO_ACCESS);
  });
});
