import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EThree } from '@virgilsecurity/e3kit-node';
import Parse from 'parse/node';
import { prepareDatabase, startLocalServer } from './local-server';
import { restClient } from './rest';

/** Somebody who has signed up. */
export interface Account {
  /** The user's objectId. */
  identity: string;
  username: string;
  sessionToken: string;
}

/** Somebody who has signed up and registered with E3Kit, on a device of their own. */
export interface Person extends Account {
  e3kit: EThree;
}

/** A local server in a folder of its own, and what an app does there with the Parse SDK and E3Kit. */
export async function startE3KitServer() {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-e3kit-'));
  prepareDatabase(folder);
  const { url, kill } = await startLocalServer({ folder });
  const credentials = JSON.parse(readFileSync(join(folder, '.local/credentials.json'), 'utf8'));
  const masterKey: string = credentials.PARSE_MASTER_KEY;
  Parse.initialize('e2ee-local', undefined, masterKey);
  Parse.serverURL = `${url}/parse`;
  let users = 0;
  let devices = 0;

  async function signUp(): Promise<Account> {
    const username = `user-${++users}`;
    const user = await new Parse.User({ username, password: 'a password' }).signUp();
    return { identity: user.id as string, username, sessionToken: user.getSessionToken() as string };
  }

  async function virgilJwt({ sessionToken }: { sessionToken: string }): Promise<string> {
    return (await Parse.Cloud.run('virgil-jwt', {}, { sessionToken })).token;
  }

  /** E3Kit as on a new device: with an empty storage. */
  function newDevice(account: Account, getToken = () => virgilJwt(account)): Promise<EThree> {
    const storage = join(folder, `device-${++devices}`);
    return EThree.initialize(getToken, {
      apiUrl: `${url}/virgil`,
      storageName: join(storage, 'keys'),
      groupStorageName: join(storage, 'groups'),
    });
  }

  return {
    /** Goes when the server stops. */
    folder,
    virgilCloudUrl: `${url}/virgil`,
    credentials: credentials as Record<string, string>,
    rest: restClient({ url: Parse.serverURL, appId: 'e2ee-local', masterKey }),
    signUp,
    virgilJwt,
    newDevice,

    async register(): Promise<Person> {
      const account = await signUp();
      const e3kit = await newDevice(account);
      await e3kit.register();
      return { ...account, e3kit };
    },

    /** Saves a row of the guarded class `Message`, which sender and readers may read. */
    async save(body: unknown, sender: Account, ...readers: Account[]): Promise<string> {
      const acl = new Parse.ACL();
      acl.setWriteAccess(sender.identity, true);
      for (const { identity } of [sender, ...readers]) acl.setReadAccess(identity, true);
      const message = new Parse.Object('Message', { body, senderId: sender.identity });
      message.setACL(acl);
      const { id } = await message.save(null, { sessionToken: sender.sessionToken });
      return id as string;
    },

    /** What a reader finds in such a row. */
    async read(id: string, { sessionToken }: Account): Promise<string> {
      return (await new Parse.Query('Message').get(id, { sessionToken })).get('body');
    },

    async stop(): Promise<void> {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type E3KitServer = Awaited<ReturnType<typeof startE3KitServer>>;
