import { IdentityAlreadyExistsError } from '@virgilsecurity/e3kit-node';
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

const TEXT = 'The results are here: all clear.';
const PLAINTEXT_REFUSED = { code: Parse.Error.VALIDATION_ERROR };

/** What Alice encrypts for the others. */
async function encryptFor(...recipients: Person[]): Promise<string> {
  const users = await alice.e3kit.findUsers(recipients.map(({ identity }) => identity));
  return (await alice.e3kit.authEncrypt(TEXT, users)) as string;
}

/** What somebody makes of it, who takes it for Alice's. */
async function decrypt(person: Person, envelope: string): Promise<unknown> {
  return person.e3kit.authDecrypt(envelope, await person.e3kit.findUsers(alice.identity));
}

describe('users', () => {
  test('register once', async () => {
    await expect(alice.e3kit.register()).rejects.toThrow(IdentityAlreadyExistsError);
    const otherDevice = await server.newDevice(alice);
    await expect(otherDevice.register()).rejects.toThrow(IdentityAlreadyExistsError);
  });

  test('find each other by objectId', async () => {
    const found = await alice.e3kit.findUsers([bob.identity, carol.identity]);
    expect(Object.keys(found).sort()).toEqual([bob.identity, carol.identity].sort());
    expect(found[bob.identity]?.identity).toBe(bob.identity);
  });

  test('find nobody who has not registered', async () => {
    const { identity } = await server.signUp();
    await expect(alice.e3kit.findUsers([bob.identity, identity])).rejects.toMatchObject({
      name: 'UsersNotFoundError',
      identities: [identity],
    });
  });
});

describe('a message', () => {
  test('to one: goes through Parse Server, and only its recipient and its sender can read it', async () => {
    const id = await server.save(await encryptFor(bob), alice, bob);
    const envelope = await server.read(id, bob);
    expect(envelope).not.toContain(TEXT);
    expect(await decrypt(bob, envelope)).toBe(TEXT);
    expect(await decrypt(alice, envelope)).toBe(TEXT);

    await expect(server.read(id, carol)).rejects.toMatchObject({ code: Parse.Error.OBJECT_NOT_FOUND });
    await expect(decrypt(carol, envelope)).rejects.toThrow('Recipient');
  });

  test('to many: each of them can read it, and nobody else', async () => {
    const id = await server.save(await encryptFor(bob, carol), alice, bob, carol);
    for (const person of [bob, carol]) {
      expect(await decrypt(person, await server.read(id, person))).toBe(TEXT);
    }
    const dave = await server.register();
    await expect(decrypt(dave, await server.read(id, alice))).rejects.toThrow('Recipient');
  });

  test('names its recipients and is signed inside', async () => {
    const envelope = recogniseEnvelope(await encryptFor(bob, carol), { allowLegacyEncrypt: false });
    expect(envelope).toMatchObject({ kind: 'message', signedInside: true });
    expect(envelope).toHaveProperty('recipients.length', 3);
  });

  test("is not taken for somebody else's", async () => {
    const envelope = await encryptFor(bob);
    const carolCard = await bob.e3kit.findUsers(carol.identity);
    await expect(bob.e3kit.authDecrypt(envelope, carolCard)).rejects.toMatchObject({
      name: 'VirgilCryptoError',
    });
  });

  test('that was tampered with is not decrypted, whichever byte it is', async () => {
    const bytes = Buffer.from(await encryptFor(bob), 'base64');
    const { ciphertextOffset } = recogniseEnvelope(bytes.toString('base64'), { allowLegacyEncrypt: false });
    for (const position of [ciphertextOffset, ciphertextOffset + 40, bytes.length - 1]) {
      const tampered = Buffer.from(bytes);
      tampered[position] = (tampered[position] as number) ^ 1;
      // The guard knows the form, not the keys: this is left to E3Kit.
      const id = await server.save(tampered.toString('base64'), alice, bob);
      await expect(decrypt(bob, await server.read(id, bob))).rejects.toMatchObject({
        name: 'FoundationError',
      });
    }
    expect(await decrypt(bob, bytes.toString('base64'))).toBe(TEXT);
  });
});

describe('the guard', () => {
  test('refuses plaintext, whose author forgot to encrypt', async () => {
    await expect(server.save(TEXT, alice, bob)).rejects.toMatchObject(PLAINTEXT_REFUSED);
  });

  test('refuses what the deprecated encrypt() makes', async () => {
    const card = await alice.e3kit.findUsers(bob.identity);
    const legacy = await alice.e3kit.encrypt(TEXT, card);
    await expect(server.save(legacy, alice, bob)).rejects.toMatchObject(PLAINTEXT_REFUSED);
  });

  test('is what refuses it: in a class that is not guarded, plaintext is saved', async () => {
    const { sessionToken, identity } = alice;
    await new Parse.Object('Unguarded').save(null, { useMasterKey: true }); // clients may not create classes
    const message = new Parse.Object('Unguarded', { body: TEXT, senderId: identity });
    await message.save(null, { sessionToken });
    expect((await new Parse.Query('Unguarded').get(message.id as string)).get('body')).toBe(TEXT);
  });
});
