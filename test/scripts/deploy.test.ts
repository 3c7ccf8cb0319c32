import { type ChildProcess, spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { uploadedFiles } from '../../scripts/deploy/upload-rules';
import { type Account, contentsOf, DEFAULT_ACCOUNT, installB4a, LINK } from '../support/b4a';
import { obeyedIn } from '../support/hostile-server';
import { makeProject } from '../support/project';

const project = makeProject();
const outside = mkdtempSync(join(tmpdir(), 'e2ee-b4a-'));
const b4a = installB4a(outside);
const releases = join(project.folder, '.local/releases');
const bundle = join(project.folder, 'cloud/main.js');
const rejectedKey = 'qE5rT6yU7iO8pA9sD0fG1hJ2kL3zX4cV5bN6mQ7w';
afterAll(() => {
  project.remove();
  rmSync(outside, { recursive: true });
});

const withoutB4a = { PATH: dirname(process.execPath) };
const deploy = (args: string[], environment: Record<string, string> = {}) =>
  project.run('deploy', args, { ...b4a.environment, ...environment });
/** Runs a command line that was printed, in the project. */
const shell = (line: string) =>
  spawnSync('sh', ['-c', line], { cwd: project.folder, env: b4a.environment, encoding: 'utf8' });
const commandsOf = (calls: { command: string }[]) => calls.map(({ command }) => command);
const built = () => readFileSync(bundle, 'latin1');

beforeEach(() => {
  b4a.reset();
  rmSync(join(project.folder, '.local'), { recursive: true, force: true });
  for (const [file, content] of Object.entries(LINK)) project.write(file, content);
});

describe('what b4a uploads', () => {
  test('exactly main.js, of all that is under cloud/', async () => {
    await project.run('build');
    expect(uploadedFiles(project.folder)).toEqual(['cloud/main.js']);
  });

  test('not what an editor or npm leaves there either', () => {
    const cloud = join(project.folder, 'cloud');
    const leftovers = ['.main.ts.swp', 'main.ts~', '#main.ts#', 'node_modules/index.js', 'tokens/.DS_Store'];
    mkdirSync(join(cloud, 'node_modules'));
    for (const leftover of leftovers) writeFileSync(join(cloud, leftover), '');
    expect(uploadedFiles(project.folder)).toEqual(['cloud/main.js']);
    for (const leftover of leftovers) rmSync(join(cloud, leftover));
    rmSync(join(cloud, 'node_modules'), { recursive: true });
  });

  test('the sources too, were it not for .parseignore', () => {
    const bare = join(outside, 'bare');
    cpSync(join(project.folder, 'cloud'), join(bare, 'cloud'), { recursive: true });
    expect(uploadedFiles(bare)).toEqual(
      expect.arrayContaining(['cloud/main.ts', 'cloud/tokens/virgil-token.ts']),
    );
  });
});

describe('npm run deploy', () => {
  test('builds, checks, and has b4a deploy in the project, whose output is passed through', async () => {
    rmSync(bundle, { force: true });
    const { status, stdout } = await deploy(['--yes']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ok +bundle alone/m);
    expect(stdout).toContain('b4a replaces the whole release of My App, all of cloud/ and of public/');
    expect(stdout).toContain('The app has no release yet: nothing is lost.');
    expect(stdout).toContain('New release is named v1 (using Parse JavaScript SDK v4.0.0)');
    expect(existsSync(bundle)).toBe(true);
    expect(b4a.deployments()).toEqual([
      expect.objectContaining({ cwd: project.folder, args: [], id: 'ID1', hasCredentials: false }),
    ]);
  });

  test('deploys exactly the files that it names', async () => {
    const { stdout } = await deploy(['--yes']);
    expect(stdout).toContain('with this:\n  cloud/main.js\nThe app has no release yet');
    expect(b4a.live()).toEqual({ 'cloud/main.js': built() });
  });

  test('names no loss where what is live is what is here', async () => {
    await project.run('build');
    b4a.setLive({ 'cloud/main.js': built() });
    const { stdout } = await deploy(['--yes']);
    expect(stdout).toContain('Files in the live release: 1.');
    expect(stdout).not.toContain('would lose');
    expect(stdout).not.toContain('replaced by');
  });

  test('is over, and well, where b4a has nothing to change', async () => {
    await deploy(['--yes']);
    const { status, stdout } = await deploy(['--yes']);
    expect(stdout).toContain('Not creating a release because no files have changed\n');
    expect(status).toBe(0);
  });

  describe('over a release that holds what is not here', () => {
    const before = {
      'cloud/main.js': 'the app of before',
      'cloud/jobs/cleanup.js': '',
      'cloud/policy.ts': 'here too, but not uploaded',
      'public/logo.png': '\x89PNG\r\n\x1a\n\0\xff',
    };
    const wouldLose =
      'would lose these:\n  cloud/jobs/cleanup.js\n  cloud/main.js\n  cloud/policy.ts\n  public/logo.png\n';
    beforeEach(() => b4a.setLive(before));

    test('--dry-run names what would be lost, and leaves all as it is', async () => {
      const { status, stdout } = await deploy(['--yes', '--replace-release', '--dry-run']);
      expect(status).toBe(0);
      expect(stdout).toContain(wouldLose);
      expect(commandsOf(b4a.calls())).toEqual(['download']);
      expect(b4a.live()).toEqual(before);
      expect(existsSync(releases)).toBe(false);
    });

    test('--yes alone replaces nothing, and names the option that would', async () => {
      const { status, stdout, stderr } = await deploy(['--yes']);
      expect(status).toBe(1);
      expect(stdout).toContain(wouldLose);
      expect(stderr).toContain('Say --replace-release');
      expect(b4a.live()).toEqual(before);
      expect(existsSync(releases)).toBe(false);
    });

    test.each([
      ['n', 1, 0],
      ['y', 0, 1],
    ])('--yes on a terminal asks all the same: %s', async (answer, exitCode, deployed) => {
      const questions: [string, string][] = [['Deploy to My App all the same? [y/N]', answer]];
      const { status, shown } = await project.runOnTerminal('deploy', ['--yes'], questions, b4a.environment);
      expect(status).toBe(exitCode);
      expect(shown).not.toContain('Successfully downloaded');
      expect(b4a.deployments()).toHaveLength(deployed);
    });

    test('--replace-release replaces it, and keeps it as b4a has downloaded it', async () => {
      const { status, stdout } = await deploy(['--replace-release']);
      expect(status).toBe(0);
      expect(Object.keys(b4a.live())).toEqual(['cloud/main.js']);
      expect(readdirSync(releases)).toEqual([expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d.-]+Z$/)]);
      const folder = join('.local/releases', readdirSync(releases)[0] as string);
      expect(stdout).toContain(`  cd ${folder} && b4a deploy 'My App'\n`);
      const {
        '.parse.project': link,
        '.parse.local': local,
        ...files
      } = contentsOf(join(project.folder, folder));
      expect([link, local]).not.toContain(undefined);
      expect(files).toEqual(before);
    });

    test('nothing is replaced where what is live cannot be kept', async () => {
      project.write('.local', '');
      const { status, stderr } = await deploy(['--replace-release']);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^Nothing is deployed: what is live cannot be kept \(.*\.local/);
      expect(b4a.live()).toEqual(before);
    });
  });

  describe("code that only the app's release may have", () => {
    const own = "Parse.Cloud.define('hello', () => 'hello');";

    test('a main.js that is not ours is a loss: --yes does not replace it, and how to keep it is said', async () => {
      b4a.setLive({ 'cloud/main.js': own });
      const { status, stdout, stderr } = await deploy(['--yes']);
      expect(status).toBe(1);
      expect(stdout).toContain(
        "would lose these:\n  cloud/main.js\nThe live cloud/main.js is the app's own code",
      );
      expect(stdout).toContain("b4a download -f 'My App'");
      expect(stderr).toContain('Say --replace-release');
      expect(b4a.live()).toEqual({ 'cloud/main.js': own });
    });

    const oldBundle =
      '"use strict";\nParse.Cloud.define("virgil-jwt", virgilJwt(define_POLICY_default.virgil));';
    test.each([
      ['a bundle of another policy', () => built().replace('"tokenTtlSeconds":', '"tokenTtlSeconds":1')],
      ['a bundle of 0.1.0', () => oldBundle],
    ])('%s is no loss: --yes replaces it', async (_what, source) => {
      await project.run('build');
      b4a.setLive({ 'cloud/main.js': source() });
      const { status, stdout } = await deploy(['--yes']);
      expect(stdout).toContain('replaced by others of the same name:\n  cloud/main.js\n');
      expect([status, b4a.live()]).toEqual([0, { 'cloud/main.js': built() }]);
    });
  });

  describe('of two apps, for the one that is named', () => {
    const production = { 'cloud/main.js': 'production' };
    const staging = { 'cloud/main.js': 'staging', 'cloud/cert.p12': '\xff\xfe\0' };
    beforeEach(() => {
      b4a.setLive(production, 'ID1');
      b4a.setLive(staging, 'ID2');
    });

    test('both ways back restore this app, and leave the default one alone', async () => {
      const { stdout } = await deploy(['--replace-release', 'other']);
      expect(stdout).toContain('replaces the whole release of other,');
      const deployed = { 'cloud/main.js': built() };
      expect([b4a.live('ID1'), b4a.live('ID2')]).toEqual([production, deployed]);
      const [, second = ''] = /^ {2}(cd .* b4a deploy .*)$/m.exec(stdout) ?? [];
      expect(shell(second)).toMatchObject({ status: 0, stderr: '' });
      // As text.
      const asText = { 'cloud/main.js': 'staging', 'cloud/cert.p12': '\xef\xbf\xbd\xef\xbf\xbd\0' };
      expect([b4a.live('ID1'), b4a.live('ID2')]).toEqual([production, asText]);
      const [, first = ''] = /^ {2}(b4a rollback -r vN \w+) /m.exec(stdout) ?? [];
      expect(shell(first.replace('vN', 'v1'))).toMatchObject({ status: 0, stderr: '' });
      expect([b4a.live('ID1'), b4a.live('ID2')]).toEqual([production, staging]);
    });

    test('the kept folder is linked to no other app', async () => {
      await deploy(['--replace-release', 'other']);
      const kept = join(releases, readdirSync(releases)[0] as string);
      expect(JSON.parse(readFileSync(join(kept, '.parse.local'), 'utf8'))).toEqual({
        applications: { other: { applicationId: 'ID2' }, _default: { link: 'other' } },
      });
    });

    test('it is named in the question', async () => {
      const questions: [string, string][] = [['Deploy to other all the same? [y/N]', 'n']];
      expect((await project.runOnTerminal('deploy', ['other'], questions, b4a.environment)).status).toBe(1);
    });

    test('an app that is not linked, and none by default, are errors before b4a is called', async () => {
      const unknown = await deploy(['--yes', 'staging']);
      expect(unknown.status).toBe(1);
      expect(unknown.stderr).toContain('.parse.local has no app staging. Its apps are: My App, other.');
      project.write('.parse.local', '{"applications":{"other":{"applicationId":"ID2"}}}');
      expect((await deploy(['--yes'])).stderr).toContain('.parse.local has no default app.');
      expect(b4a.calls()).toEqual([]);
    });
  });

  test('what the kept folder cannot bring back is named, and b4a rollback brings it back', async () => {
    const before = {
      'cloud/cert.p12': 'DER \xff\0',
      'cloud/latin-1.txt': 'caf\xe9',
      'cloud/main.js': 'caf\xc3\xa9',
      'cloud/notes~': '\xff',
      'public/.well-known/assetlinks.json': '[]',
      'public/logo.png': '\xff\xef\xbf\xbd',
    };
    b4a.setLive(before);
    const { stdout } = await deploy(['--replace-release']);
    expect(stdout).toMatch(
      /The second way may change .*:\n {2}cloud\/cert\.p12\n {2}cloud\/latin-1\.txt\nThe/,
    );
    expect(stdout).toMatch(
      /The second way leaves .*:\n {2}cloud\/notes~\n {2}public\/\.well-known\/assetlinks\.json\n\w/,
    );
    shell("b4a rollback -r v1 'My App'");
    expect(b4a.live()).toEqual(before);
  });

  test('a file under cloud/ that is not text is not called replaced where it is the same', async () => {
    const file = join(project.folder, 'cloud/cert.p12');
    writeFileSync(file, 'DER \xff\0', 'latin1');
    await deploy(['--yes']);
    const { stdout } = await deploy(['--yes']);
    rmSync(file);
    expect(stdout).toContain('Files in the live release: 2.\nWhat was live is kept.');
  });

  describe('the account key', () => {
    const rejected = 'Nothing is deployed: b4a has no account key or login that Back4App accepts';
    const keys: [string, string, Partial<Account>, string][] = [
      [
        'is invalid',
        '--replace-release',
        { key: rejectedKey },
        'Sorry, the account key: "…" you provided is not valid.',
      ],
      [
        'is not that of the e-mail address in .parse.project',
        '--dry-run',
        { email: 'you@example.com' },
        'Account key "…" does not belong to "me@example.com"',
      ],
      ['is not there', '--yes', { key: null }, ''],
    ];

    test.each(keys)(
      '%s, and no terminal: the reason is shown, and %s ends',
      async (...[, option, account, reason]) => {
        project.write('.parse.project', LINK['.parse.project'].replace('{', '{"email":"me@example.com",'));
        b4a.setLive({ 'cloud/main.js': 'before' });
        b4a.setAccount(account);
        const { status, stdout, stderr } = await deploy([option]);
        expect(status).toBe(1);
        expect(stderr).toContain(reason);
        expect(stderr).toContain(rejected);
        expect(stdout + stderr).not.toContain('Email: ');
        expect(commandsOf(b4a.calls())).toEqual(['download']);
        for (const key of [rejectedKey, DEFAULT_ACCOUNT.validKey])
          expect(stdout + stderr).not.toContain(key.slice(-4));
      },
    );

    test('is invalid: on a terminal b4a asks, after its reason, and a login does', async () => {
      b4a.setAccount({ key: rejectedKey });
      const { email, password } = DEFAULT_ACCOUNT;
      const answers: [string, string][] = [
        ['Email: ', email],
        ['Password (will be hidden): ', password],
      ];
      const { status, shown } = await project.runOnTerminal(
        'deploy',
        ['--dry-run'],
        answers,
        b4a.environment,
      );
      expect(shown).toMatch(/you provided is not valid\.[\s\S]*Email: [\s\S]*nothing is lost\.\r\n/);
      expect(status).toBe(0);
    });

    test('and a login that fails on a terminal end it, with --replace-release too', async () => {
      b4a.setAccount({ key: null });
      const answers = [1, 2, 3].flatMap((): [string, string][] => [
        ['Email: ', 'somebody'],
        ['Password (will be hidden): ', 'something'],
      ]);
      const { status, shown } = await project.runOnTerminal(
        'deploy',
        ['--replace-release'],
        answers,
        b4a.environment,
      );
      expect(shown).toContain('Sorry, we do not have a user with this username and password.');
      expect(shown).toContain(rejected);
      expect(status).toBe(1);
      expect(commandsOf(b4a.calls())).toEqual(['download']);
    });

    test('and any other are not in what is shown of b4a', async () => {
      b4a.setLive({ 'cloud/main.js': 'before' });
      b4a.setAccount({ failures: { download: 3 }, reason: `parse: master key ${rejectedKey} is unknown` });
      const { stderr } = await deploy(['--dry-run']);
      expect(stderr).toContain('parse: master key "…" is unknown\n');
      expect(stderr).not.toContain(rejectedKey);
    });
  });

  describe('a download that fails', () => {
    const before = { 'cloud/main.js': 'before' };
    beforeEach(() => b4a.setLive(before));

    test.each(['download', 'accountkey'])(
      'once (%s) is tried again, and what is live is kept',
      async (request) => {
        b4a.setAccount({ failures: { [request]: 1 } });
        const { status, stdout, stderr } = await deploy(['--replace-release']);
        expect(stderr).toContain('Back4App is out of order\n');
        expect(stderr).toContain('b4a download has failed. Trying again (2 of 3).\n');
        expect(stdout).toContain('What was live is kept.');
        expect(status).toBe(0);
        expect(commandsOf(b4a.calls())).toEqual(['download', 'download', 'deploy']);
      },
    );

    test('three times: what is live is not replaced by --yes, and why is said', async () => {
      b4a.setAccount({ failures: { download: 3 } });
      const { status, stdout, stderr } = await deploy(['--yes']);
      expect(status).toBe(1);
      expect(stderr.match(/Back4App is out of order\n/g)).toHaveLength(3);
      expect(stdout).toContain(
        'b4a says above why it cannot download the live release. So what this deploy would lose',
      );
      expect(stderr).toContain('Say --replace-release');
      expect(commandsOf(b4a.calls())).toEqual(['download', 'download', 'download']);
      expect(b4a.live()).toEqual(before);
    });

    test('three times: --replace-release replaces it', async () => {
      b4a.setAccount({ failures: { download: 3 } });
      expect((await deploy(['--replace-release'])).status).toBe(0);
      expect(Object.keys(b4a.live())).toEqual(['cloud/main.js']);
      expect(b4a.deployments()).toHaveLength(1);
    });

    test.each(['download', 'accountkey'])('without a reason (%s) is said to have none', async (request) => {
      b4a.setAccount({ failures: { [request]: 3 }, reason: '' });
      const { stdout } = await deploy(['--dry-run']);
      expect(stdout).toContain('b4a gives no reason: Back4App may be out of order, or this machine offline.');
    });

    test('to end is given up after its time, without another try', async () => {
      b4a.setLive({ ...before, 'public/index.html': '' });
      b4a.setAccount({ pause: { at: 'download', ms: 2 ** 31 - 1 } });
      const script = `
        const { mkdtempSync } = require('node:fs');
        const { downloadRelease } = require('./scripts/deploy/release');
        downloadRelease('My App', mkdtempSync('${outside}/'), new AbortController().signal, 1500)
          .then((result) => console.log(JSON.stringify(result)));`;
      const { stdout, status } = spawnSync(process.execPath, ['--require', 'tsx/cjs', '-e', script], {
        cwd: project.folder,
        env: b4a.environment,
        encoding: 'utf8',
      });
      expect([status, stdout]).toEqual([0, '{"reason":"b4a download took longer than 0.025 minutes."}\n']);
      expect(commandsOf(b4a.calls())).toEqual(['download']);
    });
  });

  test('where b4a has put the download is not said', async () => {
    b4a.setLive({ 'cloud/main.js': 'before' });
    const { stdout, stderr } = await deploy(['--replace-release']);
    expect(stdout + stderr).not.toContain('Successfully downloaded');
    expect(stdout + stderr).not.toMatch(/release-\w/);
  });

  describe('a signal ends the command', () => {
    const before = { 'cloud/main.js': 'before', 'public/secret.html': 'live' };
    const temporary = join(outside, 'tmp');
    const environment = { ...b4a.environment, TMPDIR: temporary };
    beforeEach(() => {
      mkdirSync(temporary);
      b4a.setLive(before);
    });
    afterEach(() => rmSync(temporary, { recursive: true }));

    const isAlive = (pid: number) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    const leftovers = () => readdirSync(temporary).filter((name) => name.startsWith('release-'));
    const theCall = async (command: string) => {
      for (;;) {
        const call = b4a.calls().find((one) => one.command === command);
        if (call) return call;
        await setTimeout(50);
      }
    };

    test.each([
      ['SIGINT', 'download'],
      ['SIGTERM', 'download'],
      ['SIGHUP', 'deploy'],
      ['SIGTERM', 'deploy'],
    ] as const)('and b4a, and deploys nothing: %s during b4a %s', async (signal, at) => {
      b4a.setAccount({ pause: { at, ms: 20_000 } });
      const whenStarted = async (child: ChildProcess) => {
        await theCall(at);
        await setTimeout(500); // until the first file is there
        expect(leftovers()).toHaveLength(1);
        child.kill(signal);
      };
      const { status, stderr } = await project.run('deploy', ['--replace-release'], environment, whenStarted);
      expect(status).toBe(1);
      expect(stderr).toContain(
        at === 'download'
          ? 'Stopped: nothing is deployed.'
          : "Stopped during b4a deploy: b4a releases 'My App'",
      );
      expect(isAlive((await theCall(at)).pid)).toBe(false);
      expect(leftovers()).toEqual([]);
      expect(b4a.live()).toEqual(before);
      expect(commandsOf(b4a.calls())).toEqual(at === 'download' ? ['download'] : ['download', 'deploy']);
    });

    test('at the question', async () => {
      const end = () => process.kill(b4a.calls()[0]?.ppid as number, 'SIGTERM');
      const { status } = await project.runOnTerminal(
        'deploy',
        [],
        [['all the same? [y/N]', end]],
        environment,
      );
      expect([status, leftovers(), commandsOf(b4a.calls())]).toEqual([1, [], ['download']]);
    });
  });

  test('Ctrl-C during the download ends it on a terminal too, where b4a gets it as well', async () => {
    b4a.setLive({ 'cloud/main.js': 'before', 'public/index.html': '' });
    b4a.setAccount({ notice: 'A newer b4a is there.', pause: { at: 'download', ms: 20_000 } });
    const { status, shown } = await project.runOnTerminal(
      'deploy',
      ['--replace-release'],
      [['A newer b4a is there.', '\x03']],
      b4a.environment,
    );
    expect(shown).toContain('Stopped: nothing is deployed.');
    expect(status).not.toBe(0);
    expect(commandsOf(b4a.calls())).toEqual(['download']);
  });

  test('deploys nothing without --yes where there is no terminal to ask on', async () => {
    const { status, stderr } = await deploy([]);
    expect(status).toBe(1);
    expect(stderr).toContain('Say --yes');
    expect(b4a.deployments()).toEqual([]);
  });

  test.each([
    ['n', 1, 0],
    ['y', 0, 1],
  ])('asks on a terminal: %s', async (answer, exitCode, deployed) => {
    const questions: [string, string][] = [['Deploy to My App? [y/N]', answer]];
    const { status } = await project.runOnTerminal('deploy', [], questions, b4a.environment);
    expect(status).toBe(exitCode);
    expect(b4a.deployments()).toHaveLength(deployed);
  });

  test('checks the credentials in .env, and keeps them from b4a', async () => {
    const values = {
      VIRGIL_APP_ID: randomBytes(16).toString('hex'),
      VIRGIL_APP_KEY_ID: randomBytes(16).toString('hex'),
      VIRGIL_APP_KEY: generateKeyPairSync('ed25519')
        .privateKey.export({ format: 'der', type: 'pkcs8' })
        .toString('base64'),
    };
    const lines = Object.entries(values).map(([name, value]) => `${name}=${value}`);
    project.write('.env', lines.join('\n'));
    const { stdout } = await deploy(['--yes']);
    rmSync(join(project.folder, '.env'));
    expect(stdout).toMatch(/^ok +App Key/m);
    expect(b4a.calls().map(({ hasCredentials }) => hasCredentials)).toEqual([false, false]);
  });

  describe('its arguments', () => {
    test('that are for b4a come to it as they are, with a "--" before them and without', async () => {
      const args = ['-d', '--yes', 'other', '--force'];
      await deploy(['--yes', '--', ...args]);
      await deploy(['--yes', ...args]);
      expect(b4a.calls()).toMatchObject([
        { command: 'download', id: 'ID2' },
        { command: 'deploy', id: 'ID2', args },
        { command: 'download', id: 'ID2' },
        { command: 'deploy', id: 'ID2', args },
      ]);
    });

    test('that are ours count behind a "--" too', async () => {
      const { status, stdout } = await deploy(['--yes', '--', '--dry-run']);
      expect(stdout).toContain('Nothing was deployed: this was a dry run.');
      expect([status, commandsOf(b4a.calls())]).toEqual([0, ['download']]);
    });

    test('--yes as a description is no consent', async () => {
      const { status, stderr } = await deploy(['-d', '--yes', 'other']);
      expect([status, stderr]).toEqual([1, expect.stringContaining('Say --yes')]);
    });

    test.each([
      ['--verbos', "Unknown option '--verbos'. npm run deploy -- --help tells which options there are."],
      ['-n0', '-n 0: b4a tries to deploy this many times, so give a number from 1 up.'],
    ])('%s is an error before anything is built or downloaded', async (word, message) => {
      rmSync(bundle, { force: true });
      const { status, stdout, stderr } = await deploy(['--yes', word]);
      expect([status, stdout]).toEqual([1, '']);
      expect(stderr).toContain(message);
      expect(existsSync(bundle)).toBe(false);
      expect(b4a.calls()).toEqual([]);
    });

    test.each(['--help', '-h'])('%s is for us, and nothing is built, deployed or passed on', async (help) => {
      rmSync(bundle, { force: true });
      const { status, stdout } = await deploy(['--yes', '--', help]);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^npm run deploy -- .*what is for b4a deploy/);
      expect(b4a.calls()).toEqual([]);
      expect(existsSync(bundle)).toBe(false);
    });
  });

  test('tries again where b4a does, and fails where b4a fails', async () => {
    b4a.setAccount({ failures: { deploy: 2 } });
    expect(await deploy(['--yes'])).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('Deploy failed with error:\nBack4App is out of order\n'),
    });
    b4a.reset();
    b4a.setAccount({ failures: { deploy: 3 } });
    const { status, stderr } = await deploy(['--yes']);
    expect(status).toBe(1);
    expect(stderr).toContain('b4a deploy has failed');
  });

  test('says where to get b4a, and how to do without it', async () => {
    const { status, stderr } = await deploy(['--yes'], withoutB4a);
    expect(status).toBe(1);
    expect(stderr).toContain('https://github.com/back4app/parse-cli/releases');
    expect(stderr).toContain('dashboard');
    expect(stderr).toContain(bundle);
  });

  test.each([
    ['', 0o644, /\/b4a is not executable\. Run chmod \+x \/.*\/b4a, and then this again\.\n$/],
    ['#!/nowhere', 0o755, /\/b4a cannot be started \(\w+\)\. Get the b4a for this machine from https:/],
  ])('says what is wrong with a b4a (%j) that cannot be started', async (content, mode, message) => {
    const bin = join(outside, 'broken');
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, 'b4a'), content);
    chmodSync(join(bin, 'b4a'), mode);
    const { status, stderr } = await deploy(['--yes'], { PATH: `${bin}:${withoutB4a.PATH}:/bin` });
    expect([status, stderr]).toEqual([1, expect.stringMatching(message)]);
  });

  describe('the link to an app', () => {
    afterEach(() => {
      for (const file of ['config', '../.parse.project', '../.parse.local'])
        rmSync(join(project.folder, file), { recursive: true, force: true });
    });

    test.each(['.parse.project', '.parse.local'])('without %s: how to make it is said', async (file) => {
      rmSync(join(project.folder, file));
      const { status, stderr } = await deploy(['--yes']);
      expect(status).toBe(1);
      expect(stderr).toContain('b4a new --init');
      expect(stderr).toContain('Keep both out of git');
      expect(b4a.calls()).toEqual([]);
    });

    test.each(['not JSON', 'null'])('with a .parse.local that is %s', async (content) => {
      project.write('.parse.local', content);
      expect((await deploy(['--yes'])).stderr).toMatch(/^\.parse\.local is not valid: .*b4a new --init\.\n$/);
    });

    test('in a folder above is not this project: both folders are named', async () => {
      const above = join(outside, 'above');
      const app = join(above, 'app');
      mkdirSync(above, { recursive: true });
      cpSync(project.folder, app, { recursive: true });
      for (const [file, content] of Object.entries(LINK)) {
        rmSync(join(app, file));
        writeFileSync(join(above, file), content);
      }
      const { status, stderr } = spawnSync(
        process.execPath,
        ['--require', 'tsx/cjs', 'scripts/deploy.ts', '--yes'],
        { cwd: app, env: b4a.environment, encoding: 'utf8' },
      );
      expect(status).toBe(1);
      expect(stderr).toContain(`${app} is not linked to an app, but the folder ${above} above it is`);
      expect(b4a.calls()).toEqual([]);
    });

    test('of the old format, which b4a would read instead, is an error that names b4a migrate', async () => {
      mkdirSync(join(project.folder, 'config'));
      project.write('config/global.json', '{}');
      const { status, stderr } = await deploy(['--yes']);
      expect([status, stderr]).toEqual([1, expect.stringMatching(/^config\/global\.json .*b4a migrate/)]);
      expect(b4a.calls()).toEqual([]);
    });

    test('is not overruled by PARSE_ROOT', async () => {
      const { status, stdout } = await deploy(['--yes'], { PARSE_ROOT: outside });
      expect(stdout).toContain('PARSE_ROOT is set');
      expect([status, b4a.live()]).toEqual([0, { 'cloud/main.js': built() }]);
    });
  });

  describe('what lies around', () => {
    const link = join(project.folder, 'cloud/.#main.js');
    afterEach(() => {
      rmSync(link, { force: true });
      cpSync('.parseignore', join(project.folder, '.parseignore'));
    });

    test('a broken link, at which b4a fails, is named in the error', async () => {
      symlinkSync('somebody@host.1234', link);
      const { status, stderr } = await deploy(['--yes']);
      expect(stderr).toMatch(/^cloud\/\.#main\.js is a broken symbolic link.*\n$/); // and no stack
      expect(status).toBe(1);
      expect(b4a.calls()).toEqual([]);
    });

    test('a line of .parseignore that cannot be read for sure is named, and --yes does not do', async () => {
      project.write('.parseignore', '*.ts\ncloud/[draft\n');
      const { status, stdout, stderr } = await deploy(['--yes']);
      expect(stdout).toMatch(/lines of \.parseignore, .*:\n {2}line 2: cloud\/\[draft\n/);
      expect([status, stderr]).toEqual([1, expect.stringContaining('Say --replace-release')]);
    });
  });

  test('deploys nothing that the doctor finds fault with', async () => {
    const secret = 'not-an-id-but-a-secret';
    const { status, stdout, stderr } = await deploy(['--yes'], { VIRGIL_APP_ID: secret });
    expect(status).toBe(1);
    expect(stdout).toMatch(/^fault +VIRGIL_APP_ID/m);
    expect(stderr).toContain('Nothing is deployed');
    expect(stdout + stderr).not.toContain(secret);
    expect(b4a.calls()).toEqual([]);
  });

  test('deploys nothing that does not build', async () => {
    const policy = readFileSync(join(project.folder, 'back4app.json'), 'utf8');
    project.write('back4app.json', '{}');
    const { status, stderr } = await deploy(['--yes']);
    project.write('back4app.json', policy);
    expect(status).toBe(1);
    expect(stderr).toContain('back4app.json is not a valid policy');
    expect(b4a.calls()).toEqual([]);
  });
});

test('names of files in the live release are printed whole, and escaped', async () => {
  const long = `public/${'long/'.repeat(100)}x.png`;
  b4a.setLive({ 'public/\x1b]0;owned\x07\nNothing was deployed\u202E.png': '', [long]: '' });
  const { stdout } = await deploy(['--dry-run']);
  expect(stdout).toContain('"public/\\u{1b}]0;owned\\u{7}\\u{a}Nothing was deployed\\u{202e}.png"');
  expect(stdout).toContain(`  ${long}\n`);
  expect(obeyedIn(stdout)).toBeUndefined();
});

test('what Back4App says through b4a is shown without what a terminal obeys', async () => {
  b4a.setAccount({ notice: '\x1b]0;owned\x07\u202Ea notice' });
  const { stdout, stderr } = await deploy(['--dry-run']);
  expect(stderr).toContain('\\u{1b}]0;owned\\u{7}\\u{202e}a notice\n');
  expect(obeyedIn(stdout + stderr)).toBeUndefined();
});
