import {
  IdentityAlreadyExistsError,
  MissingPrivateKeyError,
  PrivateKeyNoBackupError,
  WrongKeyknoxPasswordError,
} from '@virgilsecurity/e3kit-node';
import { type E3KitServer, type Person, startE3KitServer } from '../support/e3kit';

let server: E3KitServer;
let alice: Person;
let bob: Person;

beforeAll(async () => {
  server = await startE3KitServer();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  [alice, bob] = await Promise.all([server.register(), server.register()]);
});

const TEXT = 'The results are here: all clear.';

/** Bob writes to Alice, through Parse Server. */
async function bobWrites(): Promise<string> {
  const envelope = await bob.e3kit.authEncrypt(TEXT, await bob.e3kit.findUsers(alice.identity));
  return server.read(await server.save(envelope, bob, alice), alice);
}

/** What Alice reads on one of her devices. */
async function aliceReads(envelope: string, e3kit = alice.e3kit): Promise<unknown> {
  return e3kit.authDecrypt(envelope, await e3kit.findUsers(bob.identity));
}

describe('a second device', () => {
  test('has no private key, and cannot read or register', async () => {
    const phone = await server.newDevice(alice);
    expect(await phone.hasLocalPrivateKey()).toBe(false);
    await expect(aliceReads(await bobWrites(), phone)).rejects.toThrow(MissingPrivateKeyError);
    await expect(phone.register()).rejects.toThrow(IdentityAlreadyExistsError);
  });

  test('restores the private key with the password of its backup, and reads what came before', async () => {
    const envelope = await bobWrites();
    await alice.e3kit.backupPrivateKey('a password');
    const phone = await server.newDevice(alice);
    await phone.restorePrivateKey('a password');
    expect(await aliceReads(envelope, phone)).toBe(TEXT);
  });

  test('restores nothing with another password, or another user', async () => {
    await alice.e3kit.backupPrivateKey('a password');
    const phone = await server.newDevice(alice);
    await expect(phone.restorePrivateKey('another')).rejects.toThrow(WrongKeyknoxPasswordError);
    const bobsPhone = await server.newDevice(bob);
    await expect(bobsPhone.restorePrivateKey('a password')).rejects.toThrow(PrivateKeyNoBackupError);
    expect(await phone.hasLocalPrivateKey()).toBe(false);
    expect(await bobsPhone.hasLocalPrivateKey()).toBe(false);
  });
});

describe('a backup', () => {
  test('whose password has been changed opens with the new one alone', async () => {
    await alice.e3kit.backupPrivateKey('old');
    await alice.e3kit.changePassword('old', 'new');
    const phone = await server.newDevice(alice);
    await expect(phone.restorePrivateKey('old')).rejects.toThrow(WrongKeyknoxPasswordError);
    await phone.restorePrivateKey('new');
    expect(await aliceReads(await bobWrites(), phone)).toBe(TEXT);
  });

  test('that has been reset is gone', async () => {
    await alice.e3kit.backupPrivateKey('a password');
    await alice.e3kit.resetPrivateKeyBackup();
    const phone = await server.newDevice(alice);
    await expect(phone.restorePrivateKey('a password')).rejects.toThrow(PrivateKeyNoBackupError);
  });
});

describe('a rotated private key', () => {
  test('reads what is written from then on, and not what came before', async () => {
    const before = await bobWrites();
    const phone = await server.newDevice(alice);
    await phone.rotatePrivateKey();
    expect(await aliceReads(await bobWrites(), phone)).toBe(TEXT);
    await expect(aliceReads(before, phone)).rejects.toThrow('Recipient');
    await expect(aliceReads(await bobWrites())).rejects.toThrow('Recipient');
  });

  test('leaves one card, which follows the old one', async () => {
    const before = await bob.e3kit.findUsers(alice.identity);
    await (await server.newDevice(alice)).rotatePrivateKey();
    const after = await bob.e3kit.cardManager.searchCards(alice.identity);
    expect(after).toHaveLength(1);
    expect(after[0]).toMatchObject({ previousCardId: before.id, previousCard: { id: before.id } });
  });

  test('leaves old messages of its owner verifiable, by their date', async () => {
    const envelope = await bobWrites();
    const writtenAt = new Date();
    // Cards know their second, not more.
    await new Promise((done) => setTimeout(done, 1001));
    await (await server.newDevice(bob)).rotatePrivateKey();
    const bobCard = await alice.e3kit.findUsers(bob.identity);
    await expect(alice.e3kit.authDecrypt(envelope, bobCard)).rejects.toMatchObject({
      name: 'VirgilCryptoError',
    });
    expect(await alice.e3kit.authDecrypt(envelope, bobCard, writtenAt)).toBe(TEXT);
  });
});
