import { VIRGIL_VARIABLES } from '../../cloud/credentials';
import { isBundle, requiredPaths, whyEsModule, withoutComments } from '../doctor/main-file';
import { BUNDLE_IMPORT } from '../project/bundle';

const REQUIRE = "require('./e2ee');";
// In code without comments: a byte order mark, a "#!" line, white space, then the directive, to the end of its line if it is alone there.
const USE_STRICT = /^\uFEFF?(?:#!.*)?\s*(['"])use strict\1[ \t]*;?(?:[ \t]*(?=\r?\n))?/;
const FIRST_LINE = /^\uFEFF?(?:#!.*\r?\n)?/;

/**
 * An app's `main.js` with the require of the bundle in it, first but for `'use strict'`.
 *
 * @returns the same where it requires the bundle already, wherever
 */
export function withRequire(source: string | undefined): string {
  // A bundle of ours in place of an own main.js is what comes back by the require.
  if (source === undefined || source === '' || isBundle(source)) return `${REQUIRE}\n`;
  if (requiresBundle(source)) return source;
  const newline = source.includes('\r\n') ? '\r\n' : '\n';
  const [{ length: strict } = ''] = USE_STRICT.exec(withoutComments(source)) ?? [];
  if (strict > 0) return `${source.slice(0, strict)}${newline}${REQUIRE}${source.slice(strict)}`;
  const [top = ''] = FIRST_LINE.exec(source) ?? [];
  return `${top}${REQUIRE}${newline}${source.slice(top.length)}`;
}

function requiresBundle(source: string): boolean {
  const code = withoutComments(source);
  return requiredPaths(code).some((path) => /^\.\/e2ee(\.js)?$/.test(path)) || BUNDLE_IMPORT.test(code);
}

/**
 * @param file of the app's project, where it is
 * @param isCompiled whether a `main.ts` is beside it
 * @returns why its `main.js` is not ours to edit, and what to do instead; undefined where it is
 */
export function whyNotEdited(
  file: string,
  source: string | undefined,
  isCompiled: boolean,
): string | undefined {
  if (source !== undefined && requiresBundle(source)) return undefined;
  const why = whyEsModule(file, withoutComments(source ?? ''));
  if (why) {
    return (
      `is an ES module (${why}), and is not edited. Make the bundle CommonJS by its name, npm run build -- --outfile cloud/e2ee.cjs, ` +
      "and write into main.js, first of all: import './e2ee.cjs'; If it is CommonJS on Back4App, say so in a cloud/package.json, " +
      '{ "type": "commonjs" }, and run this again.'
    );
  }
  return isCompiled
    ? `is compiled from main.ts, and is not edited. Write into main.ts, first of all: ${REQUIRE}`
    : undefined;
}

/** @param lines those that are there already, as they are or with slashes around them, are not added again */
export function withLines(source: string | undefined, lines: string[]): string | undefined {
  const bare = (line: string) => line.trim().replace(/^\/|\/$/g, '');
  const there = (source ?? '').split('\n').map(bare);
  return appended(
    source,
    lines.filter((line) => !there.includes(bare(line))),
  );
}

/** `.env` with a line for each credential, to be filled in. */
export function withCredentials(source: string | undefined): string | undefined {
  const missing = VIRGIL_VARIABLES.filter(
    (name) => !new RegExp(`^\\s*(?:export\\s+)?${name}\\s*=`, 'm').test(source ?? ''),
  );
  return appended(
    source,
    missing.map((name) => `${name}=`),
  );
}

function appended(source = '', lines: string[]): string | undefined {
  if (lines.length === 0) return undefined;
  const end = source === '' || source.endsWith('\n') ? '' : '\n';
  return `${source}${end}${lines.join('\n')}\n`;
}

/** `package.json` with a script for each command of the package, in its own indentation. */
export function withScripts(source: string | undefined): string | undefined {
  if (source === undefined) return undefined;
  const manifest = JSON.parse(source);
  const missing = ['build', 'doctor', 'schema', 'deploy', 'start'].filter(
    (name) => manifest.scripts?.[`e2ee:${name}`] === undefined,
  );
  if (missing.length === 0) return undefined;
  const scripts = missing.map((name) => [`e2ee:${name}`, `back4app-e2ee ${name}`]);
  manifest.scripts = { ...manifest.scripts, ...Object.fromEntries(scripts) };
  const [, indentation = '  '] = /^\{\s*?\n([ \t]+)/.exec(source) ?? [];
  return `${JSON.stringify(manifest, null, indentation)}${source.endsWith('\n') ? '\n' : ''}`;
}
