// Go's `filepath.Match` on Linux and macOS, by which b4a reads a pattern with a slash in it.
// Go compares bytes: a star may stop inside a character, and `?` or a class then takes the rest of
// it byte by byte. So do we.

/** One term of a pattern, but for a star. A class takes any character, a slash too. */
type Term =
  | { kind: 'byte'; byte: number }
  | { kind: 'any' }
  | { kind: 'class'; isNegated: boolean; ranges: [low: number, high: number][] };

/** The terms up to the next star, and whether a star is before them. */
interface Chunk {
  afterStar: boolean;
  terms: Term[];
}

/** A pattern that is well formed. */
export type GoPattern = Chunk[];

const SLASH = 0x2f;
const INVALID = 0xfffd;

/** @returns undefined for a pattern that Go calls malformed */
export function parseGoPattern(pattern: string): GoPattern | undefined {
  const characters = [...pattern];
  let last: Chunk = { afterStar: false, terms: [] };
  const chunks = [last];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] as string;
    if (character === '*') {
      if (last.afterStar && last.terms.length === 0) continue; // a second star says the same
      last = { afterStar: true, terms: [] };
      chunks.push(last);
    } else if (character === '?') {
      last.terms.push({ kind: 'any' });
    } else if (character === '[') {
      const parsed = parseClass(characters, at + 1);
      if (!parsed) return undefined;
      last.terms.push(parsed.term);
      at = parsed.end;
    } else {
      const literal = character === '\\' ? characters[++at] : character;
      if (literal === undefined) return undefined;
      for (const byte of Buffer.from(literal)) last.terms.push({ kind: 'byte', byte });
    }
  }
  return chunks;
}

/** @param start behind the bracket that opens it */
function parseClass(characters: string[], start: number): { term: Term; end: number } | undefined {
  const isNegated = characters[start] === '^';
  const ranges: [number, number][] = [];
  let at = isNegated ? start + 1 : start;
  /** A character of the class, behind which something must follow. */
  const next = (): number | undefined => {
    if (characters[at] === '-' || characters[at] === ']') return undefined;
    if (characters[at] === '\\') at++;
    const character = characters[at++];
    return at < characters.length ? character?.codePointAt(0) : undefined;
  };
  while (characters[at] !== ']' || ranges.length === 0) {
    const low = next();
    let high = low;
    if (characters[at] === '-') {
      at++;
      high = next();
    }
    if (low === undefined || high === undefined) return undefined;
    ranges.push([low, high]);
  }
  return { term: { kind: 'class', isNegated, ranges }, end: at };
}

/** Whether the pattern matches the whole name. */
export function goMatch(pattern: GoPattern, name: string): boolean {
  let rest: Uint8Array = Buffer.from(name);
  for (const [i, { afterStar, terms }] of pattern.entries()) {
    const isLast = i === pattern.length - 1;
    if (afterStar && terms.length === 0) return !rest.includes(SLASH);
    const end = endOf(terms, rest, { afterStar, isLast });
    if (end === undefined) return false;
    rest = rest.subarray(end);
  }
  return rest.length === 0;
}

/** Where the first match of a chunk ends. Go does not come back for another one. */
function endOf(
  terms: Term[],
  name: Uint8Array,
  { afterStar, isLast }: { afterStar: boolean; isLast: boolean },
) {
  for (let start = 0; start <= name.length; start++) {
    const end = matchAt(terms, name, start);
    if (end !== undefined && (!isLast || end === name.length)) return end;
    if (!afterStar || name[start] === SLASH) return undefined;
  }
  return undefined;
}

/** @returns where the match that starts here ends; undefined where there is none */
function matchAt(terms: Term[], name: Uint8Array, start: number): number | undefined {
  let at = start;
  for (const term of terms) {
    if (at >= name.length) return undefined;
    const { rune, width } = term.kind === 'byte' ? { rune: name[at], width: 1 } : runeAt(name, at);
    if (!matches(term, rune as number)) return undefined;
    at += width;
  }
  return at;
}

function matches(term: Term, rune: number): boolean {
  if (term.kind === 'byte') return rune === term.byte;
  if (term.kind === 'any') return rune !== SLASH;
  return term.ranges.some(([low, high]) => low <= rune && rune <= high) !== term.isNegated;
}

/** The name's bytes are whole characters; one that starts inside of a character is invalid, and one byte long. */
function runeAt(name: Uint8Array, at: number): { rune: number; width: number } {
  const first = name[at] as number;
  if (first < 0x80) return { rune: first, width: 1 };
  const width = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  if (width === 1) return { rune: INVALID, width };
  const character = Buffer.from(name.subarray(at, at + width)).toString();
  return { rune: character.codePointAt(0) as number, width };
}
