import type { Server } from 'node:http';
import { isIP } from 'node:net';
import type { RequestHandler } from 'express';

/**
 * Refuses requests whose `Host` header does not name this machine, with 403. A web page elsewhere can point
 * its own domain at 127.0.0.1 (DNS rebinding) and would then share an origin with the local server; its
 * domain in `Host` gives it away.
 *
 * @param allowed the address the server listens on when that is not 127.0.0.1: the variable `HOST`. That name
 *   passes as well. `0.0.0.0` and `::` stand for every address, so any IP address passes; a domain still does not.
 */
export function checkHost(allowed?: string): RequestHandler {
  return (request, response, next) => {
    if (namesThisMachine(request.headers.host, allowed)) return next();
    response.status(403).json({
      error: 'This server answers to localhost only. Start it with HOST=0.0.0.0 for other devices.',
    });
  };
}

/** The same for WebSockets (LiveQuery), which do not pass through Express: the connection ends. */
export function checkUpgradeHost(server: Server, allowed?: string): void {
  server.prependListener('upgrade', (request, socket) => {
    if (!namesThisMachine(request.headers.host, allowed)) socket.destroy();
  });
}

function namesThisMachine(host = '', allowed?: string): boolean {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:[\]@/]+))(?::\d+)?$/.exec(host) ?? [];
  const name = (bracketed ?? plain ?? '').toLowerCase();
  if (/^(?:.+\.)?localhost$|^127\.0\.0\.1$|^::1$/.test(name)) return true;
  const everyAddress = allowed === '0.0.0.0' || allowed === '::';
  return name !== '' && (name === allowed?.toLowerCase() || (everyAddress && isIP(name) !== 0));
}
