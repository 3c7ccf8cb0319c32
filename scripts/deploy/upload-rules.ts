import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UserError } from '../command-line/user-error';
import { matcherOf } from './ignore-pattern';

type Decision = 'include' | 'exclude' | undefined;
type Rule = (path: string, isFolder: boolean) => Decision;

interface Rules {
  rules: Rule[];
  /** The lines of .parseignore that are left out, because we cannot tell how b4a reads them. */
  unclear: string[];
}

/** White space at the end of a line, as Go defines it. */
const TRAILING_SPACE = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/;

/**
 * What `b4a deploy` (CLI 3.3.1) uploads: each file under `cloud/` and `public/` that no rule excludes. Paths are
 * relative to that folder; a folder that is excluded is not entered; of several rules that apply, the last one decides.
 *
 * @returns paths relative to the project
 * @throws UserError for a file that makes b4a fail, such as a broken symbolic link
 */
export function uploadedFiles(project: string): string[] {
  const { rules } = readRules(project);
  return ['cloud', 'public'].flatMap((top) =>
    existsSync(join(project, top)) ? walk({ project, top, rules }, '', false, []) : [],
  );
}

/** Whether a file that lies in `cloud/` or `public/`, not deeper, would be among them. */
export function isUploaded(project: string, file: string): boolean {
  return !isExcluded(basename(file), false, readRules(project).rules);
}

/** Whether b4a never uploads a file of this path (relative to the project), whatever .parseignore says. */
export function isNeverUploaded(file: string): boolean {
  return builtInRule(file.slice(file.indexOf('/') + 1), false) === 'exclude';
}

/** The lines of .parseignore that we cannot read as b4a does, with their numbers. */
export function unclearLines(project: string): string[] {
  return readRules(project).unclear;
}

function readRules(project: string): Rules {
  const ignoreFile = join(project, '.parseignore');
  const lines = existsSync(ignoreFile) ? readFileSync(ignoreFile, 'utf8').split('\n') : [];
  const rules: Rule[] = [];
  const unclear: string[] = [];
  for (const [i, line] of lines.entries()) {
    const rule = ruleOf(line.replace(/\r$/, ''));
    if (rule === 'unclear') unclear.push(`line ${i + 1}: ${line.trim()}`);
    else if (rule) rules.push(rule);
  }
  return { rules: [...rules, builtInRule], unclear };
}

/**
 * @param path of the folder to walk, relative to the top one
 * @param isOut whether a rule excludes the path
 * @param above the real paths of the folders that it is in
 * @returns paths relative to the project
 */
function walk(
  at: { project: string; top: string; rules: Rule[] },
  path: string,
  isOut: boolean,
  above: string[],
): string[] {
  const folder = join(at.project, at.top, path);
  const real = realpathSync(folder);
  if (above.includes(real)) {
    throw new UserError(
      `${at.top}/${path} is a symbolic link to a folder that contains it, and b4a deploy fails on it: ` +
        'delete the link.',
    );
  }
  return readdirSync(folder)
    .map((name) => (path ? `${path}/${name}` : name))
    .flatMap((inner) => {
      const file = `${at.top}/${inner}`;
      const isFolder = isFolderAt(at.project, file);
      // b4a walks excluded folders too, so that a broken link in one of them makes it fail as well.
      const isInnerOut = isOut || isExcluded(inner, isFolder, at.rules);
      if (isFolder) return walk(at, inner, isInnerOut, [...above, real]);
      return isInnerOut ? [] : [file];
    })
    .sort();
}

/** @throws UserError where b4a could not read the file */
function isFolderAt(project: string, file: string): boolean {
  try {
    return statSync(join(project, file)).isDirectory();
  } catch (error) {
    const isLink = lstatSync(join(project, file), { throwIfNoEntry: false })?.isSymbolicLink();
    throw new UserError(
      isLink
        ? `${file} is a broken symbolic link, and b4a deploy fails on it, even where .parseignore names it: ` +
            'delete the link. (Emacs makes such a link while a file has unsaved changes: save that file.)'
        : `${file} cannot be read: ${(error as Error).message}`,
    );
  }
}

function isExcluded(path: string, isFolder: boolean, rules: Rule[]): boolean {
  return (
    rules.reduce<Decision>((decision, rule) => rule(path, isFolder) ?? decision, undefined) === 'exclude'
  );
}

/** Comes after the patterns, so that none of them can bring such a file back. */
const builtInRule: Rule = (path) => {
  const isExcluded =
    path.startsWith('node_modules') || path.split('/').some((part) => /^[.#]|(\.swp|~)$/.test(part));
  return isExcluded ? 'exclude' : undefined;
};

/**
 * One line of .parseignore.
 *
 * @returns undefined where it has no pattern, or one that b4a ignores as an error
 */
function ruleOf(line: string): Rule | undefined | 'unclear' {
  if (line.startsWith('#') || line.includes('**')) return undefined;
  const trimmed = line.replace(TRAILING_SPACE, '');
  let pattern = trimmed.endsWith('\\') ? line : trimmed; // there the space is escaped
  const isInverse = pattern.startsWith('!');
  if (isInverse) pattern = pattern.slice(1);
  const isForFolders = pattern.endsWith('/');
  if (isForFolders) pattern = pattern.slice(0, -1);
  if (pattern === '') return undefined;
  const matches = matcherOf(pattern, isForFolders);
  if (matches === 'unclear') return 'unclear';
  if (matches === 'invalid') return undefined;
  return (path, isFolder) => (matches(path, isFolder) ? (isInverse ? 'include' : 'exclude') : undefined);
}
