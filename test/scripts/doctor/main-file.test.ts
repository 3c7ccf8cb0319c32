import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkMainFile, usesBundle } from '../../../scripts/doctor/main-file';
import { makeProject } from '../../support/project';

const project = makeProject();
const app = join(project.folder, 'app');
const main = join(app, 'main.js');
const bundle = join(app, 'lib/guards.js');

beforeAll(async () => {
  mkdirSync(app);
  const { status, stderr } = await project.run('build', ['--outfile', bundle]);
  expect([status, stderr]).toEqual([0, '']);
  writeFileSync(join(app, 'other.js'), "Parse.Cloud.define('virgil-jwt', () => {});");
});
afterAll(() => project.remove());

function check(code: string, file = main) {
  writeFileSync(file, code);
  const { finding, ...rest } = checkMainFile(file);
  return { ...finding, ...rest };
}

const REQUIRE = "require('./lib/guards');";
const first = {
  status: 'ok',
  message: expect.stringMatching(/requires the bundle first \(read, not run\)$/),
  bundle,
};
const fault = (message: RegExp) => ({ status: 'fault', message: expect.stringMatching(message) });

describe('the bundle is required first, under whatever name it was built', () => {
  test.each([
    ['alone', REQUIRE],
    ['for its guard', `const { guard } = ${REQUIRE}`],
    ['by its extension', 'require("./lib/guards.js")\nParse.Cloud.define("f", () => {})'],
    [
      'below comments and "use strict"',
      `// mine\n"use strict";\n/* Parse.Cloud.beforeSave('Message', f) */ ${REQUIRE}`,
    ],
    [
      "below Node's own modules",
      `const fs = require('fs');\nvar { join: j } = require("node:path")\n${REQUIRE}`,
    ],
    [
      'as TypeScript compiles it',
      `"use strict";\nObject.defineProperty(exports, "__esModule", { value: true });\n${REQUIRE}`,
    ],
    ['above triggers', `${REQUIRE}\nParse.Cloud.beforeSave('Message', () => {});`],
  ])('%s', (_name, code) => {
    expect(check(code)).toMatchObject(first);
  });
});

describe('what stands above the require is named, with its line', () => {
  test('triggers, which would be replaced', () => {
    const code = [
      "const fs = require('fs');",
      "Parse.Cloud.beforeSave('Message', (request) => {",
      "  request.object.set('it', 'is //');",
      '});',
      "// Parse.Cloud.beforeSave('Comment', f);",
      'Parse.Cloud.beforeSave( Parse.User, check );',
      REQUIRE,
    ];
    expect(check(code.join('\n'))).toMatchObject({
      ...fault(
        /has Parse\.Cloud\.beforeSave\('Message'\) on line 2, Parse\.Cloud\.beforeSave\( Parse\.User\) on line 6 above .* on line 7\. /,
      ),
      bundle,
    });
  });

  test.each([
    ['a module of the app', `\nrequire('./other');\n${REQUIRE}`],
    ['a package', `\nconst { a } = require('some-package');\n${REQUIRE}`],
    ['a call on a module', `\nrequire('fs').writeFileSync('a', '');\n${REQUIRE}`],
    ['a condition', `\nif (process.env.E2EE) ${REQUIRE}`],
  ])('%s', (_name, code) => {
    expect(check(code)).toMatchObject(
      fault(/read and not run, has other code on line 2 above .* Require the bundle first: /),
    );
  });
});

test.each([
  ['nothing', ''],
  ['a comment', `// ${REQUIRE}`],
  ['another file that defines virgil-jwt', "require('./other');"],
  ['a file that is not there', "require('./e2ee');"],
])('a main.js that requires %s is told how to', (_name, code) => {
  expect(check(code)).toMatchObject(
    fault(
      /read and not run, does not require the bundle: npm run build -- --outfile .*require\('\.\/e2ee'\);/,
    ),
  );
});

test.each([
  ['main.js', "import './lib/guards.js';\nimport fs from 'node:fs';"],
  ['main.js', 'export default 1;'],
  ['main.mjs', REQUIRE],
])('an ES module is called that: %s', (name, code) => {
  expect(check(code, join(app, name))).toMatchObject({
    status: 'skipped',
    message: expect.stringMatching(/is an ES module/),
  });
});

test('the bundle itself, and a file that is not there', () => {
  expect(checkMainFile(bundle)).toMatchObject({ finding: { status: 'ok' }, bundle });
  expect(checkMainFile(join(app, 'nowhere.js')).finding).toMatchObject(
    fault(/nowhere\.js cannot be read: check --main/),
  );
});

test.each<[string, boolean]>([
  [`Parse.Cloud.define('f', g);\n${REQUIRE}`, true],
  ["import './e2ee.cjs';\nimport { g } from './g.mjs';", true],
  // As 0.1.0 wrote it, without a licence.
  ['"use strict";\nParse.Cloud.define("virgil-jwt", virgilJwt(define_POLICY_default.virgil));', true],
  ['Parse.Cloud.define("virgil-jwt", f);', false], // Virgil's own sample
  [`// ${REQUIRE}\nrequire('./other');`, false],
  ["// import './e2ee.cjs';", false],
  ['', false],
])('whether a bundle of any version is in use is told of %j', (code, isUsed) => {
  writeFileSync(main, code);
  expect(usesBundle(main)).toBe(isUsed);
});

test('a definition of one of our functions in any file of the app is named, with its line', async () => {
  writeFileSync(main, REQUIRE);
  const tutorial =
    "// Parse.Cloud.define('nexmo-jwt')\nPromise.resolve().then(() => Parse.Cloud.define('virgilJwt', f));\n";
  writeFileSync(join(app, 'tutorial.js'), tutorial);
  const { stdout } = await project.run('doctor', ['--main', 'app/main.js']);
  expect(stdout).toContain(
    'your app defines virgil-jwt (app/other.js, line 1), virgilJwt (app/tutorial.js, line 2), which the bundle leaves out',
  );
  rmSync(join(app, 'tutorial.js'));
  rmSync(join(app, 'other.js'));
  const { stdout: now } = await project.run('doctor', ['--main', 'app/main.js']);
  expect(now).toMatch(/^ok +second definitions/m);
});

test('npm run doctor -- --main: the bundle that it looks at is the one that is required', async () => {
  writeFileSync(main, REQUIRE);
  const { stdout } = await project.run('doctor', ['--main', 'app/main.js']);
  expect(stdout).toMatch(/^ok +Cloud Code +app\/main\.js requires the bundle first/m);
  expect(stdout).toMatch(/^ok +bundle +app\/lib\/guards\.js is fresh/m);
  expect(stdout).toMatch(/^ok +bundle alone +registers virgil-jwt/m);
  const policy = JSON.stringify({ virgil: { tokenTtlSeconds: 60 }, classes: {} });
  project.write('back4app.json', policy);
  const stale = await project.run('doctor', ['--main', 'app/main.js']);
  expect(stale.stdout).toMatch(/^fault +bundle .*: npm run build -- --outfile app\/lib\/guards\.js\.$/m);
  writeFileSync(main, '');
  expect((await project.run('doctor', ['--main', 'app/main.js'])).stdout).toMatch(
    /^skipped +bundle +needs a main\.js/m,
  );
});
