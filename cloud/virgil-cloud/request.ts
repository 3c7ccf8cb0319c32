import { requestJson, ServiceError } from '../json-request';

/** Where Virgil Cloud is, without a slash at its end, and the Virgil JWT of the identity that asks. */
export interface VirgilCaller {
  apiUrl: string;
  token: string;
}

/**
 * Sends one POST to Virgil Cloud, which has 3 seconds to answer, to a path such as `/card/v5/actions/search`.
 * @returns the JSON of the answer, which somebody else has made up; undefined where it is none
 * @throws ServiceError
 */
export async function askVirgilCloud(caller: VirgilCaller, path: string, body: object): Promise<unknown> {
  const { apiUrl, token } = caller;
  const headers = { Authorization: `Virgil ${token}` };
  const limits = { timeoutMs: 3000, maxAnswerBytes: 4 * 1024 * 1024 };
  const answer = await requestJson({ method: 'POST', apiUrl, path, headers, body, ...limits });
  const { request, status } = answer;
  if (status >= 300) throw new ServiceError(`${request} was answered ${status}.`, status);
  return answer.body;
}
