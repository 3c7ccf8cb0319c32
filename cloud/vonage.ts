import { type JsonAnswer, type JsonRequest, requestJson, ServiceError } from './json-request';

export interface VonageUser {
  /** Vonage's own, `USR-…`. */
  id: string;
  name: string;
}

/** Why Vonage did not do what it was asked. */
export class VonageError extends ServiceError {
  override readonly name = 'VonageError';
}

const LIMITS = { timeoutMs: 5000, maxAnswerBytes: 65_536 };

/**
 * Creates a user of the Vonage application, or finds the one who has the name already (Vonage Users API, version 1). A call
 * that is not answered within 5 seconds is given up; one that fails with 5xx or a dropped connection is made once more.
 *
 * @param apiUrl without a slash at its end
 * @param adminToken JWT with rights over all paths
 * @throws VonageError
 */
export async function createVonageUser(
  apiUrl: string,
  adminToken: string,
  name: string,
  displayName: string,
): Promise<VonageUser> {
  const url = `${apiUrl}/v1/users`;
  const headers = { Authorization: `Bearer ${adminToken}` };
  const body = { name, display_name: displayName };
  const created = await ask({ method: 'POST', url, headers, body, ...LIMITS });
  if (created.status === 201 || created.status === 200) return { id: userId('POST', created.body), name };
  const isThere = created.status === 400 && codeOf(created) === 'user:error:duplicate-name';
  if (created.status !== 409 && !isThere) throw refused('POST', created);

  const byName = `${url}?name=${encodeURIComponent(name)}`;
  const found = await ask({ method: 'GET', url: byName, headers, ...LIMITS });
  if (found.status !== 200) throw refused('GET', found);
  const users = (found.body as { _embedded?: { users?: unknown } } | undefined)?._embedded?.users;
  const user = Array.isArray(users) && users.find((candidate) => candidate?.name === name);
  return { id: userId('GET', user), name };
}

async function ask(call: JsonRequest): Promise<JsonAnswer> {
  for (let isLast = false; ; isLast = true) {
    try {
      const answer = await requestJson(call);
      if (isLast || answer.status < 500) return answer;
    } catch (error) {
      if (error instanceof ServiceError) throw new VonageError(`${call.method} /v1/users ${error.message}.`);
      const { code } = error as NodeJS.ErrnoException;
      if (isLast) throw new VonageError(`${call.method} /v1/users: the connection failed twice (${code}).`);
    }
  }
}

function userId(method: string, user: unknown): string {
  const id = (user as { id?: unknown } | null | undefined)?.id;
  if (typeof id === 'string' && /^[\w-]{1,128}$/.test(id)) return id;
  throw new VonageError(`${method} /v1/users was answered without the user.`);
}

function refused(method: string, answer: JsonAnswer): VonageError {
  const code = codeOf(answer);
  const hint =
    answer.status === 401 ? ': is NEXMO_PRIVATE_KEY the key of the application NEXMO_APP_ID?' : '.';
  return new VonageError(`${method} /v1/users was answered ${answer.status}${code ? ` ${code}` : ''}${hint}`);
}

/** Vonage's code of an error, such as `user:error:duplicate-name`: short, and of such letters that no token fits in it. */
function codeOf({ body }: JsonAnswer): string | undefined {
  const code = (body as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^[a-z:-]{1,64}$/.test(code) ? code : undefined;
}
