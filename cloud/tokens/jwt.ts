/**
 * A compact JWT: JWS Compact Serialization, RFC 7515 section 7.1.
 *
 * @param header encoded by `base64url`
 * @param sign gives the signature of the signing input: the encoded header, a dot, and the encoded payload
 */
export async function encodeJwt(
  header: string,
  payload: object,
  sign: (signingInput: string) => Promise<Buffer>,
): Promise<string> {
  const signingInput = `${header}.${base64url(payload)}`;
  return `${signingInput}.${(await sign(signingInput)).toString('base64url')}`;
}

export function base64url(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url');
}
