import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';

export interface JsonRequest {
  method: 'POST' | 'GET';
  url: string;
  headers: Record<string, string>;
  body?: object;
  /** How long the whole answer may take. */
  timeoutMs: number;
  maxAnswerBytes: number;
}

export interface JsonAnswer {
  status: number;
  /** JSON that somebody else has made up; undefined where it is none, or the status is 500 or more. */
  body: unknown;
}

/** Why a service did not do what it was asked. The message is for the log: no token, and no text of the service's but a code. */
export class ServiceError extends Error {
  override readonly name: string = 'ServiceError';

  /** @param status of the answer, 413 where it was too long; undefined where there was none, or not what was asked for */
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message);
  }
}

/**
 * Makes one request over `node:https`, as Node 16 has no `fetch`. Redirects are not followed: they would take the token in
 * its headers elsewhere.
 *
 * @throws ServiceError where the answer comes too late or is too long, whose message continues a sentence about the request;
 *   or the connection's own error, which has a `code`
 */
export function requestJson(asked: JsonRequest): Promise<JsonAnswer> {
  const { method, url, headers, body, timeoutMs, maxAnswerBytes } = asked;
  return new Promise((resolve, reject) => {
    const { request } = url.startsWith('https:') ? https : http;
    const type = 'application/json';
    const all = { Accept: type, ...headers, ...(body && { 'Content-Type': type }) };
    const call = request(url, { method, headers: all }, (response) => {
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

async function read(response: IncomingMessage, maxBytes: number): Promise<JsonAnswer> {
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
