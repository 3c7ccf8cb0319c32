import { type JsonRequest, requestJson, ServiceError } from '../json-request';

/** Where Virgil Cloud is, without a slash at its end, and the Virgil JWT of the identity that asks. */
export interface VirgilCaller {
  apiUrl: string;
  token: string;
}

/** Of an answer. */
export type Limits = Pick<JsonRequest, 'timeoutMs' | 'maxAnswerBytes'>;

const LIMITS: Limits = { timeoutMs: 3000, maxAnswerBytes: 4 * 1024 * 1024 };

/**
 * Sends one POST to Virgil Cloud, to a path such as `/card/v5/actions/search`.
 * @param limits 3 seconds and 4 MiB, unless others are given
 * @returns the JSON of the answer, which is untrusted; undefined where it is not JSON
 * @throws ServiceError
 */
export async function askVirgilCloud(
  { apiUrl, token }: VirgilCaller,
  path: string,
  body: object,
  limits = LIMITS,
): Promise<unknown> {
  const headers = { Authorization: `Virgil ${token}` };
  const {
    request,
    status,
    body: answer,
  } = await requestJson({ method: 'POST', apiUrl, path, headers, body, ...limits });
  if (status >= 300) throw new ServiceError(`${request} was answered ${status}.`, status);
  return answer;
}
