import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type JWTPayload, jwtVerify } from 'jose';

const PAGE_SIZE = 10;

/** A Vonage application with a key of its own: its credentials, and what verifies its tokens as Vonage does. */
export function makeVonageApplication() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const environment = {
    NEXMO_APP_ID: randomUUID(),
    NEXMO_PRIVATE_KEY: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  };
  return {
    environment,
    /** Rejects a token of another key, another algorithm or another application, an expired one, or one for over a day. */
    async verify(token: string): Promise<JWTPayload & { acl?: { paths?: object } }> {
      const { payload } = await jwtVerify(token, publicKey, {
        algorithms: ['RS256'],
        requiredClaims: ['application_id', 'iat', 'exp', 'jti'],
        maxTokenAge: '24 h',
      });
      if (payload.application_id !== environment.NEXMO_APP_ID) throw new Error('another application');
      if ((payload.exp as number) - (payload.iat as number) > 86_400) throw new Error('for over a day');
      return payload;
    },
  };
}

export interface VonageCall {
  method: string;
  path: string;
  token: string;
  body: object;
}

/**
 * The two endpoints of Vonage's Users API that `nexmo-create-user` calls, on 127.0.0.1. They take an admin token of this
 * application alone.
 */
export async function startVonage() {
  const application = makeVonageApplication();
  const users: { id: string; name: string; display_name: string }[] = [];
  const calls: VonageCall[] = [];
  const faults: RequestListener[] = [];

  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    const url = new URL(request.url as string, 'http://vonage');
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    calls.push({ method: request.method as string, path: request.url as string, token, body });
    const fault = faults.shift();
    if (fault) return fault(request, response);

    const payload = await application.verify(token).catch(() => undefined);
    if (!payload) return send(response, 401, { title: 'Unauthorized', detail: `No good: ${token}` });
    if (!payload.acl?.paths || !('/**' in payload.acl.paths))
      return send(response, 403, { title: 'Forbidden' });
    if (url.pathname !== '/v1/users') return send(response, 404, { code: 'http:error:not-found' });
    if (request.method === 'GET') {
      const found = users.filter(({ name }) => name.startsWith(url.searchParams.get('name') ?? ''));
      return send(response, 200, { page_size: PAGE_SIZE, _embedded: { users: found.slice(0, PAGE_SIZE) } });
    }
    const { name, display_name } = body;
    if (!name || !display_name) return send(response, 400, { code: 'http:error:validation-fail' });
    if (users.some((user) => user.name === name)) {
      return send(response, 409, { code: 'user:error:duplicate-name', description: 'the name is taken' });
    }
    const user = { id: `USR-${randomUUID()}`, name, display_name };
    users.push(user);
    send(response, 201, user);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    environment: { ...application.environment, NEXMO_API_URL: url },
    verify: application.verify,
    users,
    /** What has come in since it was last asked, oldest first. */
    takeCalls: () => calls.splice(0),
    /** Lets these answer the next calls, one each. */
    failWith: (...next: RequestListener[]) => faults.splice(0, faults.length, ...next),
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Ways for Vonage to misbehave. */
export const faults = {
  answer:
    (status: number, body: object | string = {}, headers = {}): RequestListener =>
    (_request, response) =>
      send(response, status, body, headers),
  drop: ((_request, response) => response.destroy()) as RequestListener,
  dropHalfWay: ((_request, response) => {
    response.writeHead(201, { 'Content-Length': 1000 });
    response.write('{"id":', () => response.destroy());
  }) as RequestListener,
  hang: (() => {}) as RequestListener,
  hangHalfWay: ((_request, response) => {
    response.writeHead(201).write('{"id":');
  }) as RequestListener,
};

async function bodyOf(request: IncomingMessage): Promise<{ name?: string; display_name?: string }> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

function send(response: ServerResponse, status: number, body: object | string, headers = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}
