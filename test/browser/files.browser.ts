import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { type Browser, chromium, type Page } from 'playwright-core';
import { chromiumOptions } from '../../scripts/local/chromium';
import { type LocalServer, startLocalServer } from '../support/local-server';

// The code of docs/files.md, with E3Kit for browsers, in a browser.

const folder = mkdtempSync(join(tmpdir(), 'files-'));
let server: LocalServer;
let browser: Browser;
let page: Page;

// The app's libraries: E3Kit takes `Buffer` and `process` for granted, and finds its WASM beside the script.
const app = build({
  stdin: {
    contents: `
      globalThis.Buffer = require('buffer/').Buffer;
      globalThis.process = require('process/browser.js');
      Object.assign(globalThis, { E3Kit: require('@virgilsecurity/e3kit-browser'), Parse: require('parse') });`,
    resolveDir: __dirname,
  },
  outfile: join(folder, 'app.js'),
  publicPath: '/app/',
  write: false,
  bundle: true,
  loader: { '.wasm': 'file' },
  define: { global: 'globalThis' },
}).then(({ outputFiles }) => outputFiles);

beforeAll(async () => {
  server = await startLocalServer({ folder });
  browser = await chromium.launch(chromiumOptions());
  page = await browser.newPage();
  const fileOfApp = async (name: string) => (await app).find(({ path }) => basename(path) === name);
  await page.route('**/app/*', async (route) => {
    const file = await fileOfApp(basename(route.request().url()));
    await route.fulfill({ body: Buffer.from(file?.contents ?? []), contentType: 'application/wasm' });
  });
  await page.goto(`${server.url}/health`); // an empty page of this machine
  await page.addScriptTag({ content: (await fileOfApp('app.js'))?.text ?? '' });
  const blocks = readFileSync('docs/files.md', 'utf8').matchAll(/```js\n(.*?)```/gs);
  const documented = [...blocks].map(([, code = '']) => code).filter((code) => code.includes('function'));
  expect(documented).toHaveLength(2);
  for (const content of documented) await page.addScriptTag({ content });
  await page.evaluate(prepare, server.url);
});
afterAll(async () => {
  await browser?.close();
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

test('a photo travels: encrypted by one, noise on the server, a picture for the other', async () => {
  const pixel =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
  expect(await page.evaluate(travel, pixel)).toEqual({
    uploadedAs: ['/parse/files/e2ee.bin'],
    stored: { name: expect.stringMatching(/^[0-9a-f]{32}_e2ee-[0-9a-f]{32}\.bin$/), isNoise: true },
    opened: { name: 'MRI scan of Bob.png', type: 'image/png', width: 1 },
    shared: expect.stringMatching(/e2ee-[0-9a-f]{32}\.bin$/),
    plain: 142,
  });
});

test('a file of any size travels in a group: for its members, for who joins later, and for nobody else', async () => {
  expect(await page.evaluate(travelInGroup, 100_000)).toEqual({
    member: { name: 'Large.bin', size: 100_000 },
    laterMember: { name: 'Large.bin', size: 100_000 },
    inAnothersName: 'VirgilCryptoError',
    removedMember: 'GroupError',
  });
});

/** Runs in the page, and makes there what the tests share. */
function prepare(url: string): void {
  // biome-ignore lint/suspicious/noExplicitAny: what the page has loaded has no types here
  const { E3Kit, Parse } = globalThis as any;
  Parse.initialize('e2ee-local');
  Parse.serverURL = `${url}/parse`;
  const register = async (username: string) => {
    const user = await Parse.User.signUp(username, 'a password', {});
    const sessionToken = user.getSessionToken();
    const getToken = async () => (await Parse.Cloud.run('virgil-jwt', {}, { sessionToken })).token;
    const names = { storageName: `keys-${user.id}`, groupStorageName: `groups-${user.id}` };
    const eThree = await E3Kit.EThree.initialize(getToken, { apiUrl: `${url}/virgil`, ...names });
    await eThree.register();
    return { id: user.id, eThree, sessionToken };
  };
  Object.assign(globalThis, { register });
}

/** Runs in the page. */
// biome-ignore lint/suspicious/noExplicitAny: as above
async function travel(pixel: string): Promise<any> {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const { Parse, register, sendFile, receiveFile, performance, Image } = globalThis as any;
  const bob = await register('bob');
  const alice = await register('alice');

  const bytes = Uint8Array.from(atob(pixel), (character) => character.charCodeAt(0));
  const photo = new File([bytes], 'MRI scan of Bob.png', { type: 'image/png' });
  const sent = await sendFile(alice.eThree, photo, await alice.eThree.findUsers(bob.id));
  const stored = await (await fetch(sent.url())).text();
  const opened = await receiveFile(bob.eThree, sent, await bob.eThree.findUsers(alice.id));
  const image = new Image();
  image.src = URL.createObjectURL(opened);
  await image.decode();

  const { encryptedSharedFile } = await alice.eThree.encryptSharedFile(photo);
  const shared = await new Parse.File('e2ee.bin', encryptedSharedFile).save();
  const plain = await new Parse.File('e2ee.bin', photo).save().catch((error: { code: number }) => error.code);
  const requests: { name: string }[] = performance.getEntriesByType('resource');
  const uploads = requests
    .map(({ name }) => new URL(name).pathname)
    .filter((path) => /files\/(?!e2ee-local)/.test(path));
  return {
    uploadedAs: [...new Set(uploads)],
    stored: { name: sent.name(), isNoise: !/PNG|MRI|image/.test(stored) },
    opened: { name: opened.name, type: opened.type, width: image.naturalWidth },
    shared: shared.name(),
    plain,
  };
}

/** Runs in the page. */
// biome-ignore lint/suspicious/noExplicitAny: as above
async function travelInGroup(size: number): Promise<any> {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const { Parse, register, sendGroupFile, receiveGroupFile } = globalThis as any;
  const [alice, bob, carol] = [await register('alice-2'), await register('bob-2'), await register('carol-2')];
  const groupId = `ward round of ${alice.id}`;
  const group = await alice.eThree.createGroup(groupId, await alice.eThree.findUsers([bob.id]));
  const file = new File([new Uint8Array(size)], 'Large.bin');
  const send = async () => {
    const fields = await sendGroupFile(alice.eThree, group, file);
    const row = new Parse.Object('PlaygroundMessage', { ...fields, groupId, senderId: alice.id });
    const acl = new Parse.ACL();
    for (const { id } of [alice, bob, carol]) acl.setReadAccess(id, true);
    row.setACL(acl);
    const { sessionToken } = alice;
    await row.save(null, { sessionToken });
    return (await new Parse.Query('PlaygroundMessage').get(row.id, { sessionToken })).attributes;
  };
  const receive = async (reader: typeof bob, row: object, sender = alice) => {
    try {
      const loaded = await reader.eThree.loadGroup(groupId, await reader.eThree.findUsers(alice.id));
      const card = await reader.eThree.findUsers(sender.id);
      const { name, size } = await receiveGroupFile(reader.eThree, loaded, row, card);
      return { name, size };
    } catch (error) {
      return (error as Error).name;
    }
  };
  const row = await send();
  const member = await receive(bob, row);
  await group.add(await alice.eThree.findUsers(carol.id));
  const laterMember = await receive(carol, row);
  // Bob, who can open the file, gives it out as his own: in a message of his, with the key that he has got from hers.
  const bobsGroup = await bob.eThree.loadGroup(groupId, await bob.eThree.findUsers(alice.id));
  const key = await bobsGroup.decrypt(row.body, await bob.eThree.findUsers(alice.id));
  const inAnothersName = await receive(alice, { photo: row.photo, body: await bobsGroup.encrypt(key) }, bob);
  await group.remove(await alice.eThree.findUsers(carol.id));
  return { member, laterMember, inAnothersName, removedMember: await receive(carol, await send()) };
}
