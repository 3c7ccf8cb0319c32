import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Parse from 'parse/node';
import { type E3KitServer, type Person, startE3KitServer } from '../support/e3kit';
import { onMongoDb } from '../support/engine';

let server: E3KitServer;
let alice: Person;
let bob: Person;

beforeAll(async () => {
  server = await startE3KitServer();
  [alice, bob] = await Promise.all([server.register(), server.register()]);
});
afterAll(() => server?.stop());

const PHOTO = Buffer.concat([Buffer.from('A holiday in Bergen'), randomBytes(50_000)]);

/** As docs/files.md has it. */
async function upload(bytes: Buffer, by = alice) {
  const file = new Parse.File('e2ee.bin', { base64: bytes.toString('base64') });
  return (await file.save({ sessionToken: by.sessionToken })) as Parse.File;
}
const download = async (url = '') => Buffer.from(await (await fetch(url)).arrayBuffer());

describe('a file, on the server of `npm start`', () => {
  test('goes encrypted from one to the other', async () => {
    const sealed = (await alice.e3kit.authEncrypt(
      PHOTO,
      await alice.e3kit.findUsers(bob.identity),
    )) as Buffer;
    const file = await upload(sealed);
    const stored = await download(file.url());
    expect(stored.equals(sealed)).toBe(true);
    expect(stored.includes('Bergen')).toBe(false);
    const opened = await bob.e3kit.authDecrypt(stored, await bob.e3kit.findUsers(alice.identity));
    expect(PHOTO.equals(opened as Buffer)).toBe(true);
  });

  test('is refused where it is not encrypted, and stored where its name begins as the policy says', async () => {
    await expect(upload(PHOTO)).rejects.toMatchObject({ code: Parse.Error.VALIDATION_ERROR });
    const avatar = new Parse.File('avatar-alice.png', { base64: PHOTO.toString('base64') });
    await avatar.save({ sessionToken: alice.sessionToken });
    expect(PHOTO.equals(await download(avatar.url()))).toBe(true);
  });

  test('may be named in a row by its address, whichever name of this machine is in it', async () => {
    const file = await upload((await alice.e3kit.authEncrypt(PHOTO)) as Buffer);
    await server.rest.call(
      'POST',
      '/schemas/Album',
      { className: 'Album', fields: { cover: { type: 'File' } } },
      { master: true },
    );
    for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
      const cover = { __type: 'File', name: file.name(), url: file.url()?.replace('127.0.0.1', host) };
      const { status, body } = await server.rest.call('POST', '/classes/Album', { cover }, alice);
      expect([status, body]).toEqual([201, body]);
      expect(
        (await server.rest.call('GET', `/classes/Album/${body.objectId}`, undefined, alice)).body.cover,
      ).toEqual({
        __type: 'File',
        name: file.name(),
        url: file.url(),
      });
    }
    const elsewhere = { __type: 'File', name: file.name(), url: `http://example.com/${file.name()}` };
    expect((await server.rest.call('POST', '/classes/Album', { cover: elsewhere }, alice)).body.code).toBe(
      130,
    );
  });

  const inFolder = onMongoDb ? test.skip : test;
  inFolder('is in .local/files, where the database does not take it', () => {
    const files = readdirSync(join(server.folder, '.local/files'));
    expect(files.filter((name) => name.endsWith('.bin')).length).toBe(2);
    expect(readdirSync(server.folder)).not.toContain('files');
  });
});
