import { goMatch, parseGoPattern } from './go-match';

/** Whether a pattern matches a path, which is relative to `cloud/` or `public/`. */
type PathMatcher = (path: string, isFolder: boolean) => boolean;

/**
 * A pattern of .parseignore as b4a 3.3.1 reads it: a subset of git's, with rules of its own.
 *
 * @param pattern without the `!` in front and the slash at the end
 * @param isForFolders whether there was a slash at the end
 * @returns `invalid` if b4a ignores the pattern as an error; `unclear` if the result depends on the
 *   version of Go that built b4a, or on rules of Go's regular expressions that we do not implement
 */
export function matcherOf(pattern: string, isForFolders: boolean): PathMatcher | 'invalid' | 'unclear' {
  if (!pattern.includes('/') && !/[*?[]/.test(pattern.replace(/\\./gsu, ''))) {
    const name = pattern.replace(/\\([^\\])/gu, '$1');
    return (path, isFolder) => {
      const parts = path.split('/');
      return (isForFolders && !isFolder ? parts.slice(0, -1) : parts).includes(name);
    };
  }
  const matches = pattern.includes('/') ? wholePathMatcher(pattern) : suffixMatcher(pattern);
  if (typeof matches === 'string' || !isForFolders) return matches;
  return (path, isFolder) => isFolder && matches(path);
}

/** A pattern with a slash has to match the whole path, and a star stops at slashes. */
function wholePathMatcher(pattern: string): ((path: string) => boolean) | 'unclear' {
  const parsed = parseGoPattern(pattern);
  return parsed ? (path) => goMatch(parsed, path) : 'unclear';
}

/**
 * A pattern without a slash has to match the end of the path, and a star does not stop at slashes.
 * b4a turns the pattern into a regular expression, and so do we.
 */
function suffixMatcher(pattern: string): ((path: string) => boolean) | 'invalid' | 'unclear' {
  const parts = pattern.split(/(\[[^\]]+\])/).map((part, i) => (i % 2 ? classOf(part) : textOf(part)));
  if (parts.includes('unclear')) return 'unclear';
  if (parts.includes('invalid')) return 'invalid';
  const regExp = new RegExp(`${parts.join('')}$`, 'u');
  return (path) => regExp.test(path);
}

/** @returns the source of a regular expression, or `unclear` */
function textOf(text: string): string {
  // In Go a backslash before a letter or a digit has a meaning of its own, or is an error.
  if (/^(?:[^\\]|\\.)*\\(?:[^\0-\x7f]|[A-Za-z0-9]|$)/su.test(text)) return 'unclear';
  return text.replace(/\\?(.)/gsu, (term, character: string) => {
    if (term === '*') return '[^\\n]*';
    return term === '?' ? '[^\\n]' : literal(character);
  });
}

/** @returns the source of a regular expression, `invalid` or `unclear` */
function classOf(text: string): string {
  const inside = text.slice(1, -1);
  if (inside === '!' || /\\|\[:/.test(inside)) return 'unclear';
  const isNegated = inside.startsWith('!');
  const ranges = [...inside.slice(isNegated ? 1 : 0).matchAll(/(.)-(.)|./gsu)].map(
    ([character, low = character, high = low]) => [low, high] as const,
  );
  const isBackwards = ([low, high]: readonly [string, string]) =>
    (low.codePointAt(0) as number) > (high.codePointAt(0) as number);
  if (ranges.some(isBackwards)) return 'invalid';
  return `[${isNegated ? '^' : ''}${ranges.map((range) => range.map(literal).join('-')).join('')}]`;
}

function literal(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
