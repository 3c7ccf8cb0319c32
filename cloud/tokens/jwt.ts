/** What a Cloud Function that issues a token returns. */
export interface IssuedToken {
  /** Compact JWT. */
  token: string;
  identity: string;
  /** ISO 8601. */
  expiresAt: string;
}

/**
 * Issues a compact JWT: JWS Compact Serialization, RFC 7515 section 7.1.
 * @param header encoded by `base64url`
 * @param claims `iat` and `exp` come behind them
 * @param lifetime in milliseconds; the token's end is rounded down to the second
 * @param sign gives the signature of the signing input: the encoded header, a dot, and the encoded payload
 */
export async function issueJwt(
  header: string,
  claims: object,
  lifetime: number,
  sign: (signingInput: string) => Promise<Buffer>,
): Promise<{ token: string; expiresAt: string }> {
  const now = Date.now();
  const exp = Math.floor((now + lifetime) / 1000);
  const signingInput = `${header}.${base64url({ ...claims, iat: Math.floor(now / 1000), exp })}`;
  const token = `${signingInput}.${(await sign(signingInput)).toString('base64url')}`;
  return { token, expiresAt: new Date(exp * 1000).toISOString() };
}

export function base64url(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url');
}
