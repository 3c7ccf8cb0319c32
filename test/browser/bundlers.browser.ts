import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { chromiumOptions } from '../../scripts/local/chromium';
import { projectRoot } from '../../scripts/project/bundle';
import { type LocalServer, startLocalServer } from '../support/local-server';

// The README's client with the settings of docs/clients.md, as somebody has them who follows both.

const folder = mkdtempSync(join(tmpdir(), 'bundlers-'));
const app = join(folder, 'app');
const TYPED = 'correct horse battery staple';
const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};
let server: LocalServer;
let browser: Browser;
let policy: string;
const stops: (() => unknown)[] = [];
/** What the browser complains of, and what it asks of hosts that the policy does not name. */
const complaints: string[] = [];

beforeAll(async () => {
  server = await startLocalServer({ folder });
  browser = await chromium.launch(chromiumOptions());
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const clients = readFileSync(join(projectRoot, 'docs/clients.md'), 'utf8');
  const write = (path: string, contents: string) => writeFileSync(join(app, path), contents);

  for (const part of ['src', 'public']) mkdirSync(join(app, part), { recursive: true });
  write('public/favicon.ico', '');
  symlinkSync(join(projectRoot, 'node_modules'), join(app, 'node_modules'));
  for (const [, block = '', file = ''] of clients.matchAll(/```js\n(\/\/ (\S+)\n.*?)```/gs)) {
    write(file.includes('.config.') ? file : `src/${file}`, block);
  }
  const [, client = ''] = /## Call it from a client\n+```js\n(.*?)```/s.exec(readme) ?? [];
  const onThisServer = `EThree.initialize(getToken, { apiUrl: '${server.url}/virgil' })`;
  write('src/e2ee.js', client.replace('EThree.initialize(getToken)', onThisServer));
  write(
    'src/index.js',
    `import Parse from 'parse';
     import * as e2ee from './e2ee.js';
     import { derivePasswords } from './passwords.js';
     Parse.initialize('e2ee-local');
     Parse.serverURL = '${server.url}/parse';
     Object.assign(window, { Parse, ...e2ee, derivePasswords });`,
  );
  write('index.html', '<!doctype html><title>App</title><script type="module" src="/src/index.js"></script>');

  const [, documented = ''] = /```\n(default-src 'none'; .*)\n```/.exec(clients) ?? [];
  const [, hosts = ''] = /connect-src 'self' (.*)$/.exec(documented) ?? [];
  policy = documented.replace(hosts, `${server.url} ${server.url.replace('http', 'ws')}`);
});
afterAll(async () => {
  await browser?.close();
  for (const stop of stops) await stop();
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => {
  expect(complaints.splice(0)).toEqual([]);
});

/** Starts Node in the app's folder. */
function node(...args: string[]) {
  const child = spawn(process.execPath, args, { cwd: app, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      printed += chunk;
    });
  }
  const ended = once(child, 'close').then(([code]) => {
    if (code !== 0) throw new Error(printed);
  });
  return { child, ended };
}

/** Serves what was built, under the policy of docs/clients.md. @returns its URL */
async function serve(built: string, files: Record<string, string> = {}): Promise<string> {
  const host = createServer((request, response) => {
    const path = request.url === '/' ? '/index.html' : `${request.url}`;
    if (path === '/favicon.ico') return response.end();
    const type = TYPES[extname(path)] as string;
    response.writeHead(200, { 'Content-Type': type, 'Content-Security-Policy': policy });
    response.end(files[path] ?? readFileSync(join(app, built, path)));
  });
  host.listen(0, '127.0.0.1');
  await once(host, 'listening');
  stops.push(() => host.close());
  return `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
}

/** A device: its storage is its own. */
async function device(url: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    const { origin } = new URL(request.url());
    if (![new URL(url).origin, server.url].includes(origin)) complaints.push(request.url());
  });
  await page.goto(url);
  await page.waitForFunction(() => 'derivePasswords' in globalThis);
  return page;
}

/** What each function of `inPage` finds in the page. */
// biome-ignore lint/suspicious/noExplicitAny: what the page has loaded has no types here
type App = any;

/** They run in the page. */
const inPage = {
  async signUp([username, typed]: string[]) {
    const { Parse, derivePasswords, start } = globalThis as App;
    const { logIn, backup } = await derivePasswords(typed);
    const { id } = await Parse.User.signUp(username, logIn);
    Object.assign(globalThis, { eThree: await start(backup) });
    return { id, logIn, backup };
  },
  async logIn([username, typed]: string[]) {
    const { Parse, derivePasswords, start } = globalThis as App;
    const { logIn, backup } = await derivePasswords(typed);
    await Parse.User.logIn(username, logIn);
    Object.assign(globalThis, { eThree: await start(backup) });
  },
  async reopen() {
    const { start } = globalThis as App;
    Object.assign(globalThis, { eThree: await start() });
  },
  async send([readerId, text]: string[]) {
    const { send, eThree } = globalThis as App;
    return (await send(eThree, readerId, text)).id;
  },
  async read(id: string) {
    const { Parse, read, eThree } = globalThis as App;
    return read(eThree, await new Parse.Query('Message').get(id));
  },
  /** Needs `process`, as nothing else does. */
  async addToGroup(userId: string) {
    const { eThree } = globalThis as App;
    const group = await eThree.createGroup('ward round');
    await group.add(await eThree.findUsers(userId));
    return group.participants;
  },
};

/** Two users, of whom one has two devices, write to each other. */
async function expectToWork(url: string): Promise<void> {
  const [bobsName, alicesName] = [`bob of ${url}`, `alice of ${url}`];
  const [bob, alice] = [await device(url), await device(url)];
  const { id: bobsId, logIn, backup } = await bob.evaluate(inPage.signUp, [bobsName, TYPED]);
  const { id: alicesId } = await alice.evaluate(inPage.signUp, [alicesName, 'another']);
  // As Kotlin and Swift derive them.
  const derived = createHash('sha512').update(createHash('sha256').update(TYPED).digest()).digest();
  expect([logIn, backup]).toEqual([
    derived.subarray(0, 32).toString('base64'),
    derived.subarray(32).toString('base64'),
  ]);

  const message = await alice.evaluate(inPage.send, [bobsId, 'Hello, Bob!']);
  expect(await bob.evaluate(inPage.read, message)).toBe('Hello, Bob!');
  const phone = await device(url);
  await phone.evaluate(inPage.logIn, [bobsName, TYPED]);
  expect(await phone.evaluate(inPage.read, message)).toBe('Hello, Bob!');

  await bob.reload();
  await bob.evaluate(inPage.reopen);
  expect(await bob.evaluate(inPage.read, message)).toBe('Hello, Bob!');
  await bob.evaluate(inPage.logIn, [bobsName, TYPED]); // there is a backup already
  expect(await bob.evaluate(inPage.addToGroup, alicesId)).toEqual([bobsId, alicesId]);
}

test('the client of the README runs as Vite builds it, under the policy of docs/clients.md', async () => {
  await node('node_modules/vite/bin/vite.js', 'build').ended;
  await expectToWork(await serve('dist'));
});

test('and as webpack builds it', async () => {
  const build = `
    import webpack from 'webpack';
    import config from './webpack.config.mjs';
    webpack({ ...config, output: { path: process.cwd() + '/webpack' } }, (error, stats) => {
      if (error || stats.hasErrors()) throw error ?? new Error(stats.toString());
    });`;
  await node('--input-type=module', '--eval', build).ended;
  const html = '<!doctype html><title>App</title><script src="/main.js" defer></script>';
  await expectToWork(await serve('webpack', { '/index.html': html }));
});

test('and as Vite serves it to its developer', async () => {
  // The libraries are this project's, which are outside of the app's folder.
  const start = `
    import { createServer } from 'vite';
    const server = await createServer({
      cacheDir: process.cwd() + '/.vite',
      server: { port: 0, host: '127.0.0.1', fs: { strict: false } },
    });
    await server.listen();
    console.log('port ' + server.httpServer.address().port);`;
  const { child, ended } = node('--input-type=module', '--eval', start);
  stops.push(() => child.kill());
  const port = await new Promise<string>((done, fail) => {
    child.stdout.on('data', (chunk: string) => {
      const [, number] = /port (\d+)/.exec(chunk) ?? [];
      if (number) done(number);
    });
    ended.then(() => fail(new Error('Vite has ended.')), fail);
  });
  await expectToWork(`http://127.0.0.1:${port}`);
});
