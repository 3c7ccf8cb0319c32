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

// The app's libraries: E3Kit takes `Buffer` for granted, and finds its WASM beside the script.
const app = build({
  stdin: {
    contents: `
      globalThis.Buffer = require('buffer/').Buffer;
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
  const [, documented = ''] =
    /```js\n(const UPLOADED_AS.*?)```/s.exec(readFileSync('docs/files.md', 'utf8')) ?? [];
  await page.addScriptTag({ content: documented });
});
afterAll(async () => {
  await browser?.close();
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

test('a photo travels: encrypted by one, noise on the server, a picture for the other', async () => {
  const pixel =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
  const travelled = await page.evaluate(travel, { url: server.url, pixel });
  expect(travelled).toEqual({
    uploadedAs: ['/parse/files/e2ee.bin'],
    stored: { name: expect.stringMatching(/^[0-9a-f]{32}_e2ee-[0-9a-f]{32}\.bin$/), isNoise: true },
    opened: { name: 'MRI scan of Bob.png', type: 'image/png', width: 1 },
    shared: expect.stringMatching(/e2ee-[0-9a-f]{32}\.bin$/),
    plain: 142,
  });
});

/** Runs in the page. */
// biome-ignore lint/suspicious/noExplicitAny: what the page has loaded has no types here
async function travel({ url, pixel }: { url: string; pixel: string }): Promise<any> {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const { E3Kit, Parse, sendFile, receiveFile, performance, Image } = globalThis as any;
  Parse.initialize('e2ee-local');
  Parse.serverURL = `${url}/parse`;
  const register = async (username: string) => {
    const user = await Parse.User.signUp(username, 'a password', {});
    const sessionToken = user.getSessionToken();
    const getToken = async () => (await Parse.Cloud.run('virgil-jwt', {}, { sessionToken })).token;
    const names = { storageName: `keys-${user.id}`, groupStorageName: `groups-${user.id}` };
    const eThree = await E3Kit.EThree.initialize(getToken, { apiUrl: `${url}/virgil`, ...names });
    await eThree.register();
    return { id: user.id, eThree };
  };
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
