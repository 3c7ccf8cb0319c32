import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
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
import { uploadedFiles } from '../../scripts/deploy/upload-rules';
import { contentsOf, installB4a, LINK } from '../support/b4a';
import { makeProject } from '../support/project';

const project = makeProject();
const outside = mkdtempSync(join(tmpdir(), 'e2ee-b4a-'));
const b4a = installB4a(outside);
const releases = join(project.folder, '.local/releases');
afterAll(() => {
  project.remove();
  rmSync(outside, { recursive: true });
});

const withoutB4a = { PATH: dirname(process.execPath) };
const deploy = (args: string[], environment: Record<string, string> = b4a.environment) =>
  project.run('deploy', args, environment);
const commandsOf = (calls: { command: string }[]) => calls.map(({ command }) => command);
const bundle = join(project.folder, 'cloud/main.js');

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
    rmSync(join(project.folder, 'cloud/main.js'), { force: true });
    const { status, stdout } = await deploy(['--yes']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ok +bundle alone/m);
    expect(stdout).toContain('b4a replaces the whole release, all of cloud/ and of public/');
    expect(stdout).toContain('The app has no release yet: nothing is lost.');
    expect(stdout).toContain('New release is named v1');
    expect(existsSync(join(project.folder, 'cloud/main.js'))).toBe(true);
    expect(b4a.deployments()).toEqual([
      expect.objectContaining({ cwd: project.folder, args: [], id: 'ID1', hasCredentials: false }),
    ]);
  });

  test('deploys exactly the files that it names', async () => {
    const { stdout } = await deploy(['--yes']);
    expect(stdout).toContain('with what is here:\n  cloud/main.js\nThe app has no release yet');
    expect(b4a.live()).toEqual({
      'cloud/main.js': readFileSync(join(project.folder, 'cloud/main.js'), 'latin1'),
    });
  });

  test('names no loss where what is live is what is here', async () => {
    await project.run('build');
    b4a.setLive({ 'cloud/main.js': readFileSync(join(project.folder, 'cloud/main.js'), 'latin1') });
    const { stdout } = await deploy(['--yes']);
    expect(stdout).toContain('Files in the live release: 1.');
    expect(stdout).not.toContain('would lose');
    expect(stdout).not.toContain('replaced by');
  });

  describe('over a release that holds what is not here', () => {
    const before = {
      'cloud/main.js': 'the app of before',
      'cloud/jobs/cleanup.js': '',
      'cloud/policy.ts': 'here too, but not uploaded',
      'public/logo.png': '\x89PNG\r\n\x1a\n\0\xff',
    };
    const wouldLose = 'would lose these:\n  cloud/jobs/cleanup.js\n  cloud/policy.ts\n  public/logo.png\n';
    beforeEach(() => b4a.setLive(before));

    test('--dry-run names what would be lost and what is replaced, and leaves all as it is', async () => {
      const { status, stdout } = await deploy(['--yes', '--replace-release', '--dry-run']);
      expect(status).toBe(0);
      expect(stdout).toContain(wouldLose);
      expect(stdout).toContain('replaced by others of the same name:\n  cloud/main.js\n');
      expect(b4a.calls().map(({ command }) => command)).toEqual(['download']);
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
      const questions: [string, string][] = [['Deploy all the same? [y/N]', answer]];
      const { status } = await project.runOnTerminal('deploy', ['--yes'], questions, b4a.environment);
      expect(status).toBe(exitCode);
      expect(b4a.deployments()).toHaveLength(deployed);
    });

    test('--replace-release does, and b4a brings back what was live, byte for byte', async () => {
      const { status, stdout } = await deploy(['--replace-release']);
      expect(status).toBe(0);
      expect(Object.keys(b4a.live())).toEqual(['cloud/main.js']);
      const [, folder = ''] = /The way back: cd (\S+) && b4a deploy\n/.exec(stdout) ?? [];
      expect(folder).toMatch(/^\.local\/releases\/\d{4}-\d\d-\d\dT[\d.-]+Z$/);
      expect(readdirSync(releases)).toHaveLength(1);
      const kept = join(project.folder, folder);
      const { '.parse.project': link, '.parse.local': local, ...files } = contentsOf(kept);
      expect([link, local]).not.toContain(undefined);
      expect(files).toEqual(before);
      spawnSync('b4a', ['deploy'], { cwd: kept, env: b4a.environment });
      expect(b4a.live()).toEqual(before);
    });

    test('nothing is replaced where what is live cannot be kept', async () => {
      project.write('.local', '');
      const { status, stderr } = await deploy(['--replace-release']);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^Nothing is deployed: what is live cannot be kept \(.*\.local/);
      expect(b4a.live()).toEqual(before);
    });
  });

  test('a release that cannot be seen is not replaced by --yes, and why is said', async () => {
    b4a.setLive({ 'cloud/main.js': 'before' });
    b4a.setAccount({ failures: { download: 2 } });
    const { status, stdout, stderr } = await deploy(['--yes']);
    expect(status).toBe(1);
    expect(stdout).toContain('Back4App is out of order\nb4a cannot tell what the live release holds');
    expect(stderr).toContain('Say --replace-release');
    expect(b4a.deployments()).toEqual([]);
    expect((await deploy(['--replace-release'])).status).toBe(0);
    expect(b4a.deployments()).toHaveLength(1);
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
    const { status } = await project.runOnTerminal(
      'deploy',
      [],
      [['Deploy? [y/N]', answer]],
      b4a.environment,
    );
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

  test('fails where b4a fails', async () => {
    b4a.setAccount({ failures: { deploy: 3 } });
    const { status, stderr } = await deploy(['--yes']);
    expect(status).toBe(1);
    expect(stderr).toContain('Deploy failed with error:\nBack4App is out of order\n');
    expect(stderr).toContain('b4a deploy failed');
  });

  test('says where to get b4a, and how to do without it', async () => {
    const { status, stderr } = await deploy(['--yes'], withoutB4a);
    expect(status).toBe(1);
    expect(stderr).toContain('https://github.com/back4app/parse-cli/releases');
    expect(stderr).toContain('dashboard');
    expect(stderr).toContain(join(project.folder, 'cloud/main.js'));
  });

  test.each(['.parse.project', '.parse.local'])('says how to link a project that has no %s', async (file) => {
    rmSync(join(project.folder, file));
    const { status, stderr } = await deploy(['--yes']);
    expect(status).toBe(1);
    expect(stderr).toContain('b4a new --init');
    expect(b4a.calls()).toEqual([]);
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
    const { status, stdout, stderr } = await deploy(['--yes'], { ...b4a.environment, VIRGIL_APP_ID: secret });
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
