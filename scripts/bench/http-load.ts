import { Agent, request } from 'node:http';

export interface Call {
  method?: string;
  path: string;
  headers: Record<string, string>;
  body: unknown;
}

const CONNECTIONS = 8;
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

/**
 * Makes these calls over 8 connections, each as soon as one is free.
 *
 * @param isGood whether an answer counts: a measure of failures would be worth nothing
 * @returns calls a second
 * @throws Error for the first answer that does not count
 */
export async function requestsPerSecond(
  url: string,
  calls: Call[],
  isGood: (answer: string) => boolean,
): Promise<number> {
  const start = process.hrtime.bigint();
  const waiting = [...calls];
  const work = async () => {
    for (let call = waiting.pop(); call; call = waiting.pop()) {
      const answer = await send(url, call);
      if (!isGood(answer)) throw new Error(`${call.path} answered ${answer.slice(0, 200)}`);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  return calls.length / (Number(process.hrtime.bigint() - start) / 1e9);
}

export function send(url: string, { method = 'POST', path, headers, body }: Call): Promise<string> {
  return new Promise((done, fail) => {
    const payload = JSON.stringify(body);
    const outgoing = request(
      url + path,
      {
        agent,
        method,
        headers: {
          ...headers,
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(payload),
        },
      },
      (response) => {
        let answer = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          answer += chunk;
        });
        response.on('end', () => done(answer));
      },
    );
    outgoing.on('error', fail);
    outgoing.end(payload);
  });
}
