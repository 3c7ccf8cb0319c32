import { readFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { BUNDLE_IMPORT } from '../project/bundle';
import { type Finding, fault, ok, skipped } from './finding';

// A string or a template, which is kept, or a comment.
const STRING_OR_COMMENT =
  /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\/.*|\/\*[\s\S]*?\*\//g;
const IMPORT_OR_EXPORT = /^\s*(?:import\b(?!\s*\()|export\b)/m;
// Statements that register nothing. The last is what TypeScript begins with.
const HARMLESS =
  /^(?:[\s;]|(['"])use strict\1|Object\.defineProperty\(exports, "__esModule", \{ value: true \}\))+/;
const REQUIRE = /\brequire\(\s*(['"`])([^'"`]+)\1\s*\)/;
const REQUIRE_STATEMENT = new RegExp(
  `^(?:(?:const|let|var)\\s+(?:[\\w$]+|\\{[\\w$\\s,:]*\\})\\s*=\\s*)?${REQUIRE.source}(?:\\.\\w+)*(?!\\s*[.,([])`,
);

interface MainFile {
  finding: Finding;
  /** The bundle that it requires, or that it is. */
  bundle?: string;
}

/** Looks whether an app's own `main.js` requires the bundle, and before all else. It is read, and nothing of it runs. */
export function checkMainFile(file: string): MainFile {
  const check = 'Cloud Code';
  const name = relative('.', file);
  const source = read(file);
  if (source === undefined) return { finding: fault(check, `${name} cannot be read: check --main.`) };
  if (isBundle(source)) return { finding: ok(check, `${name} is the bundle itself`), bundle: resolve(file) };
  const code = withoutComments(source);
  const why = whyEsModule(file, code);
  if (why) {
    const message = `${name} is an ES module (${why}), which the doctor does not read: import the bundle before all else.`;
    return { finding: skipped(check, message) };
  }
  const require = createRequire(resolve(file));
  const first = firstStatement(code);
  const bundleOnTop = first.required && bundleAt(require, first.required);
  if (bundleOnTop) {
    return { finding: ok(check, `${name} requires the bundle first (read, not run)`), bundle: bundleOnTop };
  }
  for (const { 2: required = '', index } of code.matchAll(new RegExp(REQUIRE, 'g'))) {
    const bundle = bundleAt(require, required);
    if (bundle) return { finding: fault(check, whyTooLate(file, code, first.at, index)), bundle };
  }
  const message =
    `${name}, read and not run, does not require the bundle: npm run build -- --outfile FILE, with FILE an e2ee.js beside it, ` +
    "and write require('./e2ee'); on its first line.";
  return { finding: fault(check, message) };
}

/**
 * @param code without comments
 * @returns by what Node takes a file for an ES module; undefined where it does not
 */
export function whyEsModule(file: string, code: string): string | undefined {
  if (file.endsWith('.mjs')) return 'by its name';
  if (IMPORT_OR_EXPORT.test(code)) return 'by an import or export in it';
  for (let folder = dirname(resolve(file)); ; folder = dirname(folder)) {
    const manifest = read(join(folder, 'package.json'));
    if (manifest === undefined && dirname(folder) !== folder) continue;
    return /"type"\s*:\s*"module"/.test(manifest ?? '') ? 'by "type": "module" in package.json' : undefined;
  }
}

/** @param above where the code begins that stands above the bundle's require */
function whyTooLate(file: string, code: string, above: number, required: number): string {
  const lineOf = (position: number) => `line ${code.slice(0, position).split('\n').length}`;
  const triggers = triggersIn(file, code, [above, required]);
  return (
    `${relative('.', file)}, read and not run, has ${triggers.join(', ') || `other code on ${lineOf(above)}`} above the require of the ` +
    `bundle on ${lineOf(required)}. Require the bundle first: a Parse Server that hides its triggers loses one that was there before the guard.`
  );
}

/**
 * The `beforeSave` triggers that a part of a file defines, or a file that it requires, with their lines.
 *
 * @param seen files that are read already
 */
function triggersIn(
  file: string,
  code: string,
  [from, to]: [number, number],
  seen = new Set([resolve(file)]),
): string[] {
  const isMain = seen.size === 1;
  const where = isMain ? '' : ` of ${relative('.', file)}`;
  const part = code.slice(from, to);
  const own = [...part.matchAll(/\bParse\.Cloud\.beforeSave\(\s*[^\s,)]*/g)].map(
    ({ 0: call, index }) => `${call}) on line ${code.slice(0, from + index).split('\n').length}${where}`,
  );
  const below = requiredPaths(part).flatMap((path) => {
    const required = path.startsWith('.') && resolved(createRequire(resolve(file)), path);
    if (!required || seen.has(required)) return [];
    seen.add(required);
    const source = withoutComments(read(required) ?? '');
    return triggersIn(required, source, [0, source.length], seen);
  });
  return [...own, ...below];
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Whether a `main.js` is a bundle of any version, or requires or imports one. It is read, and nothing of it runs. */
export function usesBundle(file: string): boolean {
  return checkMainFile(file).bundle !== undefined || BUNDLE_IMPORT.test(withoutComments(read(file) ?? ''));
}

/**
 * Whether `npm run build` wrote it: it registers our function, and begins with our licence. Before 0.2.0 it had none, but
 * the name that the build gave the policy.
 */
export function isBundle(source: string): boolean {
  const isOurs = source.startsWith('/*!') || source.includes('define_POLICY_default');
  return isOurs && /Parse\.Cloud\.define\("virgil-jwt"|\{"virgil-jwt":/.test(source);
}

/** @returns the file that the path leads to, if it is a bundle */
function bundleAt(require: NodeJS.Require, path: string): string | undefined {
  const file = resolved(require, path);
  return file !== undefined && isBundle(read(file) ?? '') ? file : undefined;
}

function resolved(require: NodeJS.Require, path: string): string | undefined {
  try {
    return require.resolve(path);
  } catch {
    return undefined;
  }
}

/** @returns the paths in all requires of a code without comments */
export function requiredPaths(code: string): string[] {
  return [...code.matchAll(new RegExp(REQUIRE, 'g'))].map(([, , path = '']) => path);
}

/** The same text, in which everything stands where it stood. */
export function withoutComments(source: string): string {
  return source.replace(STRING_OR_COMMENT, (text, literal) => literal ?? text.replace(/[^\n]/g, ' '));
}

/** The first statement that may register something, and what it requires if that is all it does. */
function firstStatement(code: string): { at: number; required?: string } {
  for (let at = 0; ; ) {
    at += HARMLESS.exec(code.slice(at))?.[0].length ?? 0;
    const [statement, , required] = REQUIRE_STATEMENT.exec(code.slice(at)) ?? [];
    if (statement === undefined || required === undefined || !isBuiltin(required)) return { at, required };
    at += statement.length;
  }
}
