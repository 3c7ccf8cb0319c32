import { EventEmitter } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import { foreignHeader } from './host-check';

/**
 * Takes the requests of a web server that ask for an upgrade. Java's `HttpClient` and `curl --http2` ask every server that
 * they do not know for HTTP/2 (h2c), which it may ignore (RFC 9110, 7.8); Node would have LiveQuery answer those too, and it
 * refuses them. So what asks for anything but a WebSocket is answered as if it had not asked.
 *
 * @param allowed as of `refuseForeign`, which does not see WebSockets: foreign ones end here
 * @returns emits `upgrade` for each WebSocket, as a server would; while nobody listens to that, they end
 */
export function webSocketsOf(server: Server, allowed?: string): EventEmitter {
  const webSockets = new EventEmitter();
  server.on('upgrade', (request, socket, bodyStart) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      socket.unshift(Buffer.concat([headWithoutUpgrade(request), bodyStart]));
      server.emit('connection', socket);
    } else if (
      foreignHeader(request.headers, allowed) ||
      !webSockets.emit('upgrade', request, socket, bodyStart)
    ) {
      socket.destroy();
    }
  });
  return webSockets;
}

/** A request up to its body, as it came but for what asks for an upgrade. */
function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (!/^(?:upgrade|connection|http2-settings)$/i.test(name)) lines.push(`${name}: ${rawHeaders[i + 1]}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
