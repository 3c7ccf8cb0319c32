import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commands, type Option } from '../scripts/command-line/commands';

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file && existsSync(file));
const documents = files.filter((file) => file.endsWith('.md'));
const sources = files.filter((file) => /^(cloud|scripts|test)\/.*\.tsx?$/.test(file));
const read = (file: string) => readFileSync(file, 'utf8');
const { version, scripts, files: published, allowScripts } = JSON.parse(read('package.json'));

// What the build and the commands make.
const MADE = /^(cloud\/(main|e2ee)\.js|path\/to\/.*|.*\/NAME\..*|\.local\/.*)$/;

/** The anchors that GitHub gives a document's headings. */
function anchorsOf(document: string): string[] {
  return [...read(document).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test.each(documents)('every link of %s leads somewhere', (document) => {
  for (const [, target = ''] of read(document).matchAll(/\]\(([^)]+)\)/g)) {
    if (/^https?:/.test(target)) continue;
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? document : join(dirname(document), path);
    expect([target, existsSync(file)]).toEqual([target, true]);
    if (anchor !== undefined) expect(anchorsOf(file)).toContain(anchor);
  }
});

test.each(documents)('every file and command that %s names is there', (document) => {
  const text = read(document);
  for (const [, name = ''] of text.matchAll(/\bnpm run ([a-z][\w:-]*)/g))
    expect(scripts).toHaveProperty([name]);
  for (const [, path = ''] of text.matchAll(
    /(?<![\w/.-])((?:cloud|scripts|test|docs|path\/to|\.local)\/[\w./-]*[\w/])/g,
  )) {
    if (!MADE.test(path)) expect([path, existsSync(path)]).toEqual([path, true]);
  }
});

test('no comment names a document that is not there', () => {
  const cited = sources.flatMap((source) =>
    [...read(source).matchAll(/(?:\/\/|\*) .*?([\w./-]+\.md)\b/g)].map(([, document = '']) => [
      source,
      document,
    ]),
  );
  expect(cited.length).toBeGreaterThan(0);
  expect(cited.filter(([, document = '']) => !existsSync(document))).toEqual([]);
});

test('the README is short', () => {
  expect(read('README.md').trim().split(/\s+/).length).toBeLessThanOrEqual(1100);
});

// Without `--no` npx runs a stranger's package of our name; without the `--` npm 11.19 takes --help for itself.
test('everything says npx --no -- back4app-e2ee, and never npx otherwise', () => {
  const otherwise = /\bnpx (?!--no -- )(-\S+ )*back4app-e2ee/;
  expect([...documents, ...sources].filter((file) => otherwise.test(read(file)))).toEqual([]);
});

test('an app gets us in three steps: install, init, deploy', () => {
  const [, section = ''] = /^## Add it to your app\n([\s\S]*?)^## /m.exec(read('README.md')) ?? [];
  expect([...section.matchAll(/^\d\. \*\*(\w+)\./gm)].map(([, step]) => step)).toEqual([
    'Install',
    'Init',
    'Deploy',
  ]);
  const [pack, install, init, deploy] = [...section.matchAll(/^ {3}```\n([\s\S]*?)^ {3}```$/gm)].map(
    ([, block = '']) => block.trim().split(/\n +/),
  );
  // Each in a folder of its own, and so in a block of its own: people paste a block as a whole.
  expect([pack, install]).toEqual([['npm pack'], [`npm i -D ./back4app-e2ee-${version}.tgz`]]);
  expect(init?.join()).toMatch(/^npx --no -- back4app-e2ee init --class /); // which test/scripts/init.test.ts runs
  expect(deploy).toEqual(['npx --no -- back4app-e2ee doctor', 'npx --no -- back4app-e2ee deploy']);
});

test('whoever pastes every command of the README installs our packages once', () => {
  expect(read('README.md').match(/^ *npm ci\b|`npm ci &&/gm)).toEqual(['npm ci']);
});

test('no package that npm ci installs here runs a script then, and npm asks about none', () => {
  const { packages } = JSON.parse(read('package-lock.json'));
  const scripted = Object.keys(packages).filter((path) => packages[path].hasInstallScript);
  const names = new Set(scripted.map((path) => path.replace(/^.*node_modules\//, '')));
  expect(allowScripts).toEqual(Object.fromEntries([...names].sort().map((name) => [name, false])));
});

test('the documents are not published with the bundle', () => {
  expect(published.join()).not.toContain('docs');
});

test('the table of commands is what --help says', () => {
  const rows = Object.entries(commands).map(([name, { does, options }]) => {
    const shown = Object.entries<Option>(options).filter(([, { help }]) => help);
    const flags = shown.map(([option, { value }]) => `\`--${option}${value ? ` ${value}` : ''}\``);
    const typed = { start: 'npm start', init: 'npx --no -- back4app-e2ee init' }[name] ?? `npm run ${name}`;
    return `| \`${typed}\` | ${does} | ${flags.join(', ')} |`;
  });
  const table = read('docs/commands.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(table).toEqual(rows);
});

test('the JavaScript of clients.md skips a row during which the app ended, and no other', async () => {
  const [, code] = /```js\n(\/\*\* What `open` makes[\s\S]*?)```/.exec(read('docs/clients.md')) ?? [];
  const stored = new Map<string, string>();
  const notes = {
    getItem: async (key: string) => stored.get(key) ?? null,
    setItem: async (key: string, value: string) => void stored.set(key, value),
    removeItem: async (key: string) => void stored.delete(key),
  };
  const openOnce = new Function(`${code}; return openOnce`)() as (
    storage: typeof notes,
    row: { id: string },
    open: (row: { id: string }) => unknown,
  ) => Promise<unknown>;

  expect(await openOnce(notes, { id: 'a' }, () => 'hello')).toBe('hello');
  const failing = () => Promise.reject(new Error('not for us'));
  await expect(openOnce(notes, { id: 'a' }, failing)).rejects.toThrow('not for us');
  expect(stored.size).toBe(0);

  openOnce(notes, { id: 'a' }, () => new Promise(() => {})); // the app ends here
  await new Promise(setImmediate);
  let opened = 0;
  const open = () => ++opened;
  expect(await openOnce(notes, { id: 'a' }, open)).toBeUndefined();
  expect(opened).toBe(0);
  expect(await openOnce(notes, { id: 'b' }, open)).toBe(1);
});
