import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commands } from '../../scripts/command-line/commands';
import { PARTS } from '../../scripts/local/parts';
import { allFeatures, bundle, openBundle } from '../../scripts/project/bundle';
import { readPolicy } from '../../scripts/project/policy';
import { failToStart, prepareDatabase, startLocalServer } from '../support/local-server';
import { packPackage, type TestApp } from '../support/package';
import { restClient } from '../support/rest';

const FIVE_MB = 5 * 1024 * 1024;
const NAMES = ['init', 'build', 'doctor', 'schema', 'deploy', 'start'] as const;

// The same as that of the repository, but for its class: with what JavaScript could take for something else in it.
const policy = {
  virgil: { tokenTtlSeconds: 600 },
  nexmo: { tokenTtlSeconds: 900, acl: { '/*/$&$`/\u2028</script>/**': {} } },
  classes: { Note: { encrypted: ['text'], plain: { from: 'Pointer<_User>' }, sender: 'from' } },
};
const main = "require('./e2ee');\nParse.Cloud.define('hello', () => 'hello from the app');\n";

let tarball: ReturnType<typeof packPackage>;
let app: TestApp;
beforeAll(() => {
  tarball = packPackage();
  app = tarball.makeApp({ 'back4app.json': JSON.stringify(policy), 'cloud/main.js': main });
});
afterAll(() => tarball?.remove());

describe('the package', () => {
  test('holds a bundle, one command-line file, types, licences and a README, in at most 5 MB', () => {
    expect(tarball.packed.files.map(({ path }) => path).sort()).toEqual([
      'LICENSE',
      'README.md',
      'dist/THIRD-PARTY-LICENCES.txt',
      'dist/back4app-e2ee.js',
      ...allFeatures().map(openBundle).sort(),
      'dist/e2ee.d.ts',
      'dist/libfoundation.wasm',
      'package.json',
    ]);
    expect(tarball.packed.unpackedSize).toBeLessThan(FIVE_MB);
  });

  test('needs no other package, and runs nothing when it is installed', () => {
    const manifest = JSON.parse(readFileSync(join(app.package, 'package.json'), 'utf8'));
    for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies', 'bundleDependencies']) {
      expect(manifest).not.toHaveProperty([kind]);
    }
    for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
      expect(manifest.scripts).not.toHaveProperty([script]);
    }
    const installed = readdirSync(join(app.folder, 'node_modules')).filter((name) => !name.startsWith('.'));
    expect(installed).toEqual(['back4app-e2ee']);
  });

  test('has the licence of each package that is compiled in', () => {
    const program = readFileSync(join(app.package, 'dist/back4app-e2ee.js'), 'utf8');
    // esbuild names each file that it bundles in a comment.
    const bundled = program.matchAll(/^ *\/\/ .*node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\/\S+$/gm);
    const names = new Set([...bundled].map(([, name]) => name as string));
    for (const name of ['zod', 'dotenv', 'virgil-crypto', 'virgil-sdk', '@virgilsecurity/core-foundation'])
      expect(names).toContain(name);
    const licences = readFileSync(join(app.package, 'dist/THIRD-PARTY-LICENCES.txt'), 'utf8').split(
      /\n-{80}\n/,
    );
    for (const name of names) {
      const licence = licences.find((text) => text.trimStart().startsWith(`${name} `));
      expect([name, licence]).toEqual([name, expect.stringMatching(/copyright|license/i)]);
    }
  });

  test('has the types of what the bundle gives', () => {
    const { exports: exported } = JSON.parse(readFileSync(join(app.package, 'package.json'), 'utf8'));
    const types = readFileSync(join(app.package, exported['.'].types), 'utf8');
    expect(types).toBe(readFileSync('scripts/package/e2ee.d.ts', 'utf8'));
    const code = [
      'declare const require: (path: string) => any;',
      "const { guard, eraseIdentity }: typeof import('back4app-e2ee') = require('./e2ee');",
      "const asked: Promise<void> = guard({ object: { className: 'Note' }, master: true });",
      "const erased: Promise<void> = eraseIdentity('Xk2p9QaL0b');",
      '// @ts-expect-error',
      'guard(asked);',
      '// @ts-expect-error',
      'eraseIdentity(erased);',
    ];
    writeFileSync(join(app.folder, 'main.ts'), code.join('\n'));
    const compiler = require.resolve('typescript/bin/tsc');
    for (const resolution of [
      ['commonjs', 'node10'],
      ['preserve', 'bundler'],
    ]) {
      const options = [
        '--noEmit',
        '--strict',
        '--module',
        resolution[0],
        '--moduleResolution',
        resolution[1],
      ] as string[];
      const { status, stdout: said } = spawnSync(process.execPath, [compiler, ...options, 'main.ts'], {
        cwd: app.folder,
        encoding: 'utf8',
      });
      expect([status, said]).toEqual([0, '']);
    }
    // An error of tsc here, if these types refused a request that the sources take.
    const asTyped = (request: RequestOf<typeof import('../../cloud/main')>) =>
      request satisfies RequestOf<typeof import('../../scripts/package/e2ee')>;
    expect(asTyped).toBeInstanceOf(Function);
  });
});
type RequestOf<Module extends { guard: (request: never) => unknown }> = Parameters<Module['guard']>[0];

describe('build', () => {
  test('writes the same bundle as npm run build, byte for byte, policy in front', async () => {
    expect(await app.run('build')).toMatchObject({ status: 0, stderr: '' });
    const here = join(app.folder, '.local-build.js');
    await bundle({ outfile: here, policy: readPolicy(join(app.folder, 'back4app.json')) });
    const built = readFileSync(join(app.folder, 'cloud/e2ee.js'), 'utf8');
    expect(built === readFileSync(here, 'utf8')).toBe(true);
    expect(built).toContain('*/\n"use strict";\nconst POLICY = {"virgil":{"tokenTtlSeconds":600,');
    const { stdout } = await app.run('doctor', ['--json']);
    expect(JSON.parse(stdout).findings).toContainEqual({
      check: 'bundle alone',
      status: 'ok',
      message:
        'registers virgil-jwt, virgilJwt, nexmo-jwt, nexmoJwt, nexmo-create-user, nexmoCreateUser, Note',
    });
  });

  test('refuses a policy that is not valid, by the path of the bad value, and writes nothing', async () => {
    const bad = tarball.makeApp({ 'back4app.json': '{ "virgil": { "tokenTtlSeconds": 1 }, "classes": {} }' });
    const { status, stderr } = await bad.run('build');
    expect(status).toBe(1);
    expect(stderr).toContain('virgil.tokenTtlSeconds: ');
    expect(existsSync(join(bad.folder, 'cloud'))).toBe(false);
  });
});

describe('npx --no -- back4app-e2ee', () => {
  test('alone says which commands there are; another one is an error', async () => {
    const { status, stdout } = app.npx([]);
    expect(status).toBe(0);
    for (const name of NAMES)
      expect(stdout).toMatch(new RegExp(`^  ${name} .*${commands[name].does.slice(-20)}`, 'm'));
    const { status: failed, stderr } = await app.run('demo');
    expect(failed).toBe(1);
    expect(stderr).toContain('There is no such command.\n');
  });

  test('npx takes none of our options for itself', () => {
    expect(app.npx(['--help']).stdout).toBe(app.npx([]).stdout);
    const { status, stdout } = app.npx(['doctor', '--help']);
    expect([status, stdout]).toEqual([0, expect.stringContaining(commands.doctor.does)]);
  });

  test.each(NAMES)('%s is called as it is typed there, in its help and in its errors', async (name) => {
    const { status, stdout } = await app.run(name, ['--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^npx --no -- back4app-e2ee ${name} \\[options\\]`));
    expect(stdout).toContain(commands[name].does);
    expect(stdout).not.toMatch(/npm (run|start)/);
    if (name === 'start') return; // what it needs is not installed
    const { stderr } = await app.run(name, ['--unknown']);
    expect(stderr).toBe(
      `Unknown option '--unknown'. npx --no -- back4app-e2ee ${name} --help tells which options there are.\n`,
    );
  });

  test('no finding of the doctor and no error names a command that is not there', async () => {
    const bare = tarball.makeApp({ 'back4app.json': JSON.stringify(policy), 'cloud/main.js': '' });
    const runs = [
      await bare.run('doctor', ['--json']),
      await bare.run('doctor', ['--server', 'https://example.com']),
      await bare.run('doctor', ['an argument']),
    ];
    const [findings, noApp, argument] = runs.map(({ stdout, stderr }) => stdout + stderr);
    expect(findings).toContain('npx --no -- back4app-e2ee build --outfile FILE');
    expect(noApp).toContain('Give both, --server URL and --app-id ID.');
    expect(argument).toContain('npx --no -- back4app-e2ee doctor --option value');
    for (const said of [findings, noApp, argument]) expect(said).not.toMatch(/npm (run|start)/);
  });
});

describe('start', () => {
  test('without its heavy parts prints the one command that adds them', async () => {
    const { status, stderr } = await app.run('start');
    expect(status).toBe(1);
    const { devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
    const parts = PARTS.map((part) => `${part}@${devDependencies[part]}`);
    for (const part of PARTS) expect(devDependencies).toHaveProperty([part]);
    expect(stderr.trim().split('\n').at(-1)).toBe(`  npm i -D -E ${parts.join(' ')}`);
  });

  test('wants the router with which Parse Server 8 and 9 can query, in place of a later one', async () => {
    const other = tarball.makeApp({
      'node_modules/router/package.json': '{ "name": "router", "version": "2.3.0" }',
      'node_modules/router/index.js': '',
    });
    expect((await other.run('start')).stderr).toContain(' router@2.2.0 ');
  });

  test("prints an error of the app's own main.js once, with its stack", async () => {
    const broken = tarball.makeApp({
      'back4app.json': JSON.stringify(policy),
      'cloud/main.js': "require('./e2ee');\nthrow new Error('It is broken.');\n",
    });
    broken.addParts();
    prepareDatabase(broken.folder);
    const { code, printed } = await failToStart({ folder: broken.folder, program: broken.program });
    expect(code).toBe(1);
    expect(printed.match(/Error: It is broken\.\n {4}at .*cloud\/main\.js:2/g)).toHaveLength(1);
  });

  test("with them runs the app's own main.js on the local stack, without the page", async () => {
    // Where pnpm has it: out of sight of the app's own packages.
    const store = `${app.folder}-store`;
    renameSync(app.package, store);
    symlinkSync(store, app.package);
    app.addParts();
    prepareDatabase(app.folder);
    const server = await startLocalServer({ folder: app.folder, program: app.program });
    try {
      const { url } = server;
      const { PARSE_MASTER_KEY } = JSON.parse(
        readFileSync(join(app.folder, '.local/credentials.json'), 'utf8'),
      );
      const client = restClient({ url: `${url}/parse`, appId: 'e2ee-local', masterKey: PARSE_MASTER_KEY });
      expect((await client.run('hello')).body).toEqual({ result: 'hello from the app' });
      const { id, sessionToken } = await client.signUp();
      expect((await client.run('virgil-jwt', {}, { sessionToken })).body.result.identity).toBe(id);
      const from = { __type: 'Pointer', className: '_User', objectId: id };
      const save = await client.call('POST', '/classes/Note', { text: 'plain', from }, { sessionToken });
      expect(save.body.code).toBe(142);
      expect((await fetch(url)).status).toBe(404);
      expect(server.printed()).not.toContain('See it work');
    } finally {
      expect(await server.interrupt()).toBe(0);
    }
  });
});
