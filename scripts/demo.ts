import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { EThree } from '@virgilsecurity/e3kit-node';
import Parse from 'parse/node';
import type { VirgilPublicKey } from 'virgil-crypto';
import type { ICard } from 'virgil-sdk';
import { recogniseEnvelope } from '../cloud/envelope/recognise-envelope';
import { runCommand } from './command-line/command';
import { UserError } from './command-line/user-error';
import { withTemporaryServer } from './local/temporary-server';

const PLAINTEXT = 'Hi Bob, the results are here: all clear.';

// Two users exchange an encrypted message through a local server. Every line is what has just happened.
runCommand('demo', () => withTemporaryServer(demonstrate));

async function demonstrate(folder: string, running: Promise<string>): Promise<void> {
  const url = await step('Start Parse Server, its database and the local Virgil Cloud', () => running);
  const credentials = JSON.parse(readFileSync(join(folder, '.local/credentials.json'), 'utf8'));
  Parse.initialize('e2ee-local', undefined, credentials.PARSE_MASTER_KEY);
  Parse.serverURL = `${url}/parse`;
  show('where', url);

  const [alice, bob] = await step('Alice and Bob sign up with Parse', () =>
    Promise.all([signUp('alice'), signUp('bob')]),
  );
  show('identities', `Alice ${alice.identity}, Bob ${bob.identity}`);

  const [aliceE3Kit, bobE3Kit] = await step(
    'Each gets a token from virgil-jwt and registers with E3Kit',
    () => Promise.all([register(alice, url, folder), register(bob, url, folder)]),
  );

  const [aliceCard, bobCard] = await step('They find each other', () =>
    Promise.all([bobE3Kit.findUsers(alice.identity), aliceE3Kit.findUsers(bob.identity)]),
  );
  show('key IDs', `Alice ${keyId(aliceCard)}, Bob ${keyId(bobCard)}`);

  const { id } = await step(
    'Alice encrypts a message for Bob and saves it through Parse Server',
    async () => {
      const envelope = await aliceE3Kit.authEncrypt(PLAINTEXT, bobCard);
      return saveMessage(alice, bob, envelope as string);
    },
  );
  show('Alice wrote', PLAINTEXT);

  const row = await step('The row in the database, read with the master key', () =>
    new Parse.Query('Message').get(id as string, { useMasterKey: true }),
  );
  for (const [field, value] of Object.entries(row.toJSON())) {
    show(field, shorten(typeof value === 'string' ? value : JSON.stringify(value)));
  }
  const names = new Map([
    [keyId(aliceCard), 'Alice'],
    [keyId(bobCard), 'Bob'],
  ]);
  show('in words', inWords(row.get('body'), names));

  const decrypted = await step('Bob reads the row and decrypts it', async () => {
    const { sessionToken } = bob;
    const message = await new Parse.Query('Message').get(id as string, { sessionToken });
    const text = await bobE3Kit.authDecrypt(message.get('body'), aliceCard);
    if (text !== PLAINTEXT) throw new Error('it is not what Alice wrote.');
    return text;
  });
  show('Bob reads', decrypted);

  const refusal = await step('Alice forgets to encrypt, and the server refuses', () =>
    refused(saveMessage(alice, bob, PLAINTEXT)),
  );
  show(`error ${refusal.code}`, refusal.message);

  const forgotten = await step(
    'Alice encrypts and leaves Bob out, in a class whose policy says "recipients": "acl"',
    async () =>
      refused(
        saveMessage(alice, bob, (await aliceE3Kit.authEncrypt(PLAINTEXT)) as string, 'PlaygroundMessage'),
      ),
  );
  show(`error ${forgotten.code}`, forgotten.message);
  console.log('\nThat was all on this machine. npm start runs the same server for your app.');
}

interface User {
  name: string;
  /** The user's objectId. */
  identity: string;
  sessionToken: string;
}

async function signUp(name: string): Promise<User> {
  const user = await new Parse.User({ username: name, password: 'a password' }).signUp();
  return { name, identity: user.id as string, sessionToken: user.getSessionToken() as string };
}

/** What an app does when its user has signed up. It makes no backup of the key: the README's `start` does. */
async function register({ name, sessionToken }: User, url: string, folder: string): Promise<EThree> {
  const getToken = async () => {
    const { token } = await Parse.Cloud.run('virgil-jwt', {}, { sessionToken });
    return token;
  };
  const e3kit = await EThree.initialize(getToken, {
    apiUrl: `${url}/virgil`, // without it, E3Kit talks to Virgil Cloud
    storageName: join(folder, `keys-of-${name}`),
    groupStorageName: join(folder, `groups-of-${name}`),
  });
  await e3kit.register();
  return e3kit;
}

/** The error with which the guard refuses a save. */
async function refused(save: Promise<unknown>): Promise<Parse.Error> {
  const error = await save.catch((reason: Parse.Error) => reason);
  if (!(error instanceof Parse.Error)) throw new Error('it was saved.');
  if (error.code !== Parse.Error.VALIDATION_ERROR) throw error;
  return error;
}

/** @param className `Message`, or the class of the local server's page, whose policy asks whom a message is for */
function saveMessage(
  sender: User,
  recipient: User,
  body: string,
  className = 'Message',
): Promise<Parse.Object> {
  const acl = new Parse.ACL();
  acl.setReadAccess(sender.identity, true);
  acl.setReadAccess(recipient.identity, true);
  const message = new Parse.Object(className, { body, senderId: sender.identity });
  message.setACL(acl);
  return message.save(null, { sessionToken: sender.sessionToken });
}

function keyId(card: ICard): string {
  return (card.publicKey as VirgilPublicKey).identifier.toString('hex');
}

/** What anyone can read in an envelope, in plain words: no key is needed. */
function inWords(body: string, names: Map<string, string>): string {
  const envelope = recogniseEnvelope(body, { allowLegacyEncrypt: false });
  if (envelope.kind !== 'message') throw new UserError('The row holds no message envelope.');
  const recipients = envelope.recipients.map((recipient) => {
    const id = Buffer.from(recipient).toString('hex');
    return `${names.get(id) ?? 'a stranger'} (key ID ${id})`;
  });
  const ciphertextBytes = Buffer.byteLength(body, 'base64') - envelope.ciphertextOffset;
  return (
    `An envelope for ${recipients.join(' and ')}: ${ciphertextBytes} bytes of ciphertext, ` +
    `${envelope.signedInside ? 'signed inside' : 'not signed'}.`
  );
}

/** Prints what is under way, a dot every half second, and how it ended. */
async function step<Result>(title: string, act: () => Promise<Result>): Promise<Result> {
  process.stdout.write(`\n${styleText('bold', title)} `);
  const ticking = setInterval(() => process.stdout.write('.'), 500);
  try {
    const result = await act();
    console.log(styleText('green', '✔'));
    return result;
  } catch (error) {
    console.log(styleText('red', '✘'));
    throw new UserError(`The demo has failed. ${title}: ${(error as Error).message}`);
  } finally {
    clearInterval(ticking);
  }
}

function show(label: string, value: string): void {
  console.log(`  ${styleText('dim', label.padEnd(12))}  ${value}`);
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 64)}… (${text.length} characters)` : text;
}
