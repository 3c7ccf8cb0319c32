import { randomUUID } from 'node:crypto';
import type { NexmoCredentials } from '../credentials';
import type { NexmoPolicy } from '../policy';
import { base64url, type IssuedToken, issueJwt } from './jwt';
import { signOffThread } from './sign-off-thread';

const HEADER = base64url({ alg: 'RS256', typ: 'JWT' });
const ADMIN_ACL = { '/**': {} };
const ADMIN_TOKEN_LIFETIME_MS = 60_000;

/**
 * Issues a user's Nexmo JWT: RS256 (RFC 7518 section 3.3), with the claims of Vonage's guide "How to generate JWTs".
 * @param identity whom the token is for: the user's `objectId`, which is the user's name at Vonage as well
 * @param acl the paths that the token opens
 * @param lifetime in milliseconds; the token's end is rounded down to the second
 */
export async function issueNexmoToken(
  credentials: NexmoCredentials,
  identity: string,
  acl: NexmoPolicy['acl'],
  lifetime: number,
): Promise<IssuedToken> {
  return { identity, ...(await issue(credentials, acl, lifetime, { sub: identity })) };
}

/** Issues a token with all rights over the Vonage application, good for a minute: for the server's own calls alone. */
export async function issueNexmoAdminToken(credentials: NexmoCredentials): Promise<string> {
  return (await issue(credentials, ADMIN_ACL, ADMIN_TOKEN_LIFETIME_MS)).token;
}

function issue(credentials: NexmoCredentials, paths: object, lifetime: number, subject?: { sub: string }) {
  const { appId, privateKey } = credentials;
  const claims = { application_id: appId, jti: randomUUID(), ...subject, acl: { paths } };
  const sign = (input: string) => signOffThread('sha256', Buffer.from(input), privateKey);
  return issueJwt(HEADER, claims, lifetime, sign);
}
