import type { BenchServer } from './bench-server';
import { send } from './http-load';
import { interleave, type Ratio, ratioOf } from './rounds';

const SIZES = [100, 10_000, 1_000_000];
const ROUNDS = 10;
/** What comes from a cache is quick, so that one call would measure the clock. */
const CACHED_CALLS = 20;
const COPIED_AT_ONCE = 50_000;
/** A prime: so each part of a table has its turn before any comes again. */
const STRIDE = 15_485_863;
/** Calls of a round that need a session that nobody has seen. */
const NEW_SESSIONS = 4;

/** One call after the other on one connection, with so many rows in `_Session`. */
export interface SessionCost {
  sessions: number;
  indexed: boolean;
  /** Milliseconds of the empty function, for a session that Parse Server has not cached, and for one that it has. */
  empty: number;
  emptyCached: number;
  /** Against `empty`. */
  firstCall: Ratio;
  parameter: Ratio;
  /** Against `emptyCached`. */
  renewal: Ratio;
}

/**
 * Measures what a call costs among 100, 10,000 and 1,000,000 sessions, without an index on their tokens and with one.
 *
 * @param say tells what is being done
 */
export async function measureSessions(
  server: BenchServer,
  say: (what: string) => void,
): Promise<SessionCost[]> {
  const costs: SessionCost[] = [];
  const sessions: string[] = [];
  for (const size of SIZES) {
    const before = sessions.length;
    while (sessions.length < size) {
      say(`${sessions.length} of ${size} sessions`);
      const tokens = await server.newSessions(Math.min(COPIED_AT_ONCE, size - sessions.length));
      for (const token of tokens) sessions.push(token);
    }
    // Among those that are new, from all over the table. Those of one round are neighbours: without an index a session is
    // the sooner found the nearer it is to the table's begin.
    let taken = 0;
    const parts = Math.floor((size - before) / NEW_SESSIONS);
    const next = () => {
      const part = (Math.floor(taken / NEW_SESSIONS) * STRIDE) % parts;
      return sessions[before + part * NEW_SESSIONS + (taken++ % NEW_SESSIONS)] as string;
    };
    for (const indexed of [false, true]) {
      if (indexed) await server.rows.makeIndex('_Session', server.tokenField);
      const sayRound = (round: number) =>
        say(`${size} sessions, ${indexed ? '' : 'not '}indexed, round ${round} of ${ROUNDS}`);
      costs.push({ sessions: size, indexed, ...(await measureCalls(server, next, sayRound)) });
    }
    await server.rows.dropIndex('_Session', server.tokenField);
  }
  return costs;
}

async function measureCalls(
  { url, appId, sessionToken }: BenchServer,
  newSession: () => string,
  say: (round: number) => void,
) {
  const byHeader = (name: string, token: string) => call(name, { 'X-Parse-Session-Token': token }, {});
  const byParameter = (name: string, token: string) => call(name, {}, { sessionToken: token });

  async function call(name: string, headers: Record<string, string>, body: object): Promise<number> {
    const path = `/functions/${name}`;
    const start = process.hrtime.bigint();
    const answer = await send(url, { path, headers: { 'X-Parse-Application-Id': appId, ...headers }, body });
    if (!answer.includes('"token":')) throw new Error(`${path} answered ${answer.slice(0, 200)}`);
    return Number(process.hrtime.bigint() - start) / 1e6;
  }

  const cached = (name: string) => async () => {
    await byHeader(name, sessionToken); // Parse Server's cache forgets after 5 s.
    let sum = 0;
    for (let i = 0; i < CACHED_CALLS; i++) sum += await byHeader(name, sessionToken);
    return sum / CACHED_CALLS;
  };
  const figures = await interleave(
    {
      // The first of neighbours finds their part of the table cold. It does not count.
      cold: () => byHeader('empty', newSession()),
      empty: () => byHeader('empty', newSession()),
      firstCall: () => byHeader('virgil-jwt', newSession()),
      parameter: () => byParameter('virgil-jwt', newSession()),
      emptyCached: cached('empty'),
      renewal: cached('virgil-jwt'),
    },
    ROUNDS,
    say,
  );
  const { empty, emptyCached } = figures;
  return {
    empty: median(empty),
    emptyCached: median(emptyCached),
    firstCall: ratioOf(figures.firstCall, empty),
    parameter: ratioOf(figures.parameter, empty),
    renewal: ratioOf(figures.renewal, emptyCached),
  };
}

const median = (figures: number[]) =>
  ratioOf(
    figures,
    figures.map(() => 1),
  ).median;
