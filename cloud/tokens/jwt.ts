/**
 * A compact JWT: JWS Compact Serialization, RFC 7515 section 7.1.
 *
 * @param sign gives the signature of the signing input: the encoded header, a dot, and the encoded payload
 */
export function encodeJwt(header: object, payload: object, sign: (signingInput: string) => Buffer): string {
  const signingInput = `${base64url(header)}.${base64url(payload)}`;
  return `${signingInput}.${sign(signingInput).toString('base64url')}`;
}

function base64url(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url');
}
