import { spawn } from 'node:child_process';
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Parse from 'parse/node';
import { projectRoot } from '../../scripts/project/bundle';
import { type Account, type E3KitServer, type Person, startE3KitServer } from '../support/e3kit';

/** A user of a client in another language, in a folder of their own. */
export interface Client {
  /** Starts the sample. Resolves to what it prints on stdout, rejects with what it prints on stderr. */
  call(...args: string[]): Promise<string>;
  /** Starts a program of this folder as the sample is started. */
  run(file: string, ...args: string[]): Promise<string>;
  /** What the user can read, the oldest first. */
  read(): Promise<string[]>;
  account(): Account;
  /** Where the user's private key is. */
  keyFile(): string;
  /** Bob writes to them. */
  bobWrites(text: string): Promise<void>;
  server(): E3KitServer;
  /** Whom they write to: with E3Kit for JavaScript. */
  bob(): Person;
}

/** The commands for a sample, as its page has them: what installs it, and what starts it, up to its arguments. */
function commandsFor(language: string): { install: string; start: string } {
  const page = readFileSync(join(projectRoot, 'docs/clients.md'), 'utf8');
  const [, install, send] =
    new RegExp(`in \`docs/samples/${language}/\`:\n\n\`\`\`\n(.+)\n.+\n(.+) send `).exec(page) ?? [];
  return { install: install as string, start: send as string };
}

/**
 * Tests what every client must do, in this order.
 *
 * @param language whose sample it is: the name of its folder
 * @param checkToken the program of this folder that asks the SDK's verifier
 * @returns the client, for what it alone can do; its user is registered in all tests that follow
 */
export function testClient(language: string, checkToken: string): Client {
  const folder = mkdtempSync(join(tmpdir(), `e2ee-${language}-`));
  const { install, start } = commandsFor(language);
  let server: E3KitServer;
  let bob: Person;
  let account: Account;
  let environment: NodeJS.ProcessEnv;

  const shell = (command: string, ...args: string[]) =>
    new Promise<string>((done, fail) => {
      const child = spawn('sh', ['-c', `${command} "$@"`, 'sh', ...args], { cwd: folder, env: environment });
      const printed = { stdout: '', stderr: '' };
      for (const stream of ['stdout', 'stderr'] as const) {
        child[stream].setEncoding('utf8').on('data', (text: string) => {
          printed[stream] += text;
        });
      }
      child.once('error', fail);
      child.once('close', (status) =>
        status === 0
          ? done(printed.stdout.trim())
          : fail(new Error(`${command}: ${printed.stdout}${printed.stderr}`)),
      );
    });
  const call = (...args: string[]) => shell(start, ...args);
  const run = (file: string, ...args: string[]) =>
    shell(start.replace(/\S+$/, `'${join(__dirname, file)}'`), ...args);
  const read = async () => (await call('read')).split('\n');
  const rowsOf = async ({ sessionToken }: Account) =>
    (await new Parse.Query('Message').ascending('createdAt').find({ sessionToken })).map((row) =>
      row.get('body'),
    );
  /** What Bob reads last. */
  async function bobReads(): Promise<unknown> {
    return bob.e3kit.authDecrypt((await rowsOf(bob)).at(-1), await bob.e3kit.findUsers(account.identity));
  }
  async function bobWrites(text: string, author = bob.e3kit): Promise<void> {
    const envelope = await author.authEncrypt(text, await author.findUsers(account.identity));
    await server.save(envelope, bob, account);
  }

  beforeAll(async () => {
    const sources = join(projectRoot, 'docs/samples', language);
    for (const file of readdirSync(sources, { withFileTypes: true })) {
      if (file.isFile()) cpSync(join(sources, file.name), join(folder, file.name));
    }
    server = await startE3KitServer();
    bob = await server.register();
    environment = {
      ...process.env,
      PARSE_URL: Parse.serverURL,
      VIRGIL_API_URL: server.virgilCloudUrl,
      CHAT_USER: language,
      CHAT_PASSWORD: 'a password',
      BACKUP_KEY: randomBytes(32).toString('base64'),
      JAVA_TOOL_OPTIONS: '-XX:TieredStopAtLevel=1', // a program that runs so shortly starts in half the time
    };
    await shell(install);
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('signs up and publishes its key, which others find', async () => {
    const identity = await call('whoami');
    const user = await Parse.User.logIn(language, 'a password');
    account = { identity, username: language, sessionToken: user.getSessionToken() as string };
    expect(user.id).toBe(identity);
    expect((await bob.e3kit.findUsers(identity)).identity).toBe(identity);
  });

  test("its SDK's own verifier takes our tokens, and no others", async () => {
    const { VIRGIL_APP_KEY = '', VIRGIL_APP_KEY_ID = '' } = server.credentials;
    const appKey = createPrivateKey({
      key: Buffer.from(VIRGIL_APP_KEY, 'base64'),
      format: 'der',
      type: 'pkcs8',
    });
    const publicKey = createPublicKey(appKey).export({ format: 'der', type: 'spki' }).toString('base64');
    const verify = (token: string) => run(checkToken, publicKey, VIRGIL_APP_KEY_ID, token);
    const [header, , signature] = (await server.virgilJwt(account)).split('.');
    const [, anothers] = (await server.virgilJwt(bob)).split('.');
    expect(await verify(await server.virgilJwt(account))).toBe('true');
    expect(await verify(`${header}.${anothers}.${signature}`)).toBe('false');
  });

  test('sends what E3Kit can read, and reads that, what E3Kit sends, and nothing that another has signed', async () => {
    const id = await call('send', bob.identity, 'Hello, Bob! ☺');
    expect(await server.read(id, bob)).not.toContain('Hello');
    expect(await bobReads()).toBe('Hello, Bob! ☺');

    await bobWrites('Hello! ☺');
    const mallory = await server.register();
    await bobWrites('I am not Bob', mallory.e3kit);
    expect(await read()).toEqual(['Hello, Bob! ☺', 'Hello! ☺', '[cannot be opened]']);
  });

  test('is refused plain text', async () => {
    const before = await rowsOf(bob);
    await expect(call('send-plain', bob.identity, 'Hello, Bob!')).rejects.toThrow(/142.*Message\.body/);
    expect(await rowsOf(bob)).toEqual(before);
  });

  test('reads what somebody has sent before they changed their key, and finds the new one', async () => {
    await bob.e3kit.cleanup();
    await bob.e3kit.rotatePrivateKey();
    expect((await read())[1]).toBe('Hello! ☺');
    await call('send', bob.identity, 'To your new key');
    expect(await bobReads()).toBe('To your new key');
  });

  test('changes its key, to which others write from then on', async () => {
    const before = await bob.e3kit.findUsers(account.identity);
    await call('rotate');
    const card = await bob.e3kit.findUsers(account.identity);
    expect([card.id === before.id, card.previousCardId]).toEqual([false, before.id]);
    await bobWrites('To your new key');
    expect((await read()).at(-1)).toBe('To your new key');
    expect((await read())[0]).toBe('[cannot be opened]');
  });

  return {
    call,
    run,
    read,
    account: () => account,
    keyFile: () => join(folder, `${account.identity}.key`),
    bobWrites,
    server: () => server,
    bob: () => bob,
  };
}

/** What comes last: it takes the client's user away. */
export function testRevocation({ call, account, bob }: Client): void {
  test('takes its key out of the directory', async () => {
    await call('revoke');
    await expect(bob().e3kit.findUsers(account().identity)).rejects.toMatchObject({
      name: 'UsersNotFoundError',
    });
  });
}
