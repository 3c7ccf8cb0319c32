import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BareParseServer, startBareParseServer } from '../../scripts/local/bare-parse-server';
import { contentsOf, installB4a, LINK } from '../support/b4a';
import { envelopeMaker } from '../support/envelopes';
import { packPackage, type TestApp } from '../support/package';
import { restClient } from '../support/rest';
import { makeVirgilApplication } from '../support/virgil-application';
import { serveVirgilCloud } from '../support/virgil-cloud';
import { loadVirgilCrypto } from '../support/virgil-crypto';

// The README's own.
const [, command = ''] =
  /^ *npx --no -- back4app-e2ee init (--class .*)$/m.exec(readFileSync('README.md', 'utf8')) ?? [];
const chatMessage = command.split(' ').map((argument) => argument.replace(/^'(.*)'$/, '$1'));
const fields = chatMessage.slice(2);
const PLAIN = 'from:Pointer<_User>,sentAt:Date';
const REQUIRE = "require('./e2ee');";

let tarball: ReturnType<typeof packPackage>;
beforeAll(() => {
  tarball = packPackage();
});
afterAll(() => tarball?.remove());

const read = (app: TestApp, file: string) => readFileSync(join(app.folder, file), 'utf8');
const policyOf = (app: TestApp) => JSON.parse(read(app, 'back4app.json'));

/** All of the app's own files, by their paths. */
function filesOf(app: TestApp): Record<string, string> {
  const files = Object.entries(contentsOf(app.folder));
  return Object.fromEntries(files.filter(([path]) => !/^(node_modules|\.git|\.local)\//.test(path)));
}

/** One app for tests that look at one file each. */
let shared: TestApp;
const oldFiles = { 'cloud/main.js': "Parse.Cloud.define('hello', () => 'hello');\n" };
beforeAll(() => {
  shared = tarball.makeApp(oldFiles);
});

/** The shared app as it was before, but for these files. `null`: not there. */
function appWith(files: Record<string, string | null>): TestApp {
  const made = ['back4app.json', 'cloud', '.env', '.gitignore', '.parseignore', 'package.json', 'public'];
  for (const file of made) rmSync(join(shared.folder, file), { recursive: true, force: true });
  const all = { ...oldFiles, 'package.json': '{}', ...files };
  for (const [file, content] of Object.entries(all)) {
    if (content === null) continue;
    mkdirSync(join(shared.folder, 'cloud'), { recursive: true });
    writeFileSync(join(shared.folder, file), content);
  }
  return shared;
}
const init = (app: TestApp, ...args: string[]) => app.run('init', [...chatMessage, '--yes', ...args]);

describe('what it writes', () => {
  test('policy, bundle, .env, .gitignore, scripts, the require; and again it changes nothing', async () => {
    const app = appWith({});
    const { status, stdout, stderr } = await init(app);
    expect([status, stderr]).toEqual([0, '']);
    expect(policyOf(app)).toEqual({
      virgil: { tokenTtlSeconds: 1200, guardUserIds: true },
      classes: {
        ChatMessage: {
          mode: 'report',
          encrypted: ['text'],
          plain: { from: 'Pointer<_User>', sentAt: 'Date' },
          sender: 'from',
        },
      },
    });
    expect(read(app, 'cloud/main.js')).toBe(`${REQUIRE}\n${oldFiles['cloud/main.js']}`);
    expect(read(app, '.env')).toBe('VIRGIL_APP_ID=\nVIRGIL_APP_KEY_ID=\nVIRGIL_APP_KEY=\n');
    expect(statSync(join(app.folder, '.env')).mode & 0o777).toBe(0o600);
    expect(read(app, '.gitignore')).toBe('node_modules/\n.env\n.local/\n.parse.local\n.parse.project\n');
    expect(JSON.parse(read(app, 'package.json')).scripts).toMatchObject({
      'e2ee:build': 'back4app-e2ee build',
      'e2ee:deploy': 'back4app-e2ee deploy',
    });
    for (const check of ['policy', 'Cloud Code', 'bundle', 'bundle alone', 'git', 'upload'])
      expect(stdout).toMatch(new RegExp(`^ok +${check} `, 'm'));

    const before = filesOf(app);
    for (const again of [await init(app), await app.run('init', ['--yes']), await app.run('init')]) {
      expect(again).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Nothing to change\.\n/) });
      expect(filesOf(app)).toEqual(before);
    }
  });

  test('another class comes to the policy that is there; what it says of one is not changed', async () => {
    const app = appWith({});
    await init(app);
    await app.run('init', [
      '--class',
      'Note',
      '--encrypted',
      'text',
      '--plain',
      '',
      '--mode',
      'enforce',
      '--yes',
    ]);
    expect(Object.keys(policyOf(app).classes)).toEqual(['ChatMessage', 'Note']);
    expect(policyOf(app).classes.Note).toEqual({ encrypted: ['text'], plain: [] });
    expect(read(app, 'cloud/e2ee.js')).toContain('"Note":{"mode":"enforce"');
    const before = filesOf(app);
    const { status, stderr } = await init(app, '--mode', 'enforce', '--encrypted', 'text,more');
    expect(status).toBe(1);
    expect(stderr).toBe(
      'back4app.json says otherwise of ChatMessage than --mode, --encrypted: edit it there.\n',
    );
    expect(filesOf(app)).toEqual(before);
  });

  test("what is in the app's own files stays, and comes but once", async () => {
    const app = appWith({
      '.env': 'MINE=a secret\nexport VIRGIL_APP_ID=an ID',
      '.gitignore': '/node_modules\n.env',
      'package.json': '{\n\t"name": "mine",\n\t"scripts": {\n\t\t"e2ee:build": "mine"\n\t}\n}',
    });
    const { stdout } = await init(app);
    expect(read(app, '.env')).toBe(
      'MINE=a secret\nexport VIRGIL_APP_ID=an ID\nVIRGIL_APP_KEY_ID=\nVIRGIL_APP_KEY=\n',
    );
    expect(stdout).not.toContain('a secret');
    expect(read(app, '.gitignore')).toBe('/node_modules\n.env\n.local/\n.parse.local\n.parse.project\n');
    expect(read(app, 'package.json')).toMatch(
      /^\{\n\t"name": "mine",\n\t"scripts": \{\n\t\t"e2ee:build": "mine",/,
    );
  });

  test('a main.js where there is none, or where it is our bundle itself', async () => {
    const app = appWith({ 'cloud/main.js': null });
    await init(app);
    expect(read(app, 'cloud/main.js')).toBe(`${REQUIRE}\n`);
    const bundle = read(app, 'cloud/e2ee.js');
    const { stdout } = await init(appWith({ 'cloud/main.js': bundle }));
    expect(stdout).toContain(`cloud/main.js\n  - (the bundle)\n  + ${REQUIRE}\n`);
    expect(read(app, 'cloud/main.js')).toBe(`${REQUIRE}\n`);
  });
});

describe('where the require stands in main.js', () => {
  test.each([
    ["below 'use strict'", "'use strict';\nf();\n", `'use strict';\n${REQUIRE}\nf();\n`],
    [
      "below 'use strict' that is below comments",
      '/* The\n app */\n// of mine\n"use strict" // really\nf();\n',
      `/* The\n app */\n// of mine\n"use strict" // really\n${REQUIRE}\nf();\n`,
    ],
    ["between 'use strict' and what is on its line", "'use strict'; f();", `'use strict';\n${REQUIRE} f();`],
    ['above comments', '// The app\nf();\n', `${REQUIRE}\n// The app\nf();\n`],
    ['above a text that is no directive', "f('use strict');", `${REQUIRE}\nf('use strict');`],
    [
      'below a byte order mark, with the line ends of the file',
      '\uFEFFf();\r\n',
      `\uFEFF${REQUIRE}\r\nf();\r\n`,
    ],
    [
      'below the longest of comments',
      `${'//'.repeat(100)}\n${'/* */'.repeat(100)}'use strict'\n`,
      `${'//'.repeat(100)}\n${'/* */'.repeat(100)}'use strict'\n${REQUIRE}\n`,
    ],
    ['in an empty file', '', `${REQUIRE}\n`],
  ])('%s', async (_where, before, after) => {
    const app = appWith({ 'cloud/main.js': before });
    const { status } = await init(app);
    expect(read(app, 'cloud/main.js')).toBe(after);
    expect(status).toBe(0);
  });

  test.each([
    ['const { guard } = require("./e2ee.js");\nf(guard);\n'],
    ["'use strict';\nconst fs = require('fs');\nrequire(`./e2ee`);\n"],
  ])('never twice: %j', async (before) => {
    const app = appWith({ 'cloud/main.js': before });
    expect((await init(app)).status).toBe(0);
    expect(read(app, 'cloud/main.js')).toBe(before);
  });

  test('nor beside a bundle of another name', async () => {
    const app = appWith({});
    await init(app);
    await app.run('build', ['--outfile', 'cloud/guards.js']);
    writeFileSync(join(app.folder, 'cloud/main.js'), "require('./guards');\n");
    expect((await init(app)).status).toBe(0);
    expect(read(app, 'cloud/main.js')).toBe("require('./guards');\n");
  });

  test('one in a comment is none', async () => {
    const app = appWith({ 'cloud/main.js': `// ${REQUIRE}\nf();\n` });
    await init(app);
    expect(read(app, 'cloud/main.js')).toBe(`${REQUIRE}\n// ${REQUIRE}\nf();\n`);
  });
});

describe('traps', () => {
  test.each([
    ['an import', { 'cloud/main.js': "import './triggers.js';\n" }, 'by an import or export in it'],
    ['"type": "module"', { 'package.json': '{ "type": "module" }' }, 'by "type": "module" in package.json'],
  ])('a main.js that is an ES module by %s is named, and not edited', async (_by, files, why) => {
    const app = appWith(files);
    const before = read(app, 'cloud/main.js');
    const { status, stderr } = await init(app);
    expect(status).toBe(1);
    expect(stderr).toContain(`cloud/main.js is an ES module (${why}), and is not edited.`);
    expect(stderr).toContain('npx --no -- back4app-e2ee build --outfile cloud/e2ee.cjs');
    expect(read(app, 'cloud/main.js')).toBe(before);
  });

  test('what it says to do there is right', async () => {
    const app = appWith({ 'package.json': '{ "type": "module" }' });
    await init(app);
    await app.run('build', ['--outfile', 'cloud/e2ee.cjs']);
    const code =
      'const names = []; globalThis.Parse = { Cloud: { define: (name) => names.push(name), beforeSave() {} } };';
    writeFileSync(join(app.folder, 'cloud/sdk.js'), code);
    writeFileSync(
      join(app.folder, 'cloud/main.js'),
      "import './sdk.js';\nimport './e2ee.cjs';\nParse.Cloud.define();\n",
    );
    expect(spawnSync(process.execPath, ['cloud/main.js'], { cwd: app.folder }).status).toBe(0);

    // From then on that file is the bundle: built, checked, and taken along.
    const policy = policyOf(app);
    policy.virgil.tokenTtlSeconds = 601;
    writeFileSync(join(app.folder, 'back4app.json'), JSON.stringify(policy));
    expect((await app.run('doctor')).stdout).toMatch(/fault +bundle +cloud\/e2ee\.cjs is not what/);
    expect((await app.run('build')).stdout).toContain('cloud/e2ee.cjs');
    expect(read(app, 'cloud/e2ee.cjs')).toContain('601');
    expect((await init(app)).stdout).toMatch(/^Nothing to change\./);

    writeFileSync(join(app.folder, 'cloud/package.json'), '{ "type": "commonjs" }');
    writeFileSync(join(app.folder, 'cloud/main.js'), 'f();\n');
    expect((await init(app)).status).toBe(0);
    expect(read(app, 'cloud/main.js')).toBe(`${REQUIRE}\nf();\n`);
  });

  test('a main.js that is compiled from main.ts is named, and not edited', async () => {
    const app = appWith({ 'cloud/main.ts': "import './triggers';\n" });
    const { status, stderr } = await init(app);
    expect(status).toBe(1);
    expect(stderr).toContain('is compiled from main.ts, and is not edited. Write into main.ts, first of all');
    expect(read(app, 'cloud/main.js')).toBe(oldFiles['cloud/main.js']);
  });

  test('triggers above the require, or in files that are required above it, are named', async () => {
    const app = appWith({
      'cloud/main.js': `const x = require('./triggers');\nParse.Cloud.beforeSave('Note', x);\n${REQUIRE}\nrequire('./later');\n`,
      'cloud/triggers.js':
        "require('./deeper');\nrequire('./main');\nParse.Cloud.beforeSave('ChatMessage', f);\n",
      'cloud/deeper.js': "\n// Parse.Cloud.beforeSave('Comment', f);\nParse.Cloud.beforeSave('Deep', f);\n",
      'cloud/later.js': "Parse.Cloud.beforeSave('Later', f);\n",
    });
    const { status, stdout } = await init(app);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^fault +Cloud Code +cloud\/main\.js, read and not run, has /m);
    expect(stdout).toContain("Parse.Cloud.beforeSave('Note') on line 2, ");
    expect(stdout).toContain("Parse.Cloud.beforeSave('ChatMessage') on line 3 of cloud/triggers.js");
    expect(stdout).toContain("Parse.Cloud.beforeSave('Deep') on line 3 of cloud/deeper.js");
    expect(stdout).not.toMatch(/'Comment'|'Later'/);
  });

  test.each(['*.js', 'cloud/*', '/cloud/e2ee.js'])(
    'a bundle that git would ignore (%s) is not ignored',
    async (rule) => {
      const app = appWith({ '.gitignore': `${rule}\n` });
      const { stdout } = await init(app);
      expect(read(app, '.gitignore')).toMatch(/\n!cloud\/e2ee\.js\n$/);
      const ignored = () =>
        spawnSync('git', ['check-ignore', '--quiet', 'cloud/e2ee.js'], { cwd: app.folder }).status;
      expect(ignored()).toBe(1);
      expect(stdout).toMatch(/^ok +git /m);
      const before = filesOf(app);
      await init(app);
      expect(filesOf(app)).toEqual(before);
    },
  );

  test('a bundle that git ignores with its whole folder, and an .env that git has, are named', async () => {
    const app = appWith({ '.gitignore': 'cloud/\n' });
    const { status, stdout } = await init(app);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^fault +git +ignores cloud\/e2ee\.js: .*git check-ignore -v cloud\/e2ee\.js/m);
    appWith({ '.env': '' });
    spawnSync('git', ['add', '.env'], { cwd: app.folder });
    expect((await init(app)).stdout).toMatch(/^fault +git +does not ignore \.env.*git rm --cached \.env/m);
    spawnSync('git', ['rm', '--cached', '-f', '.env'], { cwd: app.folder });
  });

  test.each(['*.js', 'e2ee.js'])(
    'a bundle that .parseignore would keep from b4a (%s) is uploaded',
    async (rule) => {
      const app = appWith({ '.parseignore': rule });
      const { stdout } = await init(app);
      expect(read(app, '.parseignore')).toBe(`${rule}\n!e2ee.js\n`);
      expect(stdout).toMatch(/^ok +upload /m);
    },
  );

  test('a malformed pattern in .parseignore is read as b4a reads it, or named', async () => {
    const app = appWith({ '.parseignore': '[draft\n' });
    expect((await init(app)).stdout).toMatch(/^ok +upload /m);
    expect(read(app, '.parseignore')).toBe('[draft\n');
    appWith({ '.parseignore': 'a/[draft\n' });
    expect((await init(app)).stdout).toMatch(/^warning +upload .* fix or simplify line 1: a\/\[draft$/m);
  });

  test('a .parse.project with an e-mail address, which git has, is named', async () => {
    const app = appWith({ '.parse.project': '{ "project_type": 1, "email": "me@example.com" }' });
    expect((await init(app)).stdout).not.toMatch(/^warning +git /m);
    spawnSync('git', ['add', '--force', '.parse.project'], { cwd: app.folder });
    const warning = /^warning +git +does not ignore \.parse\.project.*git rm --cached \.parse\.project/m;
    expect((await init(app)).stdout).toMatch(warning);
    writeFileSync(join(app.folder, '.parse.project'), '{ "project_type": 1 }');
    expect((await init(app)).stdout).not.toMatch(/^warning +git /m);
    spawnSync('git', ['rm', '--cached', '-f', '.parse.project'], { cwd: app.folder });
    rmSync(join(app.folder, '.parse.project'));
  });

  test.each([
    [[], 'class'],
    [fields, 'class'],
    [['--class', 'ChatMessage'], 'encrypted'],
    [['--class', 'ChatMessage', '--encrypted', 'text'], 'plain'],
  ])('--yes with %j guesses nothing, names --%s, and writes nothing', async (args, option) => {
    const app = appWith({});
    const before = filesOf(app);
    const { status, stderr } = await app.run('init', [...args, '--yes']);
    expect(status).toBe(1);
    expect(stderr).toBe(`Say --${option}: what is secret is not guessed.\n`);
    expect(filesOf(app)).toEqual(before);
  });

  test.each([
    ['a class that cannot be', ['--class', '_User', ...fields], 'classes._User'],
    ['a sender that is no plain field', [...chatMessage, '--sender', 'text'], 'classes.ChatMessage.sender'],
    ['a mode that there is not', [...chatMessage, '--mode', 'off'], 'classes.ChatMessage.mode'],
    ['types for some fields', [...chatMessage, '--plain', 'from:Pointer<_User>,sentAt'], 'a type, or none'],
  ])('%s is refused, and nothing is written', async (_what, args, named) => {
    const app = appWith({});
    const before = filesOf(app);
    const { status, stderr } = await app.run('init', [...args, '--yes']);
    expect(status).toBe(1);
    expect(stderr).toContain(named);
    expect(filesOf(app)).toEqual(before);
  });

  test('a policy that is there and not valid is named, and left', async () => {
    const app = appWith({ 'back4app.json': '{ "classes": {} }' });
    const { status, stderr } = await init(app);
    expect(status).toBe(1);
    expect(stderr).toContain('back4app.json is not a valid policy');
    expect(read(app, 'back4app.json')).toBe('{ "classes": {} }');
  });
});

describe('consent', () => {
  test('--dry-run shows the difference, and writes nothing', async () => {
    const app = appWith({ 'cloud/main.js': "'use strict';\nf();\n" });
    const before = filesOf(app);
    const { status, stdout } = await init(app, '--dry-run');
    expect(status).toBe(0);
    expect(stdout).toContain(`cloud/main.js\n  + ${REQUIRE}\n`);
    expect(stdout).toContain('back4app.json (new)\n  + {\n');
    expect(filesOf(app)).toEqual(before);
  });

  test('without --yes, and no terminal to ask on, writes nothing', async () => {
    const app = appWith({});
    const before = filesOf(app);
    const { status, stderr } = await app.run('init', chatMessage);
    expect(status).toBe(1);
    expect(stderr).toContain('Nothing was changed');
    expect(filesOf(app)).toEqual(before);
  });

  test.each(['', 'y'])(
    'on a terminal it asks for what is not given; no erasure but by a yes (%j)',
    async (erase) => {
      const app = appWith({});
      const before = filesOf(app);
      const questions = (last: string): [string, string][] => [
        ['Class to guard:', 'ChatMessage'],
        ['Fields of ChatMessage that hold ciphertext:', 'text'],
        ['Its other fields, as name or as name:Type:', PLAIN],
        ['The one that holds the user', 'from'],
        ['Has ChatMessage rows already', 'n'],
        ['off Virgil Cloud, for good? [y/N]', erase],
        ['Write this? [y/N]', last],
      ];
      expect((await app.runOnTerminal('init', [], questions('n'))).status).toBe(1);
      expect(filesOf(app)).toEqual(before);
      const { status, shown } = await app.runOnTerminal('init', [], questions('y'));
      expect(status).toBe(0);
      expect(shown).toContain(`  + ${REQUIRE}`);
      expect(policyOf(app).classes.ChatMessage).toEqual({
        encrypted: ['text'],
        plain: { from: 'Pointer<_User>', sentAt: 'Date' },
        sender: 'from',
      });
      const virgil = { tokenTtlSeconds: 1200, guardUserIds: true, ...(erase && { eraseDeletedUsers: true }) };
      expect(policyOf(app).virgil).toEqual(virgil);
    },
  );
});

describe('the road of an app that exists', () => {
  const trigger = `
    Parse.Cloud.define('hello', () => 'hello from the app');
    Parse.Cloud.beforeSave('ChatMessage', ({ object }) => {
      if (object.get('text') === 'stop') throw 'stopped by the app';
    });
  `;
  let app: TestApp;
  let server: BareParseServer;
  let client: ReturnType<typeof restClient>;
  let virgilCloud: Awaited<ReturnType<typeof serveVirgilCloud>>;
  let envelope: string;
  let credentials: Record<string, string>;
  const live = () => ['--server', server.url, '--app-id', server.appId];
  const key = { PARSE_MASTER_KEY: 'test-master-key' };
  const master = { master: true };

  beforeAll(async () => {
    app = tarball.makeApp({
      'cloud/main.js': "'use strict';\nrequire('./triggers');\n",
      'cloud/triggers.js': trigger,
      'public/index.html': '<!doctype html>',
    });
    const crypto = await loadVirgilCrypto();
    envelope = envelopeMaker(crypto)();
    const application = makeVirgilApplication(crypto);
    virgilCloud = await serveVirgilCloud(application);
    credentials = { ...application.environment, VIRGIL_API_URL: virgilCloud.url };
    server = await startBareParseServer({
      environment: credentials,
      parseOptions: { cloud: join(app.folder, 'cloud/main.js'), allowClientClassCreation: false },
    });
    client = restClient(server);
    const columns = {
      text: { type: 'String' },
      from: { type: 'Pointer', targetClass: '_User' },
      sentAt: { type: 'Date' },
    };
    for (const className of ['ChatMessage', 'Empty'])
      await client.call('POST', `/schemas/${className}`, { className, fields: columns }, master);
    const photo = { className: 'Photo', fields: { text: { type: 'String' }, image: { type: 'File' } } };
    await client.call('POST', '/schemas/Photo', photo, master);
  });
  afterAll(async () => {
    await server?.stop();
    await virgilCloud?.close();
  });

  let alice: { id: string; username: string; sessionToken: string };
  const save = (text: string) =>
    client.call(
      'POST',
      '/classes/ChatMessage',
      {
        text,
        from: { __type: 'Pointer', className: '_User', objectId: alice.id },
        ACL: { [alice.id]: { read: true, write: true } },
      },
      alice,
    );
  const doctor = () => {
    const user = { DOCTOR_USER: alice.username, DOCTOR_PASSWORD: 'a password' };
    return app.run('doctor', live(), { ...key, ...user, ...credentials });
  };
  async function deploy() {
    await server.kill();
    await server.startAgain();
  }

  test('the app as it was: its function and trigger run, and plain text is stored', async () => {
    alice = await client.signUp();
    expect((await client.run('hello')).body.result).toBe('hello from the app');
    expect((await save('what was said before')).status).toBe(201);
  });

  test('the live schema is proposed, and a class that has rows begins with report', async () => {
    const dry = ['--class', 'ChatMessage', '--encrypted', 'text', '--yes', '--dry-run'];
    const unsaid = await app.run('init', [...live(), ...dry], key);
    expect(unsaid.stderr).toContain("Say --plain 'from:Pointer<_User>,sentAt:Date', or another");
    const empty = await app.run(
      'init',
      [...live(), '--class', 'Empty', ...fields, '--yes', '--dry-run'],
      key,
    );
    expect(empty.stdout).toContain('"Empty": {');
    expect(empty.stdout).not.toContain('"mode"');
    const wrong = ['--class', 'Photo', '--encrypted', 'image', '--plain', ''];
    const refused = await app.run('init', [...live(), ...wrong, '--yes', '--dry-run'], key);
    expect(refused.stderr).toContain('image is of type File, and must be String');
    const left = ['--class', 'Photo', '--encrypted', 'text', '--plain', ''];
    const named = await app.run('init', [...live(), ...left, '--yes', '--dry-run'], key);
    expect(named.stdout).toContain('that the policy does not name. Nobody will be able to write them: image');
    const before = filesOf(app);
    expect(before).not.toHaveProperty(['back4app.json']);

    const { status, shown } = await app.runOnTerminal(
      'init',
      live(),
      [
        ['Class to guard (ChatMessage, Empty, Photo):', 'ChatMessage'],
        ['hold ciphertext (text):', 'text'],
        ['[from:Pointer<_User>,sentAt:Date; - for none]:', ''],
        ['[from; - for none]:', ''],
        ['off Virgil Cloud, for good? [y/N]', ''],
        ['Write this?', 'y'],
      ],
      key,
    );
    expect(status).toBe(0);
    expect(shown).toContain('ChatMessage: what is no ciphertext is reported');
    expect(policyOf(app).classes.ChatMessage).toEqual({
      mode: 'report',
      encrypted: ['text'],
      plain: { from: 'Pointer<_User>', sentAt: 'Date' },
      sender: 'from',
    });
    expect(read(app, 'cloud/main.js')).toBe(`'use strict';\n${REQUIRE}\nrequire('./triggers');\n`);
  });

  test('report: all goes on as before, the log tells, and the doctor finds no fault', async () => {
    await deploy();
    expect((await client.run('hello')).body.result).toBe('hello from the app');
    expect((await save('stop')).body.error).toBe('stopped by the app');
    expect((await save('still plain')).status).toBe(201);
    expect(await server.logged()).toContain('e2ee report: ChatMessage: 142 ChatMessage.text is refused');
    const { status, stdout } = await doctor();
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(/^warning +ChatMessage guard +plaintext is accepted/m),
    ]);
  });

  test('enforce: plain text is refused, an envelope is saved, and the doctor is green', async () => {
    const policy = policyOf(app);
    policy.classes.ChatMessage.mode = 'enforce';
    writeFileSync(join(app.folder, 'back4app.json'), JSON.stringify(policy));
    expect(app.npx(['build']).status).toBe(0);
    await deploy();
    expect((await save('plain')).body.code).toBe(142);
    expect((await save('stop')).body.error).toBe('stopped by the app');
    expect((await save(envelope)).status).toBe(201);
    // Encrypted by a client, or deleted.
    for (const { objectId, text } of (await client.call('GET', '/classes/ChatMessage', undefined, master))
      .body.results)
      if (text !== envelope)
        await client.call('DELETE', `/classes/ChatMessage/${objectId}`, undefined, master);
    expect((await app.run('schema', [...live(), '--yes'], key)).status).toBe(0);
    const here = await app.run('doctor', [], credentials);
    expect([here.status, here.stdout]).toEqual([0, expect.not.stringMatching(/^(fault|warning)/m)]);
    const there = await doctor();
    expect([there.status, there.stdout]).toEqual([0, expect.not.stringMatching(/^(fault|warning|skipped)/m)]);
  });

  test('init again changes nothing', async () => {
    const before = filesOf(app);
    const { status, stdout } = app.npx(['init', ...chatMessage, '--yes']);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^Nothing to change\./)]);
    expect(filesOf(app)).toEqual(before);
  });

  test('deploy: b4a gets exactly the files of the app, after consent, and brings the old ones back', async () => {
    const b4a = installB4a(`${app.folder}-b4a`);
    const before = { 'cloud/main.js': "require('./old');", 'cloud/old.js': '' };
    b4a.setLive(before);
    for (const [file, content] of Object.entries(LINK)) writeFileSync(join(app.folder, file), content);
    expect((await app.run('deploy', ['--yes'], b4a.environment)).status).toBe(1);
    expect(b4a.live()).toEqual(before);
    const { status, stdout } = await app.run('deploy', ['--replace-release'], b4a.environment);
    expect(status).toBe(0);
    const names = ['cloud/e2ee.js', 'cloud/main.js', 'cloud/triggers.js', 'public/index.html'];
    const deployed = Object.fromEntries(names.map((name) => [name, filesOf(app)[name]]));
    expect(b4a.live()).toEqual(deployed);
    const [, back = ''] = /^ {2}(cd .* b4a deploy .*)$/m.exec(stdout) ?? [];
    spawnSync('sh', ['-c', back], { cwd: app.folder, env: b4a.environment });
    expect(b4a.live()).toEqual(before);
    expect(existsSync(join(app.folder, '.local/releases'))).toBe(true);

    // A main.js that requires a bundle of ours is no loss, whatever policy that has.
    const bundle = deployed['cloud/e2ee.js'] as string;
    b4a.setLive({
      ...(deployed as Record<string, string>),
      'cloud/e2ee.js': bundle.replace('"tokenTtlSeconds":', '"tokenTtlSeconds":1'),
      'cloud/main.js': `${deployed['cloud/main.js']}\n// as it was`,
    });
    const again = await app.run('deploy', ['--yes'], b4a.environment);
    expect(again.stdout).toContain(
      'replaced by others of the same name:\n  cloud/e2ee.js\n  cloud/main.js\n',
    );
    expect([again.status, b4a.live()]).toEqual([0, deployed]);
  });
});
