import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

type Decision = 'include' | 'exclude' | undefined;
type Rule = (path: string, isFolder: boolean) => Decision;

/**
 * What `b4a deploy` (CLI 3.3.1) uploads: each file under `cloud/` and `public/` that no rule excludes. Paths are
 * relative to that folder; a folder that is excluded is not entered; of several rules that apply, the last one decides.
 *
 * @returns paths relative to the project
 */
export function uploadedFiles(project: string): string[] {
  const rules = rulesOf(project);
  return ['cloud', 'public'].flatMap((folder) =>
    existsSync(join(project, folder))
      ? walk(join(project, folder), '', rules).map((path) => `${folder}/${path}`)
      : [],
  );
}

/** Whether a file that lies in `cloud/` or `public/`, not deeper, would be among them. */
export function isUploaded(project: string, file: string): boolean {
  return !isExcluded(basename(file), false, rulesOf(project));
}

function rulesOf(project: string): Rule[] {
  const ignoreFile = join(project, '.parseignore');
  const patterns = existsSync(ignoreFile) ? readFileSync(ignoreFile, 'utf8').split(/\r?\n/) : [];
  return [...patterns.flatMap(ruleOf), builtInRule];
}

function walk(root: string, folder: string, rules: Rule[]): string[] {
  return readdirSync(join(root, folder))
    .map((name) => (folder ? `${folder}/${name}` : name))
    .flatMap((path) => {
      const isFolder = statSync(join(root, path)).isDirectory();
      if (isExcluded(path, isFolder, rules)) return [];
      return isFolder ? walk(root, path, rules) : [path];
    })
    .sort();
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

/** One line of .parseignore: a subset of what git does, with a few ways of its own. */
function ruleOf(line: string): Rule[] {
  if (line.trim() === '' || line.startsWith('#')) return [];
  if (line.includes('**')) return []; // an error, and the line is left out
  let pattern = line.trimEnd();
  const isInverse = pattern.startsWith('!');
  if (isInverse) pattern = pattern.slice(1);
  const isForFolders = pattern.endsWith('/');
  if (isForFolders) pattern = pattern.slice(0, -1);
  if (pattern === '') return [];

  const matches = matcherOf(pattern, isForFolders);
  return [(path, isFolder) => (matches(path, isFolder) ? (isInverse ? 'include' : 'exclude') : undefined)];
}

function matcherOf(pattern: string, isForFolders: boolean): (path: string, isFolder: boolean) => boolean {
  // A bare name is compared with every part of the path; for folders only, not with a file's own name.
  if (!/[/*?[]/.test(pattern)) {
    return (path, isFolder) =>
      path.split('/').some((part, i, parts) => {
        const isFileName = i === parts.length - 1 && !isFolder;
        return part === pattern && !(isForFolders && isFileName);
      });
  }
  // With a slash the whole path must match, and a star stops at slashes. Without one, the end of the path is enough,
  // and a star does not.
  const isWholePath = pattern.includes('/');
  const expression = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replace(/\*/g, isWholePath ? '[^/]*' : '.*')
    .replace(/\?/g, isWholePath ? '[^/]' : '.');
  const regExp = new RegExp(`${isWholePath ? '^' : ''}${expression}$`);
  return (path, isFolder) => regExp.test(path) && (isFolder || !isForFolders);
}
