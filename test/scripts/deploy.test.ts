import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { uploadedFiles } from '../support/b4a-upload-rules';
import { makeProject } from '../support/project';

const project = makeProject();
const outside = mkdtempSync(join(tmpdir(), 'e2ee-b4a-'));
const release = join(outside, 'release');
const calls = join(outside, 'calls');
afterAll(() => {
  project.remove();
  rmSync(outside, { recursive: true });
});

/** A b4a that keeps a record of its calls, and whose live release is a folder. */
function installB4a(): string {
  const folder = join(outside, 'bin');
  mkdirSync(folder, { recursive: true });
  const script = `#!${process.execPath}
    const { appendFileSync, cpSync, existsSync } = require('node:fs');
    const [command, ...args] = process.argv.slice(2);
    if (command === 'version') process.exit();
    appendFileSync(${JSON.stringify(calls)}, JSON.stringify({ cwd: process.cwd(), command, args, hasCredentials: 'VIRGIL_APP_KEY' in process.env }) + '\\n');
    if (process.env.B4A_FAILS === command) {
      console.error('Account key not configured');
      process.exit(1);
    }
    if (command === 'download') {
      if (!existsSync(${JSON.stringify(release)})) {
        console.error('Nothing to download. Not yet deployed to the app.');
        process.exit(1);
      }
      cpSync(${JSON.stringify(release)}, args[args.indexOf('-l') + 1], { recursive: true });
    } else console.log('New release is named v2 (using Parse JavaScript SDK v4.0.0)');
  `;
  writeFileSync(join(folder, 'b4a'), script);
  chmodSync(join(folder, 'b4a'), 0o755);
  return folder;
}

const withB4a = { PATH: `${installB4a()}:${process.env.PATH}` };
const withoutB4a = { PATH: dirname(process.execPath) };
const deploy = (args: string[], environment: Record<string, string> = withB4a) =>
  project.run('deploy', args, environment);

function madeCalls(): { cwd: string; command: string; args: string[]; hasCredentials: boolean }[] {
  if (!existsSync(calls)) return [];
  return readFileSync(calls, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}
const deployments = () => madeCalls().filter(({ command }) => command === 'deploy');

function link(): void {
  project.write('.parse.project', '{"project_type":1,"parse":{"jssdk":""}}');
  project.write('.parse.local', '{}');
}

beforeEach(() => {
  rmSync(calls, { force: true });
  rmSync(release, { recursive: true, force: true });
  link();
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
    expect(stdout).toContain('New release is named v2');
    expect(existsSync(join(project.folder, 'cloud/main.js'))).toBe(true);
    expect(deployments()).toEqual([
      { cwd: project.folder, command: 'deploy', args: [], hasCredentials: false },
    ]);
  });

  test('names what the live release holds and would lose, and what is replaced', async () => {
    for (const [file, content] of [
      ['cloud/main.js', 'the app of before'],
      ['cloud/jobs/cleanup.js', ''],
      ['public/index.html', ''],
    ] as const) {
      mkdirSync(dirname(join(release, file)), { recursive: true });
      writeFileSync(join(release, file), content);
    }
    const { stdout } = await deploy(['--yes']);
    expect(stdout).toContain('would lose these:\n  cloud/jobs/cleanup.js\n  public/index.html\n');
    expect(stdout).toContain('replaced by others of the same name:\n  cloud/main.js\n');
  });

  test('names no loss where what is live is what is here', async () => {
    await project.run('build');
    mkdirSync(join(release, 'cloud'), { recursive: true });
    cpSync(join(project.folder, 'cloud/main.js'), join(release, 'cloud/main.js'));
    const { stdout } = await deploy(['--yes']);
    expect(stdout).toContain('Files in the live release: 1.');
    expect(stdout).not.toContain('would lose');
    expect(stdout).not.toContain('replaced by');
  });

  test('says so where b4a cannot tell what is live, and why', async () => {
    const { status, stdout } = await deploy(['--yes'], { ...withB4a, B4A_FAILS: 'download' });
    expect(status).toBe(0);
    expect(stdout).toContain('Account key not configured\nb4a cannot tell what the live release holds');
  });

  test('deploys nothing without --yes where there is no terminal to ask on', async () => {
    const { status, stderr } = await deploy([]);
    expect(status).toBe(1);
    expect(stderr).toContain('Say --yes');
    expect(deployments()).toEqual([]);
  });

  test.each([
    ['n', 1, 0],
    ['y', 0, 1],
  ])('asks on a terminal: %s', async (answer, exitCode, deployed) => {
    const { status } = await project.runOnTerminal('deploy', [], [['Deploy? [y/N]', answer]], withB4a);
    expect(status).toBe(exitCode);
    expect(deployments()).toHaveLength(deployed);
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
    expect(madeCalls().map(({ hasCredentials }) => hasCredentials)).toEqual([false, false]);
  });

  test('hands on to b4a what is not its own, and downloads from the app that is named', async () => {
    const args = ['-d', 'second release', 'MyApp', '--force'];
    await deploy(['--yes', '--', ...args]);
    await deploy(['--yes', ...args]);
    for (const call of deployments()) expect(call.args).toEqual(args);
    expect(deployments()).toHaveLength(2);
    expect(madeCalls()[0]?.args.slice(0, 2)).toEqual(['MyApp', '-l']);
  });

  test.each(['--help', '-h'])('%s is for us, and nothing is built, deployed or passed on', async (help) => {
    rmSync(join(project.folder, 'cloud/main.js'), { force: true });
    const { status, stdout } = await deploy(['--yes', '--', help]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^npm run deploy -- .*what is for b4a deploy/);
    expect(madeCalls()).toEqual([]);
    expect(existsSync(join(project.folder, 'cloud/main.js'))).toBe(false);
  });

  test('fails where b4a fails', async () => {
    const { status, stderr } = await deploy(['--yes'], { ...withB4a, B4A_FAILS: 'deploy' });
    expect(status).toBe(1);
    expect(stderr).toContain('Account key not configured');
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
    expect(madeCalls()).toEqual([]);
  });

  test('deploys nothing that the doctor finds fault with', async () => {
    const secret = 'not-an-id-but-a-secret';
    const { status, stdout, stderr } = await deploy(['--yes'], { ...withB4a, VIRGIL_APP_ID: secret });
    expect(status).toBe(1);
    expect(stdout).toMatch(/^fault +VIRGIL_APP_ID/m);
    expect(stderr).toContain('Nothing is deployed');
    expect(stdout + stderr).not.toContain(secret);
    expect(madeCalls()).toEqual([]);
  });

  test('deploys nothing that does not build', async () => {
    const policy = readFileSync(join(project.folder, 'back4app.json'), 'utf8');
    project.write('back4app.json', '{}');
    const { status, stderr } = await deploy(['--yes']);
    project.write('back4app.json', policy);
    expect(status).toBe(1);
    expect(stderr).toContain('back4app.json is not a valid policy');
    expect(madeCalls()).toEqual([]);
  });
});
