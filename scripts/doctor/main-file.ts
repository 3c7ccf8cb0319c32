import { readFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { relative, resolve } from 'node:path';
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
  if (file.endsWith('.mjs') || IMPORT_OR_EXPORT.test(code)) {
    const message = `${name} is an ES module, which the doctor does not read: import the bundle before all else.`;
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
    if (bundle) return { finding: fault(check, whyTooLate(name, code, first.at, index)), bundle };
  }
  const message =
    `${name}, read and not run, does not require the bundle: npm run build -- --outfile FILE, with FILE an e2ee.js beside it, ` +
    "and write require('./e2ee'); on its first line.";
  return { finding: fault(check, message) };
}

/** @param above where the code begins that stands above the bundle's require */
function whyTooLate(name: string, code: string, above: number, required: number): string {
  const line = (position: number) => `line ${code.slice(0, position).split('\n').length}`;
  const triggers = [...code.slice(above, required).matchAll(/\bParse\.Cloud\.beforeSave\(\s*[^\s,)]*/g)].map(
    ({ 0: call, index }) => `${call}) on ${line(above + index)}`,
  );
  return (
    `${name}, read and not run, has ${triggers.join(', ') || `other code on ${line(above)}`} above the require of the bundle on ` +
    `${line(required)}. Require the bundle first: a Parse Server that hides its triggers loses one that was there before the guard.`
  );
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Whether `npm run build` wrote it: it begins with our licence, and registers our function. */
function isBundle(source: string): boolean {
  return source.startsWith('/*!') && source.includes('Parse.Cloud.define("virgil-jwt"');
}

/** @returns the file that the path leads to, if it is a bundle */
function bundleAt(require: NodeJS.Require, path: string): string | undefined {
  try {
    const file = require.resolve(path);
    return isBundle(readFileSync(file, 'utf8')) ? file : undefined;
  } catch {
    return undefined;
  }
}

/** The same text, in which everything stands where it stood. */
function withoutComments(source: string): string {
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
