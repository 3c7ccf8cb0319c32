import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface HttpAnswer {
  status?: number;
  headers?: Record<string, string>;
  /** JSON, or a string as it is. */
  body?: unknown;
}

/**
 * A server that is not Parse Server. One that gives no answer hangs.
 *
 * @param tls for `https:`, a certificate and its key
 */
export async function startHttpServer(
  answer: (request: IncomingMessage) => HttpAnswer | undefined,
  tls?: { cert: string; key: string },
) {
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const given = answer(request);
    if (!given) return;
    const { status = 200, headers, body = '' } = given;
    response.writeHead(status, headers);
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** The URL of a server that is down. */
export async function unusedUrl(): Promise<string> {
  const { url, stop } = await startHttpServer(() => undefined);
  await stop();
  return url;
}
