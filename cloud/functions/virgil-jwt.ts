import { credentialsFor, VIRGIL_VARIABLES, virgilCredentials } from '../credentials';
import type { Policy } from '../policy';
import { authenticate, type FunctionRequest, tokenLifetime } from '../session';
import type { IssuedToken } from '../tokens/issued-token';
import { issueVirgilToken } from '../tokens/virgil-token';

/**
 * `Parse.Cloud.run('virgil-jwt', { sessionToken?: string })`: the caller's Virgil JWT, with which E3Kit talks to Virgil
 * Cloud as that user. It lives for the policy's lifetime, and never longer than the session.
 *
 * @returns `{ token, identity, expiresAt }`: compact JWT, the user's `objectId`, ISO 8601
 * @throws Parse.Error 209 without a valid session; 141 when the server's credentials are missing or malformed
 */
export function virgilJwt(policy: Policy['virgil']) {
  const credentials = credentialsFor('virgil-jwt', VIRGIL_VARIABLES, virgilCredentials);

  return async (request: FunctionRequest): Promise<IssuedToken> => {
    const session = await authenticate(request);
    const { identity } = session;
    return issueVirgilToken(
      await credentials(request),
      identity,
      tokenLifetime(session, policy.tokenTtlSeconds),
    );
  };
}
