import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as e3kit from '@virgilsecurity/e3kit-node';
import { transformSync } from 'esbuild';
import Parse from 'parse/node';
import type { VirgilPublicKey } from 'virgil-crypto';
import { type BareParseServer, startBareParseServer } from '../../scripts/local/bare-parse-server';
import { type Caller, restClient } from '../support/rest';
import { makeVirgilApplication } from '../support/virgil-application';
import { serveVirgilCloud } from '../support/virgil-cloud';
import { loadVirgilCrypto } from '../support/virgil-crypto';

// The code and the policies of docs/clients.md and docs/recipients.md, which go with the client of the README.

type EThree = e3kit.EThree;
type Group = Awaited<ReturnType<EThree['createGroup']>>;

/** What the samples export, or would if they were files. */
interface Samples {
  start(password?: string): Promise<EThree>;
  send(eThree: EThree, readerId: string, text: string): Promise<Parse.Object>;
  read(eThree: EThree, message: Parse.Object): Promise<string>;
  logOut(eThree: EThree): Promise<void>;
  startOver(password: string): Promise<EThree>;
  search(eThree: EThree, threadId: string, text: string): Promise<Parse.Object[]>;
  sendToRole(eThree: EThree, role: string, text: string): Promise<Parse.Object>;
  foundGroup(eThree: EThree, ward: Parse.Object, ids: string[]): Promise<Group>;
  sendToWard(group: Group, ward: Parse.Object, role: string, text: string): Promise<Parse.Object>;
}

interface Account {
  id: string;
  sessionToken: string;
}

const PASSWORD = 'a backup password';

/** The blocks of a language in a section of a document. */
function blocks(document: string, heading: string, language = 'js'): string[] {
  const [, section = ''] = readFileSync(document, 'utf8').split(`## ${heading}\n`);
  const [text = ''] = section.split('\n## ');
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, code = '']) => code);
}

const [membersOf = '', ...forRoles] = blocks('docs/recipients.md', 'Readers who are a role');
const classesForRoles = blocks('docs/recipients.md', 'Readers who are a role', 'json');
const clientSections = ['Logging out, and two users on one device', 'A lost password', 'Search and sort'];
const client = [
  ...blocks('README.md', 'Call it from a client'),
  ...clientSections.flatMap((heading) => blocks('docs/clients.md', heading)),
  ...forRoles,
  'export { sendToRole, foundGroup, sendToWard };',
].join('\n');

const message = { encrypted: ['body'], plain: ['senderId', 'threadId'], sender: 'senderId' };
const policy = {
  virgil: { tokenTtlSeconds: 1200 },
  classes: {
    Message: message,
    Checked: { ...message, recipients: 'acl' },
    Letter: { ...message, plain: { senderId: 'String', to: 'Pointer<_User>' } },
    ...JSON.parse(`{${classesForRoles.join(',')}}`),
  },
};

const folder = mkdtempSync(join(tmpdir(), 'e2ee-samples-'));
let server: BareParseServer;
let rest: ReturnType<typeof restClient>;
let virgil: Awaited<ReturnType<typeof serveVirgilCloud>>;
beforeAll(async () => {
  const application = makeVirgilApplication(await loadVirgilCrypto());
  virgil = await serveVirgilCloud(application);
  server = await startBareParseServer({
    policy,
    cloudCode: `require('./e2ee');\n${membersOf}`,
    environment: { ...application.environment, VIRGIL_API_URL: virgil.url },
  });
  rest = restClient(server);
  Parse.initialize(server.appId, undefined, server.masterKey);
  Parse.serverURL = server.url;
  Parse.User.enableUnsafeCurrentUser(); // as a browser has it
});
afterAll(async () => {
  await server?.stop();
  await virgil?.close();
  rmSync(folder, { recursive: true });
});

let starts = 0;

/** The samples on a device, on which an account is logged in. With E3Kit for Node, which has the same API. */
async function load(device: string, { sessionToken }: Account): Promise<Samples> {
  await Parse.User.become(sessionToken);
  const EThree = {
    initialize: (getToken: () => Promise<string>) =>
      e3kit.EThree.initialize(getToken, {
        apiUrl: virgil.url,
        storageName: join(folder, device),
        groupStorageName: join(folder, `groups-${++starts}`), // which a start before still has open
      }),
  };
  const modules: Record<string, unknown> = { '@virgilsecurity/e3kit-browser': { EThree }, parse: Parse };
  const module = { exports: {} };
  const { code } = transformSync(client, { format: 'cjs' });
  new Function('module', 'require', code)(module, (name: string) => modules[name]);
  return module.exports as Samples;
}

/** Somebody who has signed up and started on a device: by default one of their own. */
async function arrive(device?: string) {
  const account = await rest.signUp();
  const samples = await load(device ?? account.id, account);
  return { ...account, samples, eThree: await samples.start(PASSWORD) };
}
type Person = Awaited<ReturnType<typeof arrive>>;

const become = ({ sessionToken }: Account) => Parse.User.become(sessionToken);
async function logIn({ id, username }: Person): Promise<Account> {
  const { body } = await rest.call('POST', '/login', { username, password: 'a password' });
  return { id, sessionToken: body.sessionToken };
}

const rights = (...readers: Account[]) =>
  Object.fromEntries(readers.map(({ id }) => [id, { read: true, write: true }]));

describe('logging out', () => {
  test('leaves the keys of other users on the device, and the next log-in restores the own one', async () => {
    const bob = await arrive('tablet');
    const alice = await arrive('tablet');
    const { id } = await alice.samples.send(alice.eThree, bob.id, 'Hello, Bob!');
    await alice.samples.logOut(alice.eThree);
    expect(Parse.User.current()).toBeNull();
    expect((await rest.run('virgil-jwt', {}, alice)).body.code).toBe(209);
    expect(await alice.eThree.hasLocalPrivateKey()).toBe(false);

    const row = await new Parse.Query('Message').get(id as string, { useMasterKey: true });
    const bobsNext = await load('tablet', await logIn(bob));
    expect(await bobsNext.read(await bobsNext.start(), row)).toBe('Hello, Bob!'); // the key is there
    const alicesNext = await load('tablet', await logIn(alice));
    expect(await alicesNext.read(await alicesNext.start(PASSWORD), row)).toBe('Hello, Bob!');
  });
});

describe('a lost password', () => {
  test('of the backup, and no device with the key: a new key reads what is written from then on', async () => {
    const bob = await arrive();
    const alice = await arrive();
    await become(bob);
    const before = await bob.samples.send(bob.eThree, alice.id, 'before');
    const samples = await load('a new phone', alice);
    await expect(samples.start('forgotten')).rejects.toMatchObject({ name: 'WrongKeyknoxPasswordError' });
    const eThree = await samples.startOver('another');
    await expect(samples.read(eThree, before)).rejects.toThrow(
      'Recipient defined with id is not found within message info',
    );

    await become(bob);
    const after = await bob.samples.send(bob.eThree, alice.id, 'after');
    const again = await bob.samples.send(bob.eThree, alice.id, await bob.samples.read(bob.eThree, before));
    const tablet = await load('a new tablet', alice);
    const restored = await tablet.start('another');
    expect(await tablet.read(restored, after)).toBe('after');
    expect(await tablet.read(restored, again)).toBe('before');
  });

  test('and groups: the founder lets a member with a new key in again, and cannot load an own group with one', async () => {
    const [alice, bob] = [await arrive(), await arrive()];
    const groupId = 'the-ward-round';
    const group = await alice.eThree.createGroup(groupId, await alice.eThree.findUsers([bob.id]));
    const text = (await group.encrypt('Hello!')) as string;
    const founder = await alice.eThree.findUsers(alice.id);

    const bobs = await (await load('a new phone of Bob', bob)).startOver('another');
    await expect(bobs.loadGroup(groupId, founder)).rejects.toMatchObject({ errorCode: 3 });
    await group.reAdd(await alice.eThree.findUsers(bob.id));
    expect(await (await bobs.loadGroup(groupId, founder)).decrypt(text, founder)).toBe('Hello!');

    const alices = await (await load('a new phone of Alice', alice)).startOver('another');
    const card = await alices.findUsers(alice.id);
    await expect(alices.loadGroup(groupId, card)).rejects.toMatchObject({ errorCode: 3 });
    await expect(bobs.loadGroup(groupId, card)).rejects.toMatchObject({ name: 'VirgilCryptoError' });
  });
});

test('a search looks on the device: the server finds no text in what is encrypted', async () => {
  const bob = await arrive();
  const { samples, eThree } = await arrive();
  for (const text of ['an apple', 'a pear', 'apples and pears']) {
    const row = await samples.send(eThree, bob.id, text);
    await row.save({ threadId: 'fruit' });
  }
  const found = await samples.search(eThree, 'fruit', 'apple');
  const texts = await Promise.all(found.map((row) => samples.read(eThree, row)));
  expect(texts).toEqual(['apples and pears', 'an apple']);
  expect(await new Parse.Query('Message').contains('body', 'apple').find()).toEqual([]);
  const same = await eThree.authEncrypt('an apple');
  expect(await eThree.authEncrypt('an apple')).not.toBe(same);
});

describe('a role', () => {
  let alice: Person;
  let bob: Person;
  let carol: Person;
  beforeAll(async () => {
    [alice, bob, carol] = [await arrive(), await arrive(), await arrive()];
    const acl = new Parse.ACL();
    acl.setRoleReadAccess('doctors', true);
    const role = new Parse.Role('doctors', acl);
    role.getUsers().add([alice, bob].map(({ id }) => Parse.User.createWithoutData(id) as Parse.User));
    await role.save(null, { useMasterKey: true });
  });

  test('shows its members to its members alone', async () => {
    const ask = async (by: Account) => (await rest.run('membersOf', { role: 'doctors' }, by)).body;
    expect((await ask(alice)).result.sort()).toEqual([alice.id, bob.id].sort());
    expect((await ask(carol)).code).toBe(101);
  });

  test('can read what is encrypted for its members, and who joins later cannot', async () => {
    await become(alice);
    const { id } = await alice.samples.sendToRole(alice.eThree, 'doctors', 'for all doctors');
    const readAs = async (person: Person) => {
      await become(person);
      const body = (await new Parse.Query('Report').get(id as string)).get('body');
      return person.eThree.authDecrypt(body, await person.eThree.findUsers(alice.id));
    };
    expect(await readAs(bob)).toBe('for all doctors');
    await expect(readAs(carol)).rejects.toMatchObject({ code: Parse.Error.OBJECT_NOT_FOUND });
    const role = await new Parse.Query(Parse.Role).first({ useMasterKey: true });
    role?.getUsers().add(Parse.User.createWithoutData(carol.id) as Parse.User);
    await role?.save(null, { useMasterKey: true });
    await server.emptyCache();
    await expect(readAs(carol)).rejects.toThrow('Recipient defined with id is not found');
    role?.getUsers().remove(Parse.User.createWithoutData(carol.id) as Parse.User);
    await role?.save(null, { useMasterKey: true });
    await server.emptyCache();
  });

  test('whose readers are named, and a message that is for its sender alone: refused', async () => {
    const pointer = ({ id }: Account) => ({ __type: 'Pointer', className: '_User', objectId: id });
    const row = {
      body: await alice.eThree.authEncrypt('for all doctors'),
      from: pointer(alice),
      readers: [pointer(alice), pointer(bob)],
      ACL: { 'role:doctors': { read: true } },
    };
    expect((await rest.call('POST', '/classes/Report', row, alice)).body).toMatchObject({
      code: Parse.Error.VALIDATION_ERROR,
      error: expect.stringContaining(`is not encrypted for ${bob.id}`),
    });
  });

  test('reads the messages of a group that a Pointer names, and who joins later does so too', async () => {
    const ward = await new Parse.Object('Ward').save(null, { useMasterKey: true });
    await become(alice);
    const { samples, eThree } = alice;
    const group = await samples.foundGroup(eThree, ward, [bob.id]);
    const { id } = await samples.sendToWard(group, ward, 'doctors', 'for the ward');
    await group.add(await eThree.findUsers(carol.id));
    const founder = await eThree.findUsers(alice.id);
    const { body } = (await rest.call('GET', `/classes/WardMessage/${id}`, undefined, bob)).body;
    for (const person of [bob, carol]) {
      const loaded = await person.eThree.loadGroup(ward.id as string, founder);
      expect(await loaded.decrypt(body, founder)).toBe('for the ward');
    }
  });
});

test('whom class permissions name does not find a row without an ACL, and finds one whose ACL says so too', async () => {
  const [alice, bob] = [await arrive(), await arrive()];
  const closed = { find: {}, get: {}, create: { requiresAuthentication: true }, readUserFields: ['to'] };
  const fields = { to: { type: 'Pointer', targetClass: '_User' } };
  const schema = { className: 'Letter', fields, classLevelPermissions: closed };
  expect((await rest.call('POST', '/schemas/Letter', schema, { master: true })).status).toBe(200);
  const to = { __type: 'Pointer', className: '_User', objectId: bob.id };
  const body = await alice.eThree.authEncrypt('Hello!', await alice.eThree.findUsers(bob.id));
  const save = async (more: object) =>
    (await rest.call('POST', '/classes/Letter', { body, senderId: alice.id, to, ...more }, alice)).body;
  const { objectId: unnamed } = await save({});
  const { objectId: named } = await save({ ACL: rights(alice, bob) });
  const find = async (by: Caller) => {
    const { results } = (await rest.call('GET', '/classes/Letter?order=createdAt', undefined, by)).body;
    return results.map(({ objectId }: { objectId: string }) => objectId);
  };
  expect(await find(bob)).toEqual([named]);
  expect(await find({ master: true })).toEqual([unnamed, named]);
});

test('a message on an unsafe channel passes without `recipients`, and is refused with it', async () => {
  const [alice, bob] = [await arrive(), await rest.signUp()];
  const { identity, keyEntryStorage, virgilCrypto } = alice.eThree;
  const stored = await keyEntryStorage.load(identity);
  const privateKey = virgilCrypto.importPrivateKey({ value: stored?.value ?? '', encoding: 'base64' });
  // E3Kit for Kotlin and Swift makes such a key for a user who has not registered, and encrypts for it alone.
  const { publicKey } = virgilCrypto.generateKeys();
  const sealed = virgilCrypto.signAndEncrypt('Hello!', privateKey, [publicKey as VirgilPublicKey], true);
  const save = async (className: string, ...readers: Account[]) => {
    const row = { body: sealed.toString('base64'), senderId: alice.id, ACL: rights(...readers) };
    return (await rest.call('POST', `/classes/${className}`, row, alice)).body;
  };
  expect(await save('Message', alice, bob)).toMatchObject({ objectId: expect.any(String) });
  const refused = (what: string) => ({ code: 142, error: expect.stringContaining(what) });
  expect(await save('Checked', bob)).toEqual(refused(`${bob.id}, who may read the row, has no card`));
  expect(await save('Checked', alice, bob)).toEqual(refused(`is not encrypted for ${bob.id}`));
  await (await load('phone of Bob', bob)).start(PASSWORD);
  expect(await save('Checked', bob)).toEqual(refused(`is not encrypted for ${bob.id}`));
});

describe('the limits of docs/recipients.md:', () => {
  /** Users as `findUsers` would return them. */
  function users({ virgilCrypto }: EThree, count: number): Parameters<EThree['createGroup']>[1] {
    const cards = Array.from({ length: count }, (_, i) => ({
      identity: `user-${i}`,
      publicKey: virgilCrypto.generateKeys().publicKey,
    }));
    return Object.fromEntries(cards.map((card) => [card.identity, card])) as never;
  }

  test('a group of a hundred, with its founder', async () => {
    const { eThree } = await arrive();
    expect((await eThree.createGroup('a-large-ward', users(eThree, 99))).participants).toHaveLength(100);
    await expect(eThree.createGroup('too-large-a-ward', users(eThree, 100))).rejects.toMatchObject({
      errorCode: 6,
    });
  });

  test('340 bytes of an envelope for each reader', async () => {
    const { eThree } = await arrive();
    const [few, many] = await Promise.all(
      [10, 110].map(
        async (count) => (await eThree.authEncrypt('x', users(eThree, count) as never)) as string,
      ),
    );
    expect(Math.round(((many?.length ?? 0) - (few?.length ?? 0)) / 1000)).toBe(34);
  });
});
