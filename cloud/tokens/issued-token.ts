/** What a Cloud Function that issues a token returns. */
export interface IssuedToken {
  /** Compact JWT. */
  token: string;
  identity: string;
  /** ISO 8601. */
  expiresAt: string;
}
