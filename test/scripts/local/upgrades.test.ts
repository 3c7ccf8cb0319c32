import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocket, WebSocketServer } from 'ws';
import { webSocketsOf } from '../../../scripts/local/upgrades';

const H2C =
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n';

let server: Server;
let port: number;
let webSockets: ReturnType<typeof webSocketsOf>;

beforeEach(async () => {
  // Answers with what it was asked.
  server = createServer(async (request, response) => {
    const { method, url, headers } = request;
    response.end(JSON.stringify({ method, url, headers, body: await text(request) }));
  });
  webSockets = webSocketsOf(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** Sends a request in these parts, and reads the answer. */
async function exchange(socket: Socket, parts: string[]): Promise<string> {
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk;
  });
  for (const part of parts) {
    socket.write(part, 'latin1');
    await new Promise((done) => setTimeout(done, 20));
  }
  while (!received.endsWith('}')) await once(socket, 'data');
  return received;
}

const asked = (answer: string) => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n{') + 4));

it.each(['h2c', 'H2C', 'TLS/1.0', 'h2c, websocket', 'x'])(
  'answers a request with "Upgrade: %s" like any other',
  async (upgrade) => {
    const socket = connect(port, '127.0.0.1');
    const answer = await exchange(socket, [
      `GET /path?q=%20 HTTP/1.1\r\nHost: localhost\r\nX-Name: \xe9\r\n${H2C.replace('h2c', upgrade)}\r\n`,
    ]);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(asked(answer)).toEqual({
      method: 'GET',
      url: '/path?q=%20',
      headers: { host: 'localhost', 'x-name': '\xe9' },
      body: '',
    });
    socket.destroy();
  },
);

it.each([
  ['that comes with it', ['Content-Length: 5\r\n\r\nhello']],
  ['that comes in parts', ['Content-Length: 5\r\n\r\nhe', 'l', 'lo']],
  ['that comes later', ['Content-Length: 5\r\n\r\n', 'hello']],
  ['in chunks', ['Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n', '3\r\nllo\r\n0\r\n\r\n']],
])('reads a body %s', async (_, [first, ...rest]) => {
  const socket = connect(port, '127.0.0.1');
  const answer = await exchange(socket, [`POST / HTTP/1.1\r\nHost: localhost\r\n${H2C}${first}`, ...rest]);
  expect(asked(answer)).toMatchObject({ method: 'POST', body: 'hello' });
  socket.destroy();
});

it('answers one after the other on one connection, and leaves nothing behind', async () => {
  const socket = connect(port, '127.0.0.1');
  const [served] = (await once(server, 'connection')) as [Socket];
  const listeners = () => served.eventNames().map((name) => [name, served.listenerCount(name)]);
  let before: unknown;
  for (let n = 0; n < 20; n++) {
    socket.removeAllListeners('data');
    const answer = await exchange(socket, [`GET /${n} HTTP/1.1\r\nHost: localhost\r\n${H2C}\r\n`]);
    expect(asked(answer).url).toBe(`/${n}`);
    before ??= listeners();
  }
  expect(listeners()).toEqual(before);
  // An idle connection does not keep the server from closing.
  await new Promise((done) => server.close(done));
});

it('hands WebSockets on, and ends those that nobody takes or that are foreign', async () => {
  const open = (headers: Record<string, string> = {}) =>
    new Promise<boolean>((done) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers });
      socket.once('open', () => socket.terminate());
      socket.once('open', () => done(true)).once('error', () => done(false));
    });
  expect(await open()).toBe(false);
  const taker = new WebSocketServer({ server: webSockets as Server });
  expect(await open()).toBe(true);
  expect(await open({ Host: 'attacker.example' })).toBe(false);
  expect(await open({ Origin: 'https://attacker.example' })).toBe(false);
  taker.close();
});
