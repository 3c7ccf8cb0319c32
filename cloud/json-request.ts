import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';

export interface JsonRequest {
  method: 'POST' | 'GET';
  /** Without a slash at its end. */
  apiUrl: string;
  path: string;
  query?: string;
  headers: Record<string, string>;
  body?: object;
  /** How long the whole answer may take. */
  timeoutMs: number;
  maxAnswerBytes: number;
}

export interface JsonAnswer {
  /** What was asked, for messages: method and path. */
  request: string;
  status: number;
  /** JSON that somebody else has made up; undefined where it is none, or the status is 500 or more. */
  body: unknown;
}

/** Why a service did not do what it was asked. The message is for the log: no token, and no text of the service's but a code. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';

  /** @param status of the answer; 0 where the connection failed, undefined where the answer was late or no good */
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message);
  }
}

/** Whether a service rejects this one request, and may well answer another. 401, 403 and 429 would be the same for any. */
export function isOfRequest(error: unknown): error is ServiceError {
  const status = (error instanceof ServiceError && error.status) || 0;
  return status >= 400 && status < 500 && ![401, 403, 429].includes(status);
}

/**
 * Makes one request over `node:https`, as Node 16 has no `fetch`. Redirects are not followed: they would take the token in
 * its headers elsewhere.
 * @throws ServiceError where the connection fails, or the answer comes too late or is too long (as if that were a 413)
 */
export async function requestJson(asked: JsonRequest): Promise<JsonAnswer> {
  const request = `${asked.method} ${asked.path}`;
  try {
    return { request, ...(await send(asked)) };
  } catch (error) {
    const { code, message, status } = error as ServiceError & NodeJS.ErrnoException;
    throw new ServiceError(`${request} ${code ? `failed (${code})` : message}.`, code ? 0 : status);
  }
}

type Answer = Omit<JsonAnswer, 'request'>;

function send({ method, apiUrl, path, query = '', headers, body, timeoutMs, maxAnswerBytes }: JsonRequest) {
  return new Promise<Answer>((resolve, reject) => {
    const { request } = apiUrl.startsWith('https:') ? https : http;
    const type = 'application/json';
    const all = { Accept: type, ...headers, ...(body && { 'Content-Type': type }) };
    const call = request(apiUrl + path + query, { method, headers: all }, (response) => {
      read(response, maxAnswerBytes).then(resolve, reject);
    });
    const timer = setTimeout(() => {
      reject(new ServiceError(`was not answered within ${timeoutMs / 1000} s`));
      call.destroy();
    }, timeoutMs);
    call.once('error', reject);
    call.once('close', () => clearTimeout(timer));
    call.end(body && JSON.stringify(body));
  });
}

async function read(response: IncomingMessage, maxBytes: number): Promise<Answer> {
  const status = response.statusCode as number;
  if (status >= 500) {
    response.destroy();
    return { status, body: undefined };
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new ServiceError(`was answered with more than ${maxBytes} bytes`, 413);
    chunks.push(chunk);
  }
  try {
    return { status, body: JSON.parse(Buffer.concat(chunks).toString()) };
  } catch {
    return { status, body: undefined };
  }
}
