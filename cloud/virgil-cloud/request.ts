import { requestJson, ServiceError } from '../json-request';

/** Where Virgil Cloud is, and who asks. */
export interface VirgilCaller {
  /** Without a slash at its end. */
  apiUrl: string;
  /** Virgil JWT of the identity that asks. */
  token: string;
}

/** Why Virgil Cloud did not do what it was asked. */
export class VirgilCloudError extends ServiceError {
  override readonly name = 'VirgilCloudError';
}

const LIMITS = { timeoutMs: 3000, maxAnswerBytes: 4 * 1024 * 1024 };

/**
 * Sends one POST to Virgil Cloud, which has 3 seconds to answer.
 *
 * @param path such as `/card/v5/actions/search`
 * @returns the JSON of the answer, which somebody else has made up; undefined where it is none
 * @throws VirgilCloudError
 */
export async function askVirgilCloud(caller: VirgilCaller, path: string, body: object): Promise<unknown> {
  const url = caller.apiUrl + path;
  const headers = { Authorization: `Virgil ${caller.token}` };
  const answer = await requestJson({ method: 'POST', url, headers, body, ...LIMITS }).catch(
    (error: NodeJS.ErrnoException & { status?: number }) => {
      const why = error instanceof ServiceError ? error.message : `failed (${error.code})`;
      throw new VirgilCloudError(`POST ${path} ${why}.`, error.status);
    },
  );
  if (answer.status >= 300) {
    throw new VirgilCloudError(`POST ${path} was answered ${answer.status}.`, answer.status);
  }
  return answer.body;
}
