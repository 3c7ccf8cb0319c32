/**
 * The session tokens and the parts of JWTs in a text, in whatever case, each with what is around it.
 *
 * A part is told by its first name, `alg`, `iss` or `applica…`: the letters "eyJ" alone turn up in random IDs.
 */
export function tokensIn(text: string): string[] {
  return text.match(/.{0,60}(?:r(?::|%3A)[0-9a-f]{32}|eyJ(?:hbGci|pc3Mi|hcHBsaWNh)).{0,60}/gi) ?? [];
}
