import { credentialsFor, NEXMO_VARIABLES, nexmoCredentials } from '../credentials';
import type { NexmoPolicy } from '../policy';
import { type FunctionRequest, issueForCaller } from '../session';
import { issueNexmoToken } from '../tokens/nexmo-token';

/**
 * `Parse.Cloud.run('nexmo-jwt', { sessionToken?: string })`: the caller's Nexmo JWT, with which the Nexmo Client SDK logs
 * in as that user. It opens the policy's paths for the policy's lifetime, and never longer than the session.
 * @returns `{ token, identity, expiresAt }`: compact JWT, the user's `objectId`, ISO 8601
 * @throws Parse.Error 209 without a valid session; 141 when the user's ID is no identity, or the server's credentials are
 *   missing or malformed
 */
export function nexmoJwt({ tokenTtlSeconds, acl }: NexmoPolicy) {
  const credentials = credentialsFor('nexmo-jwt', NEXMO_VARIABLES, nexmoCredentials);
  return (request: FunctionRequest) =>
    issueForCaller(request, tokenTtlSeconds, credentials, (application, identity, lifetime) =>
      issueNexmoToken(application, identity, acl, lifetime),
    );
}
