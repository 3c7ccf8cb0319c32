import { setTimeout as wait } from 'node:timers/promises';
import type { BareParseServer } from '../../scripts/local/bare-parse-server';
import type { Row } from '../../scripts/local/stored-rows';
import { restClient } from '../support/rest';

/** A part of every plaintext of a load, and of nothing else. */
export const PLAINTEXT = 'The results are here: all clear.';

const PAUSE_MS = 10;
const MAX_REQUESTS = 20_000;
// On each server at once.
const CLIENTS = ['token', 'plaintext', 'envelope', 'envelope', 'envelope'] as const;

/** What servers have answered to a load. */
export interface Outcome {
  /** The envelope of each save that was answered with 201, by its row's ID. */
  acknowledged: Map<string, string>;
  /** How often each answer came, such as `plaintext 400 142` or `token: no answer`, and after how long at most. */
  answers: Map<string, { count: number; slowestMs: number }>;
}

/**
 * Asks servers for tokens, for saves of envelopes and for saves of plaintext, as clients do that wait for each answer.
 *
 * @param caller the sender of all messages
 * @returns ends the load once all is answered
 */
export function startLoad(
  servers: BareParseServer[],
  caller: { id: string; sessionToken: string },
  envelopes: string[],
): () => Promise<Outcome> {
  const acknowledged: Outcome['acknowledged'] = new Map();
  const answers: Outcome['answers'] = new Map();
  let isRunning = true;
  let requests = 0;

  async function ask(server: BareParseServer, kind: (typeof CLIENTS)[number]): Promise<void> {
    const i = requests++;
    const body = kind === 'envelope' ? (envelopes[i % envelopes.length] as string) : `${PLAINTEXT} ${i}`;
    const begun = performance.now();
    let answer = `${kind}: no answer`;
    try {
      const { run, call } = restClient(server);
      const got = await (kind === 'token'
        ? run('virgil-jwt', {}, caller)
        : call('POST', '/classes/Message', messageOf(caller, body), caller));
      answer = [kind, got.status, ...(got.body.code === undefined ? [] : [got.body.code])].join(' ');
      if (got.status === 201) acknowledged.set(got.body.objectId, body);
    } catch (error) {
      if ((error as Error).message !== 'fetch failed') throw error;
    }
    const { count, slowestMs } = answers.get(answer) ?? { count: 0, slowestMs: 0 };
    const ms = Math.round(performance.now() - begun);
    answers.set(answer, { count: count + 1, slowestMs: Math.max(slowestMs, ms) });
  }
  async function keepAsking(server: BareParseServer, kind: (typeof CLIENTS)[number]): Promise<void> {
    for (; isRunning && requests < MAX_REQUESTS; await wait(PAUSE_MS)) await ask(server, kind);
  }
  const all = Promise.all(servers.flatMap((server) => CLIENTS.map((kind) => keepAsking(server, kind))));
  return async () => {
    isRunning = false;
    await all;
    return { acknowledged, answers };
  };
}

export function messageOf({ id }: { id: string }, body: string): Row {
  return { body, senderId: id, threadId: 'thread' };
}

/** The IDs of the acknowledged saves that are not among the rows, or not as they were saved. */
export function lostSaves({ acknowledged }: Outcome, rows: Row[]): string[] {
  const stored = new Map(rows.map(({ objectId, body }) => [objectId, body]));
  return [...acknowledged].filter(([id, envelope]) => stored.get(id) !== envelope).map(([id]) => id);
}
