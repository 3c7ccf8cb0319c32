import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { recogniseEnvelope } from '../../cloud/envelope/recognise-envelope';
import { projectRoot } from '../../scripts/project/bundle';
import { tokensIn } from '../support/tokens-in';

const temporary = mkdtempSync(join(tmpdir(), 'e2ee-demo-test-'));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

const demoFolders = () => readdirSync(temporary).filter((name) => name.startsWith('e2ee-temporary-'));

/**
 * Runs `npm run demo` into a pipe, in a shell that has settings of its own.
 *
 * @param meddle is given the local server's process once that is under way
 */
async function runDemo(meddle: (serverPid: number, demoPid: number) => void = () => {}) {
  const child = spawn(
    process.execPath,
    ['--import', pathToFileURL(require.resolve('tsx')).href, join(projectRoot, 'scripts/demo.ts')],
    {
      cwd: temporary,
      env: {
        PATH: process.env.PATH,
        TMPDIR: temporary,
        DATABASE_URI: 'postgres://127.0.0.1:1/none',
        PORT: 'x',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  const ended = new Promise<number | null>((done) => child.once('close', done));
  const serverPid = await pidOfServer();
  meddle(serverPid, child.pid as number);
  return { code: await ended, serverPid, ...output };
}

async function pidOfServer(): Promise<number> {
  for (;;) {
    const [folder = ''] = demoFolders();
    const file = join(temporary, folder, '.local/pid');
    const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
    if (pid > 0) return pid;
    await new Promise((done) => setTimeout(done, 20));
  }
}

function expectNothingLeft(serverPid: number): void {
  expect(demoFolders()).toEqual([]);
  expect(() => process.kill(serverPid, 0)).toThrow('ESRCH');
}

describe('npm run demo', () => {
  let demo: Awaited<ReturnType<typeof runDemo>>;
  const line = (label: string) =>
    new RegExp(`^  ${label} +(.+)$`, 'm').exec(demo.stdout)?.[1] ?? `no line "${label}"`;

  beforeAll(async () => {
    demo = await runDemo();
  });

  test('ends well, leaving no process and no folder', () => {
    expect(demo).toMatchObject({ code: 0, stderr: '' });
    expectNothingLeft(demo.serverPid);
  });

  test('writes no escape codes and no tokens into a pipe', () => {
    expect(demo.stdout).not.toContain('\u001b');
    expect(tokensIn(demo.stdout)).toEqual([]);
  });

  test('Bob reads what Alice wrote, and the row does not hold it', () => {
    const written = line('Alice wrote');
    expect(written.length).toBeGreaterThan(10);
    expect(line('Bob reads')).toBe(written);
    expect(demo.stdout.split(written)).toHaveLength(3);
  });

  test("the row is the sender's and holds the start of an envelope", () => {
    const [, alice, bob] = /^Alice (\w{10}), Bob (\w{10})$/.exec(line('identities')) ?? [];
    expect(line('senderId')).toBe(alice);
    expect(JSON.parse(line('ACL'))).toEqual({ [`${alice}`]: { read: true }, [`${bob}`]: { read: true } });
    expect(line('body')).toMatch(/^MII[\w+/]{61}… \(\d+ characters\)$/);
  });

  test('names the recipients by the key IDs of their cards', () => {
    const [, alice, bob] = /^Alice (\w{16}), Bob (\w{16})$/.exec(line('key IDs')) ?? [];
    expect(line('in words')).toMatch(/^An envelope for \w+ \(key ID \w+\) and \w+ \(key ID \w+\): \d+ bytes/);
    expect(line('in words')).toContain(`Alice (key ID ${alice})`);
    expect(line('in words')).toContain(`Bob (key ID ${bob})`);
    expect(line('in words')).toMatch(/signed inside\.$/);
  });

  test('shows the error with which the guard refused plaintext', () => {
    expect(() => recogniseEnvelope(line('Alice wrote'), { allowLegacyEncrypt: false })).toThrow('not base64');
    expect(line('error 142')).toBe(
      "Message.body is refused: not base64. Encrypt it with E3Kit's authEncrypt().",
    );
  });

  test('shows the error with which the guard refused a message that leaves Bob out', () => {
    const [, bob] = /, Bob (\w{10})$/.exec(line('identities')) ?? [];
    expect(demo.stdout).toContain(
      `PlaygroundMessage.body is not encrypted for ${bob}, who may read the row: encrypt it for every reader.`,
    );
  });
});

test('a server that dies ends the demo with code 1 and one line', async () => {
  const { code, stderr, serverPid } = await runDemo((server) => process.kill(server, 'SIGKILL'));
  expect(code).toBe(1);
  expect(stderr).toMatch(/^The demo has failed\. Start Parse Server.+: .+\n$/);
  expectNothingLeft(serverPid);
});

test('Ctrl-C ends the demo and leaves nothing', async () => {
  const { code, serverPid } = await runDemo((_server, demo) => process.kill(demo, 'SIGINT'));
  expect(code).not.toBe(0);
  expectNothingLeft(serverPid);
});
