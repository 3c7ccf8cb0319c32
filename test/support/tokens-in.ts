/**
 * The session tokens and JWTs in a text, each with what is around it.
 *
 * A JWT is told by two parts that begin with `{"`: the letters "eyJ" alone turn up in random IDs.
 */
export function tokensIn(text: string): string[] {
  return text.match(/.{0,60}(?:r(?::|%3[Aa])[0-9a-f]{32}|eyJ[\w-]+\.eyJ).{0,60}/g) ?? [];
}
