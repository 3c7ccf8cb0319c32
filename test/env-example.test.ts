import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'dotenv';
import { projectRoot } from '../scripts/project/bundle';

// Not for users to set: the system's, Parse Server's own, and those of our tests, benchmark and pictures.
const OTHERS = [
  'PATH',
  'CHROMIUM_PATH',
  'PARSE_ROOT',
  'NODE_ENV',
  'TESTING',
  'PARSE_SERVER_LOGS_FOLDER',
  'PARSE_SERVER_MODULE',
  'TEST_DATABASE_URI',
  'TEST_DATABASE_PREFIX',
  'BENCH_OFF',
];

const source = ['cloud', 'scripts']
  .flatMap((folder) =>
    readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(join(projectRoot, folder, file), 'utf8')),
  )
  .join('\n');

/** Names by which the code reads the environment: as a property, by destructuring, or as a whole string. */
const read = [
  ...source.matchAll(/\b(?:process\.env|environment)\.([A-Z][A-Z_]+)\b/g),
  ...[...source.matchAll(/\{ ([A-Z_, ]+) \} = (?:process\.env|environment)\b/g)].flatMap(([, names]) => [
    ...(names as string).matchAll(/([A-Z_]+)/g),
  ]),
  ...source.matchAll(/'((?:VIRGIL|NEXMO|PARSE)_[A-Z_]+)'/g),
].map(([, name]) => name as string);

const example = readFileSync(join(projectRoot, '.env.example'), 'utf8');
const named = [...example.matchAll(/^# ([A-Z_]+)=$/gm)].map(([, name]) => name as string);

test('names each variable that the code reads, once, and no other', () => {
  const expected = [...new Set(read)].filter((name) => !OTHERS.includes(name));
  expect([...named].sort()).toEqual(expected.sort());
});

test('has a line of comment above each, and sets none', () => {
  const lines = example.split('\n');
  for (const name of named) expect(lines[lines.indexOf(`# ${name}=`) - 1]).toMatch(/^# .*\.$/);
  expect(parse(example)).toEqual({});
});
