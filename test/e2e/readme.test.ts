import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as e3kit from '@virgilsecurity/e3kit-node';
import { transformSync } from 'esbuild';
import Parse from 'parse/node';
import { projectRoot } from '../../scripts/project/bundle';
import { type Account, type E3KitServer, startE3KitServer } from '../support/e3kit';

/** What the README's sample exports. */
interface Sample {
  start(backupPassword: string): Promise<e3kit.EThree>;
  send(eThree: e3kit.EThree, readerId: string, text: string): Promise<Parse.Object>;
  read(eThree: e3kit.EThree, message: Parse.Object): Promise<string>;
}

let server: E3KitServer;
let alice: Account;
let bob: Account;
beforeAll(async () => {
  server = await startE3KitServer();
  Parse.User.enableUnsafeCurrentUser(); // as a browser has it
  alice = await server.signUp();
  bob = await server.signUp();
});
afterAll(() => server?.stop());

let starts = 0;

/** The sample as it starts on a device. Here in Node, so with E3Kit for Node, which has the same API. */
async function open(device: string, { username }: Account): Promise<Sample & { eThree: e3kit.EThree }> {
  await Parse.User.logIn(username, 'a password');
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const [, code = ''] = /## Call it from a client\n+```js\n(.*?)```/s.exec(readme) ?? [];
  const EThree = {
    initialize: (getToken: () => Promise<string>) =>
      e3kit.EThree.initialize(getToken, {
        apiUrl: server.virgilCloudUrl,
        storageName: join(server.folder, device),
        groupStorageName: join(server.folder, `groups-${++starts}`), // which a start before still has open
      }),
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
  const sample = module.exports as Sample;
  return { ...sample, eThree: await sample.start('a backup password') };
}

test('the sample of the README starts the first time, again, and on another device, and sends and reads', async () => {
  await open('bob', bob);
  const first = await open('phone', alice);
  const id = (await first.send(first.eThree, bob.identity, 'Hello, Bob!')).id as string;

  for (const device of ['phone', 'laptop']) {
    const { read, eThree } = await open(device, alice);
    expect(await read(eThree, await new Parse.Query('Message').get(id))).toBe('Hello, Bob!');
  }
  const { read, eThree } = await open('bob', bob);
  const message = await new Parse.Query('Message').get(id);
  expect(message.get('body')).not.toContain('Hello');
  expect(await read(eThree, message)).toBe('Hello, Bob!');
  await Parse.User.logOut();
  await expect(new Parse.Query('Message').get(id)).rejects.toMatchObject({ code: 101 });
});
