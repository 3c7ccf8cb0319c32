import Parse from 'parse/node';
import { Jwt } from 'virgil-sdk';
import { type BareParseServer, startBareParseServer } from '../../scripts/local/bare-parse-server';
import { envelopeMaker } from '../support/envelopes';
import { makeVirgilApplication } from '../support/virgil-application';
import { loadVirgilCrypto } from '../support/virgil-crypto';

// What Virgil's published Android chat does, call by call, with its fields and its ACL.

let server: BareParseServer;
let application: ReturnType<typeof makeVirgilApplication>;
let envelope: ReturnType<typeof envelopeMaker>;

beforeAll(async () => {
  const crypto = await loadVirgilCrypto();
  application = makeVirgilApplication(crypto);
  envelope = envelopeMaker(crypto);
  server = await startBareParseServer({ environment: application.environment });
  Parse.initialize(server.appId);
  Parse.serverURL = server.url;
});
afterAll(() => server?.stop());

async function signUp(username: string): Promise<{ user: Parse.User; sessionToken: string }> {
  const user = await new Parse.User({ username, password: 'a password' }).signUp();
  return { user, sessionToken: user.getSessionToken() as string };
}

function readableBy(...users: Parse.User[]): Parse.ACL {
  const acl = new Parse.ACL();
  acl.setPublicReadAccess(false);
  acl.setPublicWriteAccess(false);
  for (const user of users) acl.setReadAccess(user, true);
  return acl;
}

test('two users sign up, get tokens, open a thread and talk', async () => {
  const alice = await signUp('alice');
  const bob = await signUp('bob');

  for (const { user, sessionToken } of [alice, bob]) {
    const { token } = await Parse.Cloud.run('virgil-jwt', { sessionToken }, { sessionToken });
    const jwt = new Jwt(token);
    expect(application.verifier.verifyToken(jwt)).toBe(true);
    expect(jwt.identity()).toBe(user.id);
  }

  const thread = new Parse.Object('ChatThread', {
    senderUsername: 'alice',
    senderId: alice.user.id,
    recipientUsername: 'bob',
    recipientId: bob.user.id,
    createdAtDate: new Date().toString(),
  });
  thread.setACL(readableBy(alice.user, bob.user));
  await thread.save(null, { sessionToken: alice.sessionToken });

  const body = envelope('Hello, Bob!');
  const message = (text: string, sender: Parse.User) => {
    const object = new Parse.Object('Message', {
      senderId: sender.id,
      body: text,
      threadId: thread.id,
      timestamp: new Date().toString(),
    });
    object.setACL(readableBy(alice.user, bob.user));
    return object;
  };
  await message(body, alice.user).save(null, { sessionToken: alice.sessionToken });

  for (const { user, sessionToken } of [alice, bob]) {
    const threads = await Parse.Query.or(
      new Parse.Query('ChatThread').equalTo('senderId', user.id),
      new Parse.Query('ChatThread').equalTo('recipientId', user.id),
    )
      .descending('createdAt')
      .find({ sessionToken });
    expect(threads.map(({ id }) => id)).toEqual([thread.id]);
    const messages = await new Parse.Query('Message')
      .equalTo('threadId', thread.id)
      .descending('createdAt')
      .find({ sessionToken });
    expect(messages.map((row) => row.get('body'))).toEqual([body]);
  }

  const eve = await signUp('eve');
  expect(await new Parse.Query('Message').find({ sessionToken: eve.sessionToken })).toEqual([]);
  expect(await new Parse.Query('Message').find()).toEqual([]);

  const both = [message(envelope(), alice.user), message('Hello in the clear', alice.user)];
  await expect(Parse.Object.saveAll(both, { sessionToken: alice.sessionToken })).rejects.toMatchObject({
    code: Parse.Error.VALIDATION_ERROR,
  });
  expect(both.map(({ id }) => typeof id)).toEqual(['string', 'undefined']);
});
