import { type JsonAnswer, type JsonRequest, requestJson, ServiceError } from './json-request';

export interface VonageUser {
  /** Vonage's own, `USR-…`. */
  id: string;
  name: string;
}

/**
 * Creates a user of the Vonage application, or finds the one who has the name already (Vonage Users API, version 1). A call
 * that is not answered within 5 seconds is given up; one that fails with 5xx or a dropped connection is made once more.
 * @param apiUrl without a slash at its end
 * @param adminToken JWT with rights over all paths
 * @throws ServiceError
 */
export async function createVonageUser(
  apiUrl: string,
  adminToken: string,
  name: string,
  displayName: string,
): Promise<VonageUser> {
  const headers = { Authorization: `Bearer ${adminToken}` };
  const call = { apiUrl, path: '/v1/users', headers, timeoutMs: 5000, maxAnswerBytes: 65_536 };
  const created = await ask({ ...call, method: 'POST', body: { name, display_name: displayName } });
  if (created.status === 201 || created.status === 200) return { id: userId(created, created.body), name };
  const isThere = created.status === 400 && codeOf(created) === 'user:error:duplicate-name';
  if (created.status !== 409 && !isThere) throw refused(created);

  const found = await ask({ ...call, method: 'GET', query: `?name=${encodeURIComponent(name)}` });
  if (found.status !== 200) throw refused(found);
  const users = (found.body as { _embedded?: { users?: unknown } } | undefined)?._embedded?.users;
  const user = Array.isArray(users) && users.find((candidate) => candidate?.name === name);
  return { id: userId(found, user), name };
}

async function ask(call: JsonRequest): Promise<JsonAnswer> {
  const first = await requestJson(call).catch((error: ServiceError) => {
    if (error.status !== 0) throw error;
  });
  return first && first.status < 500 ? first : requestJson(call);
}

function userId({ request }: JsonAnswer, user: unknown): string {
  const id = (user as { id?: unknown } | null | undefined)?.id;
  if (typeof id === 'string' && /^[\w-]{1,128}$/.test(id)) return id;
  throw new ServiceError(`${request} was answered without the user.`);
}

function refused(answer: JsonAnswer): ServiceError {
  const { request, status } = answer;
  const why = [`${request} was answered ${status}`, codeOf(answer)].filter(Boolean).join(' ');
  const hint = status === 401 ? ': is NEXMO_PRIVATE_KEY the key of the application NEXMO_APP_ID?' : '.';
  return new ServiceError(why + hint);
}

/** Vonage's code of an error, such as `user:error:duplicate-name`: short, and of such letters that no token fits in it. */
function codeOf({ body }: JsonAnswer): string | undefined {
  const code = (body as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^[a-z:-]{1,64}$/.test(code) ? code : undefined;
}
