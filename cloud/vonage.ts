import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';

export interface VonageUser {
  /** Vonage's own, `USR-…`. */
  id: string;
  name: string;
}

/** Why Vonage did not do what it was asked. The message is for the log: no token, and no text of Vonage's but a code. */
export class VonageError extends Error {
  override readonly name = 'VonageError';
}

interface Call {
  method: 'POST' | 'GET';
  url: string;
  adminToken: string;
  body?: object;
}

interface Answer {
  status: number;
  /** JSON that somebody else has made up; undefined where it is none. */
  body: unknown;
}

const TIMEOUT_MS = 5000;
const MAX_ANSWER_BYTES = 65_536;

/**
 * Creates a user of the Vonage application, or finds the one who has the name already (Vonage Users API, version 1).
 *
 * A call that Vonage does not answer within 5 seconds is given up; one that fails with 5xx or a dropped connection is
 * made once more. Redirects are not followed: they would take the admin token elsewhere.
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
  const created = await ask({ method: 'POST', url, adminToken, body: { name, display_name: displayName } });
  if (created.status === 201 || created.status === 200) return { id: userId('POST', created.body), name };
  if (
    created.status !== 409 &&
    !(created.status === 400 && codeOf(created) === 'user:error:duplicate-name')
  ) {
    throw refused('POST', created);
  }

  const found = await ask({ method: 'GET', url: `${url}?name=${encodeURIComponent(name)}`, adminToken });
  if (found.status !== 200) throw refused('GET', found);
  const users = (found.body as { _embedded?: { users?: unknown } } | undefined)?._embedded?.users;
  const user = Array.isArray(users) && users.find((candidate) => candidate?.name === name);
  return { id: userId('GET', user), name };
}

async function ask(call: Call): Promise<Answer> {
  try {
    const answer = await send(call);
    if (answer.status < 500) return answer;
  } catch (error) {
    if (error instanceof VonageError) throw error;
  }
  try {
    return await send(call);
  } catch (error) {
    if (error instanceof VonageError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new VonageError(`${call.method} /v1/users: the connection failed twice (${code}).`);
  }
}

/** Rejects with VonageError where it is of no use to try again. */
function send({ method, url, adminToken, body }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = {
      Accept: 'application/json',
      Authorization: `Bearer ${adminToken}`,
      ...(body && { 'Content-Type': 'application/json' }),
    };
    const { request } = url.startsWith('https:') ? https : http;
    const call = request(url, { method, headers }, (response) => {
      read(method, response).then(resolve, reject);
    });
    const timer = setTimeout(() => {
      reject(new VonageError(`${method} /v1/users was not answered within ${TIMEOUT_MS / 1000} s.`));
      call.destroy();
    }, TIMEOUT_MS);
    call.once('error', reject);
    call.once('close', () => clearTimeout(timer));
    call.end(body && JSON.stringify(body));
  });
}

async function read(method: string, response: IncomingMessage): Promise<Answer> {
  const status = response.statusCode as number;
  if (status >= 500) {
    response.destroy();
    return { status, body: undefined };
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) {
      throw new VonageError(`${method} /v1/users was answered with more than ${MAX_ANSWER_BYTES} bytes.`);
    }
    chunks.push(chunk);
  }
  try {
    return { status, body: JSON.parse(Buffer.concat(chunks).toString()) };
  } catch {
    return { status, body: undefined };
  }
}

function userId(method: string, user: unknown): string {
  const id = (user as { id?: unknown } | null | undefined)?.id;
  if (typeof id === 'string' && /^[\w-]{1,128}$/.test(id)) return id;
  throw new VonageError(`${method} /v1/users was answered without the user.`);
}

function refused(method: string, answer: Answer): VonageError {
  const code = codeOf(answer);
  const hint =
    answer.status === 401 ? ': is NEXMO_PRIVATE_KEY the key of the application NEXMO_APP_ID?' : '.';
  return new VonageError(`${method} /v1/users was answered ${answer.status}${code ? ` ${code}` : ''}${hint}`);
}

/** Vonage's code of an error, such as `user:error:duplicate-name`: short, and of such letters that no token fits in it. */
function codeOf({ body }: Answer): string | undefined {
  const code = (body as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^[a-z:-]{1,64}$/.test(code) ? code : undefined;
}
