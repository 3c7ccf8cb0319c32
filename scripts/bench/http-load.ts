import { Agent, request } from 'node:http';
import type { BareParseServer } from '../local/bare-parse-server';

export interface Call {
  /** Default: POST. */
  method?: string;
  path: string;
  /** For the header. */
  sessionToken?: string | undefined;
  /** Bytes as they are, anything else as JSON. */
  body: unknown;
}

/** What calls were seen to cost. */
export interface Load {
  perSecond: number;
  /** Of the servers' processes together, user and system, for one call. */
  cpuMs: number;
}

/**
 * Makes these calls over some connections, each as soon as one is free, at the servers in turn.
 *
 * @throws Error for the first answer that is an error: a measure of failures would be worth nothing
 */
export async function load(servers: BareParseServer[], calls: Call[], connections: number): Promise<Load> {
  const cpu = async () => {
    const used = await Promise.all(servers.map((server) => server.cpuMilliseconds()));
    return used.reduce((sum, one) => sum + one, 0);
  };
  const cpuBefore = await cpu();
  const start = process.hrtime.bigint();
  let begun = 0;
  const work = async () => {
    for (let n = begun++; n < calls.length; n = begun++) {
      await send(servers[n % servers.length] as BareParseServer, calls[n] as Call);
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  return { perSecond: calls.length / seconds, cpuMs: ((await cpu()) - cpuBefore) / calls.length };
}

const agent = new Agent({ keepAlive: true });

/** @throws Error for an answer that is none, or an error */
export function send(
  { url, appId }: Pick<BareParseServer, 'url' | 'appId'>,
  { method = 'POST', path, sessionToken, body }: Call,
): Promise<string> {
  return new Promise((done, fail) => {
    const payload = Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const headers = {
      'X-Parse-Application-Id': appId,
      'X-Parse-Revocable-Session': '1',
      ...(sessionToken && { 'X-Parse-Session-Token': sessionToken }),
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(payload),
    };
    const outgoing = request(url + path, { agent, method, headers }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        answer += chunk;
      });
      response.on('end', () => {
        if ((response.statusCode as number) < 300) done(answer);
        else
          fail(new Error(`${method} ${path} was answered ${response.statusCode}: ${answer.slice(0, 200)}`));
      });
    });
    outgoing.on('error', fail);
    outgoing.end(payload);
  });
}
