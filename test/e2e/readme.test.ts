import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import * as e3kit from '@virgilsecurity/e3kit-node';
import { transformSync } from 'esbuild';
import Parse from 'parse/node';
import { KeyEntryStorage } from 'virgil-sdk';
import { projectRoot } from '../../scripts/project/bundle';
import { type Account, type E3KitServer, type Person, startE3KitServer } from '../support/e3kit';

/** What the README's sample exports. */
interface Sample {
  start(backupPassword?: string): Promise<e3kit.EThree>;
  send(eThree: e3kit.EThree, readerId: string, text: string): Promise<Parse.Object>;
  read(eThree: e3kit.EThree, message: Parse.Object): Promise<string>;
}

/** Every request to Virgil Cloud and every access to the device's keys goes through it. */
type TakeStep = <Result>(act: () => Promise<Result>, changesSomething: boolean) => Promise<Result>;

const PASSWORD = 'a backup password';

let server: E3KitServer;
let bob: Person;
beforeAll(async () => {
  server = await startE3KitServer();
  Parse.User.enableUnsafeCurrentUser(); // as a browser has it
  bob = await server.register();
});
afterAll(() => server?.stop());

let starts = 0;

/** E3Kit's options on a device. */
function optionsOn(device: string): e3kit.EThreeInitializeOptions {
  return {
    apiUrl: server.virgilCloudUrl,
    storageName: join(server.folder, device),
    groupStorageName: join(server.folder, `groups-${++starts}`), // which a start before still has open
  };
}

/** The sample on a device. Here in Node, so with E3Kit for Node, which has the same API. */
async function load(
  device: string,
  { sessionToken }: Account,
  options: e3kit.EThreeInitializeOptions = {},
): Promise<Sample> {
  await Parse.User.become(sessionToken);
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const [, code = ''] = /## Call it from a client\n+```js\n(.*?)```/s.exec(readme) ?? [];
  const EThree = {
    initialize: (getToken: () => Promise<string>) =>
      e3kit.EThree.initialize(getToken, { ...optionsOn(device), ...options }),
  };
  const modules: Record<string, unknown> = {
    '@virgilsecurity/e3kit-browser': { ...e3kit, EThree },
    parse: Parse,
  };
  const module = { exports: {} };
  new Function('module', 'require', transformSync(code, { format: 'cjs' }).code)(
    module,
    (name: string) => modules[name],
  );
  return module.exports as Sample;
}

/** The sample as it starts on a device. */
async function open(device: string, account: Account, password: string | undefined = PASSWORD) {
  const sample = await load(device, account);
  return { ...sample, eThree: await sample.start(password) };
}

/**
 * Starts the sample on a device, and kills it after so many changes: the last one has its effect, and nothing follows.
 *
 * @returns whether it was killed before it was done
 */
async function startAndKill(device: string, account: Account, changes: number): Promise<boolean> {
  let left = changes;
  let kill: (wasKilled: boolean) => void;
  const killed = new Promise<boolean>((done) => {
    kill = done;
  });
  const never = new Promise<never>(() => {});
  const take: TakeStep = async (act, changesSomething) => {
    if (left === 0) return never;
    const result = await act();
    if (changesSomething) left--;
    if (left > 0) return result;
    kill(true);
    return never;
  };
  const virgilCloud = await startProxy(server.virgilCloudUrl, take);
  const storage = new KeyEntryStorage(join(server.folder, device));
  const { start } = await load(device, account, {
    apiUrl: virgilCloud.url,
    keyEntryStorage: new Proxy(storage, {
      get:
        (target, name) =>
        (...args: unknown[]) =>
          // biome-ignore lint/suspicious/noExplicitAny: whichever method it is
          take(() => (target as any)[name](...args), name === 'save' || name === 'remove'),
    }),
  });
  const wasKilled = await Promise.race([start(PASSWORD).then(() => false), killed]);
  virgilCloud.stop();
  return wasKilled;
}

/** A server that passes on what it is asked, and the answer. */
async function startProxy(target: string, take: TakeStep) {
  const proxy = createServer(async (request, response) => {
    const { method = '', headers, url } = request;
    const body = method === 'GET' ? undefined : await buffer(request);
    const { 'content-length': _, host, connection, ...kept } = headers;
    const ask = () => fetch(target + url, { method, headers: kept as Record<string, string>, body });
    const answer = await take(ask, method === 'PUT' || url === '/card/v5');
    const hash = answer.headers.get('virgil-keyknox-hash');
    response.writeHead(answer.status, {
      'Content-Type': 'application/json',
      ...(hash && { 'Virgil-Keyknox-Hash': hash }),
    });
    response.end(await answer.text());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    stop(): void {
      proxy.close();
      proxy.closeAllConnections();
    },
  };
}

type Started = Awaited<ReturnType<typeof open>>;

/** What Bob writes can be read, and on a device that has nothing but the backup too. */
async function expectWhole(account: Account, started: Started): Promise<void> {
  const envelope = await bob.e3kit.authEncrypt('Hello!', await bob.e3kit.findUsers(account.identity));
  const id = await server.save(envelope, bob, account);
  for (const { read, eThree } of [started, await open(`tablet of ${account.identity}`, account)]) {
    expect(await read(eThree, await new Parse.Query('Message').get(id))).toBe('Hello!');
  }
}

test('the sample of the README starts the first time, again, and on another device, and sends and reads', async () => {
  const alice = await server.signUp();
  const first = await open('phone', alice);
  const id = (await first.send(first.eThree, bob.identity, 'Hello, Bob!')).id as string;

  for (const device of ['phone', 'laptop']) {
    const { read, eThree } = await open(device, alice);
    expect(await read(eThree, await new Parse.Query('Message').get(id))).toBe('Hello, Bob!');
  }
  expect(await server.read(id, bob)).not.toContain('Hello');
  const { read } = await load('bob', bob);
  expect(await read(bob.e3kit, await new Parse.Query('Message').get(id))).toBe('Hello, Bob!');
  await Parse.User.become(alice.sessionToken);
  await Parse.User.logOut();
  await expect(new Parse.Query('Message').get(id)).rejects.toMatchObject({ code: 101 });
});

describe('its start', () => {
  test.each(['the same device', 'another device'])(
    'goes on, on %s, wherever the one before was killed',
    async (where) => {
      let changes = 0;
      for (let wasKilled = true; wasKilled; ) {
        const account = await server.signUp();
        wasKilled = await startAndKill(`phone of ${account.identity}`, account, ++changes);
        const next = where === 'another device' ? 'laptop' : 'phone';
        await expectWhole(account, await open(`${next} of ${account.identity}`, account));
      }
      expect(changes).toBe(6); // it was killed after each of five
    },
  );

  test('backs up a published key that has no backup, which a device without the key cannot do', async () => {
    const account = await server.signUp();
    const getToken = () => server.virgilJwt(account);
    await (await e3kit.EThree.initialize(getToken, optionsOn('old phone'))).register();
    await expect(open('no phone', account)).rejects.toMatchObject({ name: 'PrivateKeyNoBackupError' });
    await expectWhole(account, await open('old phone', account));
  });

  test('needs no password where the key is on the device, and takes no other one for the backup', async () => {
    const account = await server.signUp();
    await open('her phone', account);
    await expect(open('her phone', account, 'another')).rejects.toMatchObject({
      name: 'WrongKeyknoxPasswordError',
    });
    // What docs/clients.md says to do then.
    const { eThree } = await open('her phone', account, '');
    await eThree.resetPrivateKeyBackup();
    await open('her phone', account, 'another');
    await open('her laptop', account, 'another');
  });
});

describe('its read', () => {
  test('opens what the sender wrote before and after a change of key', async () => {
    const alice = await server.signUp();
    const { read, eThree } = await open('phone of a reader', alice);
    const sender = await server.register();
    const write = async (author: e3kit.EThree, text: string) =>
      server.save(await author.authEncrypt(text, await author.findUsers(alice.identity)), sender, alice);
    const ids = [await write(sender.e3kit, 'first')];
    for (const text of ['second', 'third']) {
      const phone = await server.newDevice(sender);
      await phone.rotatePrivateKey();
      ids.push(await write(phone, text));
    }
    const { sessionToken } = alice;
    const rows = await Promise.all(ids.map((id) => new Parse.Query('Message').get(id, { sessionToken })));
    expect(await Promise.all(rows.map((row) => read(eThree, row)))).toEqual(['first', 'second', 'third']);
  });

  test('refuses what another has written in the sender’s name', async () => {
    const alice = await server.signUp();
    const { read, eThree } = await open('phone of another reader', alice);
    const mallory = await server.register();
    const body = await mallory.e3kit.authEncrypt('Hi!', await mallory.e3kit.findUsers(alice.identity));
    const forged = { body, senderId: bob.identity, ACL: { [alice.identity]: { read: true } } };
    const { objectId } = (await server.rest.call('POST', '/classes/Message', forged, { master: true })).body;
    const { sessionToken } = alice;
    const row = await new Parse.Query('Message').get(objectId, { sessionToken });
    await expect(read(eThree, row)).rejects.toMatchObject({ name: 'VirgilCryptoError' });
  });
});
