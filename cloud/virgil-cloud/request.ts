import { requestJson, ServiceError } from '../json-request';

/** Where Virgil Cloud is, and who asks. */
export interface VirgilCaller {
  /** Without a slash at its end. */
  apiUrl: string;
  /** Virgil JWT of the identity that asks. */
  token: string;
}

const LIMITS = { timeoutMs: 3000, maxAnswerBytes: 4 * 1024 * 1024 };

/**
 * Sends one POST to Virgil Cloud, which has 3 seconds to answer.
 *
 * @param path such as `/card/v5/actions/search`
 * @returns the JSON of the answer, which somebody else has made up; undefined where it is none
 * @throws ServiceError
 */
export async function askVirgilCloud(caller: VirgilCaller, path: string, body: object): Promise<unknown> {
  const { apiUrl, token } = caller;
  const headers = { Authorization: `Virgil ${token}` };
  const answer = await requestJson({ method: 'POST', apiUrl, path, headers, body, ...LIMITS });
  const { request, status } = answer;
  if (status >= 300) throw new ServiceError(`${request} was answered ${status}.`, status);
  return answer.body;
}
