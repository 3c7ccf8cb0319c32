import { credentialsFor, NEXMO_VARIABLES, nexmoCredentials, serviceUrl } from '../credentials';
import { ServiceError } from '../json-request';
import type { NexmoPolicy } from '../policy';
import { authenticate, type FunctionRequest } from '../session';
import { issueNexmoAdminToken } from '../tokens/nexmo-token';
import { createVonageUser, type VonageUser } from '../vonage';

const DISPLAY_NAME = /^.{0,100}$/su;

/**
 * `Parse.Cloud.run('nexmo-create-user', { sessionToken?: string, displayName?: string })`: makes the caller's user at
 * Vonage, named by the caller's identity as in `nexmo-jwt`. A user who is there already stays as is. `displayName` is what
 * other users see, at most 100 characters; the identity where none is given.
 * @returns `{ id, name }`: Vonage's ID of the user, and the identity
 * @throws Parse.Error 209 without a valid session; 142 for a bad `displayName`; 141 when the user's ID is no identity, the
 *   server's credentials are missing or malformed, or Vonage does not do it
 */
export function nexmoCreateUser({ tokenTtlSeconds }: NexmoPolicy) {
  const variables = [...NEXMO_VARIABLES, 'NEXMO_API_URL'];
  const credentials = credentialsFor('nexmo-create-user', variables, (environment) => ({
    application: nexmoCredentials(environment),
    apiUrl: serviceUrl(environment, 'NEXMO_API_URL'),
  }));

  return async (request: FunctionRequest): Promise<VonageUser> => {
    const displayName = request.params.displayName ?? '';
    const { identity } = await authenticate(request, tokenTtlSeconds);
    if (typeof displayName !== 'string' || !DISPLAY_NAME.test(displayName)) {
      const rule = 'displayName must be a string of at most 100 characters.';
      throw new Parse.Error(Parse.Error.VALIDATION_ERROR, rule);
    }
    const { apiUrl, application } = await credentials(request);
    try {
      const adminToken = await issueNexmoAdminToken(application);
      return await createVonageUser(apiUrl, adminToken, identity, displayName || identity);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      request.log.error(`nexmo-create-user failed: ${error.message}`);
      const message = "The user could not be created at Vonage; this server's log says why.";
      throw new Parse.Error(Parse.Error.SCRIPT_FAILED, message);
    }
  };
}
