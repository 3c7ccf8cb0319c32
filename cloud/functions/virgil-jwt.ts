import { credentialsFor, VIRGIL_VARIABLES, virgilCredentials } from '../credentials';
import type { Policy } from '../policy';
import { type FunctionRequest, issueForCaller } from '../session';
import { issueVirgilToken } from '../tokens/virgil-token';

/**
 * `Parse.Cloud.run('virgil-jwt', { sessionToken?: string })`: the caller's Virgil JWT, with which E3Kit talks to Virgil
 * Cloud as that user. It lives for the policy's lifetime, and never longer than the session.
 * @returns `{ token, identity, expiresAt }`: compact JWT, the user's `objectId`, ISO 8601
 * @throws Parse.Error 209 without a valid session; 141 when the user's ID is no identity, or the server's credentials are
 *   missing or malformed
 */
export function virgilJwt({ tokenTtlSeconds }: Policy['virgil']) {
  const credentials = credentialsFor('virgil-jwt', VIRGIL_VARIABLES, virgilCredentials);
  return (request: FunctionRequest) => issueForCaller(request, tokenTtlSeconds, credentials, issueVirgilToken);
}
