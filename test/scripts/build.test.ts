import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWith, compile } from '../../scripts/project/bundle';
import { checkedPolicy } from '../../scripts/project/policy';

const folder = mkdtempSync(join(tmpdir(), 'e2ee-build-'));
afterAll(() => rmSync(folder, { recursive: true }));

const build = (...args: string[]) =>
  spawnSync(process.execPath, ['--require', 'tsx/cjs', 'scripts/build.ts', ...args], { encoding: 'utf8' });

const virgil = { tokenTtlSeconds: 1200 };
const message = { encrypted: ['body'], plain: ['senderId'], sender: 'senderId' };
const bundleOf = async (policy: object) => bundleWith(checkedPolicy(policy, 'a test'));

describe('what the policy does not use is not in the bundle', () => {
  const all = {
    virgil: { ...virgil, guardUserIds: true, eraseDeletedUsers: true },
    classes: { Message: { ...message, recipients: 'acl', group: 'senderId' } },
    files: {},
  };
  const WORDS: [feature: string, without: object, words: string[]][] = [
    ['recipients', { ...all, classes: { Message: message } }, ['forceReload', 'e2ee-server']],
    ['erasure', { ...all, virgil }, ['keyknox', 'virgil-erase']],
    ['files', { ...all, files: undefined }, ['authEncryptFile']],
    ['nexmo', { ...all, nexmo: false }, ['vonage', 'RS256', 'nexmo-jwt']],
    [
      'recipients and erasure',
      { ...all, virgil, classes: { Message: message } },
      ['card/v5', 'Virgil Cloud'],
    ],
  ];

  test.each(WORDS)('%s', async (_feature, without, words) => {
    const [everything, less] = [await bundleOf(all), await bundleOf(without)];
    for (const word of words) {
      expect(everything.toLowerCase()).toContain(word.toLowerCase());
      expect(less.toLowerCase()).not.toContain(word.toLowerCase());
    }
    expect(less.length).toBeLessThan(everything.length);
  });

  test('at most 40 KB with tokens and the guard alone, 60 KB with the shipped policy, 70 KB with everything', async () => {
    const shipped = JSON.parse(readFileSync('back4app.json', 'utf8'));
    for (const [policy, kilobytes] of [
      [{ virgil, nexmo: false, classes: { Message: message } }, 40],
      [shipped, 60],
      [all, 70],
    ]) {
      expect(Buffer.byteLength(await bundleOf(policy))).toBeLessThanOrEqual(kilobytes * 1024);
    }
  });
});

test('one self-contained CommonJS file, where --outfile says', () => {
  const outfile = join(folder, 'a folder/that is missing/e2ee.js');
  const { status, stdout } = build('--outfile', outfile);
  expect(status).toBe(0);
  expect(stdout).toContain(outfile);
  const required = [...readFileSync(outfile, 'utf8').matchAll(/\brequire\("([^"]+)"\)/g)].map(
    ([, name]) => name,
  );
  expect(required.length).toBeGreaterThan(0);
  for (const name of required) expect(builtinModules).toContain(name?.replace('node:', ''));
});

test('its sources are an afternoon’s audit: at most 2,600 lines of code, comments and blank lines not counted', () => {
  const sources = readdirSync('cloud', { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  const lines = sources.flatMap((file) => readFileSync(join('cloud', file), 'utf8').trimEnd().split('\n'));
  const code = lines.filter((line) => !/^\s*(?:$|\/\/|\/\*|\*)/.test(line));
  expect(sources).toContain('main.ts');
  expect(code.length).toBeGreaterThan(1000);
  expect(code.length).toBeLessThanOrEqual(2600);
});

test('it carries its licence, and nobody else’s code, whose licence would have to travel with it', async () => {
  const outfile = join(folder, 'licence.js');
  build('--outfile', outfile);
  expect(readFileSync(outfile, 'utf8')).toContain(readFileSync('LICENSE', 'utf8'));
  const { metafile } = await compile('cloud/main.ts', outfile, { write: false, metafile: true });
  const bundled = Object.keys(metafile?.inputs ?? {});
  expect(bundled).toContain('cloud/main.ts');
  for (const file of bundled) expect(file).toMatch(/^cloud\//);
});

test('it loads alone, does nothing at load but register, and leaves nothing running', () => {
  const outfile = join(folder, 'alone.js');
  build('--outfile', outfile);
  const script = `
    const calls = [];
    const Cloud = { define: (name) => calls.push(name), job: (name) => calls.push('job ' + name) };
    for (const type of ['beforeSave', 'beforeDelete', 'afterDelete']) Cloud[type] = (name) => calls.push(type + ' ' + name);
    globalThis.Parse = { Cloud };
    for (const gone of ['fetch', 'crypto', 'Headers', 'Request', 'Response', 'structuredClone']) delete globalThis[gone]; // Node 16
    console.log(JSON.stringify([Object.keys(require(${JSON.stringify(outfile)})), calls]));
  `;
  const printed = execFileSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    cwd: folder,
    timeout: 10_000,
  });
  const [exported, calls] = JSON.parse(printed);
  expect(exported).toEqual(['eraseIdentity', 'guard', 'virgilJwt']);
  expect(calls).toEqual(
    expect.arrayContaining([
      'virgil-jwt',
      'virgilJwt',
      'beforeSave Message',
      'beforeSave ChatThread',
      'job virgil-erase',
    ]),
  );
});

test('what cannot be written is said in one line', () => {
  const { status, stderr } = build('--outfile', '/dev/null/main.js');
  expect(status).toBe(1);
  expect(stderr.trim().split('\n')[0]).toMatch(/^The build failed: /);
});
