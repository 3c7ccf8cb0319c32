import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isUploaded, unclearLines, uploadedFiles } from '../../../scripts/deploy/upload-rules';

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'e2ee-rules-'));
});
afterEach(() => rmSync(project, { recursive: true }));

function write(file: string, content = ''): void {
  mkdirSync(dirname(join(project, file)), { recursive: true });
  writeFileSync(join(project, file), content);
}

/** The files that a .parseignore leaves, of these in cloud/. */
function uploaded(parseignore: string, files: string[]): string[] {
  write('.parseignore', parseignore);
  for (const file of files) write(`cloud/${file}`);
  return uploadedFiles(project).map((file) => file.slice('cloud/'.length));
}

// What b4a's own matcher, github.com/facebookgo/parseignore, says of these on Linux.
test.each<[pattern: string, excluded: string[], left: string[]]>([
  // Without a slash the end of the path has to match.
  ['*.ts', ['a.ts', 'a/b.ts'], ['a.tsx']],
  ['a?c', ['abc', 'x/abc', 'a/c'], ['ac']],
  ['[draft', ['[draft', 'a[draft'], ['draft', 'd']],
  ['[!m]*', ['main.js', 'x', 'm/m'], ['mm']],
  ['[^a]', ['a', '^', 'x^'], ['b']],
  ['[a-c].js', ['b.js', 'x/b.js', 'xb.js'], ['d.js']],
  ['[a-]x', ['-x', 'ax'], ['bx']],
  ['[c-a].js', [], ['b.js', 'c.js']],
  ['[]a]', ['[]a]', 'x[]a]'], ['a']],
  ['[.]js', ['a.js'], ['ajs']],
  ['*\\.js', ['a.js'], ['ajs']],
  ['*\\\\x', ['a\\x'], ['ax']],
  ['(a|b)*', ['(a|b)'], ['a']],
  ['a+*', ['a+'], ['aa']],
  // A bare name has to be one of the path's parts.
  ['name', ['name', 'a/name'], ['names', 'a/xname']],
  ['\\!x', ['!x', 'a/!x'], ['x']],
  ['\\*', ['*', 'a/*'], ['b']],
  ['\\#x', ['#x'], ['x#x']],
  ['a\\*b', ['a*b'], ['axb']],
  ['a\\ ', ['a '], ['a']],
  ['a \t\u00a0', ['a'], ['b']],
  // With a slash the whole path has to match.
  ['a/*', ['a/b', 'a/é'], ['b', 'x/a/b']],
  ['a/*.js', ['a/b.js'], ['a/b/c.js']],
  ['*/b', ['a/b'], ['x/a/b', 'b']],
  ['a/?', ['a/b', 'a/é'], ['a/bc']],
  ['a/[!b]', ['a/!', 'a/b'], ['a/c']],
  ['a/[^b]', ['a/c'], ['a/b']],
  ['a/[c-a]', [], ['a/b']],
  ['a[^x]b/c', ['a/b/c'], ['axb/c']],
  ['a/\\*', ['a/*'], ['a/b']],
  ['a/\\[b]', ['a/[b]'], ['a/b']],
  ['a/*[^é]', ['a/é', 'a/e'], ['é']], // the star matches the first byte of é
  ['a/*x*y', ['a/xzy', 'a/xxy', 'a/zxy'], ['a/xyz']],
  ['docs/*.md', ['docs/a.md'], ['docs/a/b.md']],
  // For folders.
  ['a/', ['a/b'], ['x']],
  ['b/', ['a/b/c'], ['a/x', 'b']],
  ['*.d/', ['x.d/y'], ['z.d']],
  ['a/b/', ['a/b/c'], ['a/x']],
  // No pattern.
  ['**/a', [], ['a', 'b/a']],
  ['!', [], ['a']],
  ['# a', [], ['a']],
  ['/a', [], ['a']],
])('%j is read as b4a reads it', (pattern, excluded, left) => {
  expect(uploaded(`${pattern}\r\n`, [...excluded, ...left])).toEqual([...left].sort());
  expect(unclearLines(project)).toEqual([]);
});

test('of several patterns the last one decides', () => {
  expect(uploaded('*\n!*.js\nb.js', ['a.js', 'b.js', 'c.txt'])).toEqual(['a.js']);
  expect(isUploaded(project, 'cloud/a.js')).toBe(true);
  expect(isUploaded(project, 'cloud/b.js')).toBe(false);
});

test.each([
  'cloud/[draft',
  'a/[]x]',
  'a/[^]',
  'a/[x-]',
  'a/x\\',
  '*\\d',
  '*\\é',
  '*x\\',
  '[\\d]',
  '[[:alpha:]]*',
  '[!][a]*',
])('%s, of which b4a makes what cannot be told, is named with its line, and left out', (line) => {
  expect(uploaded(`\n${line}\n*.md`, ['a.js', 'b.md'])).toEqual(['a.js']);
  expect(unclearLines(project)).toEqual([`line 2: ${line}`]);
});

describe('links', () => {
  test('that lead somewhere are followed, as b4a does', () => {
    write('shared/tool.js');
    write('cloud/main.js');
    symlinkSync('../shared', join(project, 'cloud/lib'));
    symlinkSync('main.js', join(project, 'cloud/again.js'));
    expect(uploadedFiles(project)).toEqual(['cloud/again.js', 'cloud/lib/tool.js', 'cloud/main.js']);
  });

  test.each([
    ['public/.#index.html', 'somebody@host.1234', 'public/.#index.html is a broken symbolic link'],
    ['cloud/node_modules/gone', '../nowhere', 'cloud/node_modules/gone is a broken symbolic link'],
    ['cloud/self', 'self', 'cloud/self is a broken symbolic link'],
    ['cloud/a/loop', '..', 'cloud/a/loop is a symbolic link to a folder that contains it'],
  ])('%s -> %s, on which b4a fails, is named in the error', (file, target, message) => {
    write('cloud/main.js');
    mkdirSync(dirname(join(project, file)), { recursive: true });
    symlinkSync(target, join(project, file));
    expect(() => uploadedFiles(project)).toThrow(message);
  });
});
