import { AnswerError, requestJson } from '../json-request';

/** Where Virgil Cloud is, and who asks. */
export interface VirgilCaller {
  /** Without a slash at its end. */
  apiUrl: string;
  /** Virgil JWT of the identity that asks. */
  token: string;
}

/** Why Virgil Cloud did not do what it was asked. The message is for the log: no token, no identity, no text of Virgil's. */
export class VirgilCloudError extends Error {
  override readonly name = 'VirgilCloudError';

  /** @param status of the answer, 413 where it was too long; undefined where there was none, or no list where one is due */
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message);
  }
}

const TIMEOUT_MS = 3000;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/**
 * Sends one POST to Virgil Cloud, which has 3 seconds to answer.
 *
 * @param path such as `/card/v5/actions/search`
 * @returns the JSON of the answer, which somebody else has made up; undefined where it is none
 * @throws VirgilCloudError
 */
export async function askVirgilCloud(
  { apiUrl, token }: VirgilCaller,
  path: string,
  body: object,
): Promise<unknown> {
  const answer = await requestJson({
    method: 'POST',
    url: apiUrl + path,
    headers: { Authorization: `Virgil ${token}` },
    body,
    timeoutMs: TIMEOUT_MS,
    maxAnswerBytes: MAX_ANSWER_BYTES,
  }).catch((error: NodeJS.ErrnoException & { status?: number }) => {
    const why = error instanceof AnswerError ? error.message : `failed (${error.code})`;
    throw new VirgilCloudError(`POST ${path} ${why}.`, error.status);
  });
  if (answer.status >= 300) {
    throw new VirgilCloudError(`POST ${path} was answered ${answer.status}.`, answer.status);
  }
  return answer.body;
}
