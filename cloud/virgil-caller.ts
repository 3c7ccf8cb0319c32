import { credentialsFor, serviceUrl, VIRGIL_VARIABLES, virgilCredentials } from './credentials';
import type { FunctionRequest } from './session';
import { issueVirgilToken } from './tokens/virgil-token';
import type { VirgilCaller } from './virgil-cloud/request';

const TOKEN_LIFETIME_MS = 300_000;

/**
 * Lets the server itself ask Virgil Cloud, as an identity of its choice.
 * @param purpose which is not configured, in the log, where credentials are missing
 * @returns gives a token of five minutes, and where to take it; throws Parse.Error 141, as `credentialsFor` does
 */
export function virgilCallers(
  purpose: string,
): (log: FunctionRequest['log'], identity: string) => Promise<VirgilCaller> {
  const credentials = credentialsFor(purpose, [...VIRGIL_VARIABLES, 'VIRGIL_API_URL'], (environment) => ({
    application: virgilCredentials(environment),
    apiUrl: serviceUrl(environment, 'VIRGIL_API_URL'),
  }));
  return async (log, identity) => {
    const { apiUrl, application } = await credentials({ log });
    const { token } = await issueVirgilToken(application, identity, TOKEN_LIFETIME_MS);
    return { apiUrl, token };
  };
}
