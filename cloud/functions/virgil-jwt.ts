import { CredentialError, type VirgilCredentials, virgilCredentials } from '../credentials';
import type { Policy } from '../policy';
import { authenticate, type FunctionRequest, tokenLifetime } from '../session';
import { type IssuedToken, issueVirgilToken } from '../tokens/virgil-token';

/**
 * `Parse.Cloud.run('virgil-jwt', { sessionToken?: string })`: the caller's Virgil JWT, with which E3Kit talks to Virgil
 * Cloud as that user. It lives for the policy's lifetime, and never longer than the session.
 *
 * @returns `{ token, identity, expiresAt }`: compact JWT, the user's `objectId`, ISO 8601
 * @throws Parse.Error 209 without a valid session; 141 when the server's credentials are missing or malformed
 */
export function virgilJwt(policy: Policy['virgil']) {
  let credentials: VirgilCredentials | undefined;

  return async (request: FunctionRequest): Promise<IssuedToken> => {
    const session = await authenticate(request);
    try {
      credentials ??= virgilCredentials(process.env);
    } catch (error) {
      if (!(error instanceof CredentialError)) throw error;
      request.log.error(`virgil-jwt is not configured: ${error.message}`);
      throw new Parse.Error(
        Parse.Error.SCRIPT_FAILED,
        'virgil-jwt is not configured on this server; its log says what to mend.',
      );
    }
    return issueVirgilToken(credentials, session.identity, tokenLifetime(session, policy.tokenTtlSeconds));
  };
}
