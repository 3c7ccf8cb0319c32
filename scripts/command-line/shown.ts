const MAX_PARTS = 20;

// What a terminal obeys, what reorders a line, and what nobody sees: controls, format characters such as the bidi
// overrides, line separators, fillers, every space but the common one, lone surrogates and unassigned characters.
const UNSEEN = /(?! )[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/gu;
const PLAIN_NAME = /^[\w.:<>@/~-]+$/;

/**
 * A name or another short text that came from a server, as it may be printed. Everything that came from outside is printed
 * by this function: a hostile server must not control the terminal, nor speak in our words.
 *
 * @returns a plain name as it is; anything else cut, in quotes, with what cannot be seen escaped as `\u{…}`
 */
export function shown(value: unknown, maxCharacters = 100): string {
  if (typeof value !== 'string') return `a value of type ${value === null ? 'null' : typeof value}`;
  const text = value.length > maxCharacters ? `${value.slice(0, maxCharacters)}…` : value;
  return PLAIN_NAME.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&').replace(UNSEEN, escaped)}"`;
}

/** Names that came from a server, as `shown` prints them. */
export function listed(names: unknown[]): string {
  return joined(names.map((name) => shown(name)));
}

/** A list of which a server decides how long it is: its first parts, and how many more there are. */
export function joined(parts: string[]): string {
  const rest = parts.length - MAX_PARTS;
  return parts.slice(0, MAX_PARTS).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** A text of ours that is about to be printed: only its own lines and tabs are left, in case `shown` was forgotten. */
export function harmless(text: string): string {
  return text.replace(UNSEEN, (character) => (/[\n\t]/.test(character) ? character : escaped(character)));
}

/** Prints a text of ours on stdout. */
export function say(text: string): void {
  console.log(harmless(text));
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
