import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import type { RequestHandler } from 'express';

const LOCAL_NAME = /^(?:.+\.)?localhost$|^127\.0\.0\.1$|^::1$/;
// Of apps that show pages of their own: no website can have them.
const APP_ORIGINS = ['capacitor://localhost', 'ionic://localhost'];

/**
 * Refuses requests of web pages elsewhere, with 403: those whose `Origin` header does not name this machine, and those whose
 * `Host` header does not. (A page can point its own domain at 127.0.0.1, by DNS rebinding, and would then share an origin with
 * the local server; its domain in `Host` gives it away.) A request without `Origin` is not a page's, and passes.
 *
 * @param allowed the address the server listens on when that is not 127.0.0.1: the variable `HOST`. That name
 *   passes as well. `0.0.0.0` and `::` stand for every address, so any IP address passes as `Host`, and that same one
 *   as `Origin`; a domain still does not.
 */
export function refuseForeign(allowed?: string): RequestHandler {
  return ({ headers }, response, next) => {
    const foreign = foreignHeader(headers, allowed);
    if (!foreign) return next();
    response.status(403).json({
      error:
        foreign === 'Host'
          ? 'This server answers to localhost only. Start it with HOST=0.0.0.0 for other devices.'
          : 'This server answers web pages of this machine only: serve yours from http://localhost, on any port.',
    });
  };
}

/**
 * @param allowed as above
 * @returns which of the two says that a request comes from elsewhere
 */
export function foreignHeader(
  { host, origin }: IncomingHttpHeaders,
  allowed?: string,
): 'Host' | 'Origin' | undefined {
  const isOurs = (name: string) => LOCAL_NAME.test(name) || (name !== '' && name === allowed?.toLowerCase());
  const name = nameIn(host);
  if (!isOurs(name) && !(isEveryAddress(allowed) && isIP(name))) return 'Host';
  if (origin === undefined || APP_ORIGINS.includes(origin)) return undefined;
  // ws: is what some native WebSocket clients send, with the server's own name.
  const page = nameIn(/^(?:http|ws)s?:\/\/(.+)$/.exec(origin)?.[1]);
  return isOurs(page) || page === name ? undefined : 'Origin';
}

/**
 * The hosts by which clients know this server, and so those of the files that it gives out.
 *
 * @param allowed as above
 * @returns as Parse Server takes them for `allowedFileUrlDomains`
 */
export function hostsOf(allowed?: string): string[] {
  if (isEveryAddress(allowed)) return ['*'];
  return ['localhost', '*.localhost', '127.0.0.1', '[::1]', ...(allowed ? [allowed] : [])];
}

function isEveryAddress(allowed?: string): boolean {
  return allowed === '0.0.0.0' || allowed === '::';
}

/** The name in `name:port`, or an empty string. */
function nameIn(authority = ''): string {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:[\]@/]+))(?::\d+)?$/.exec(authority) ?? [];
  return (bracketed ?? plain ?? '').toLowerCase();
}
