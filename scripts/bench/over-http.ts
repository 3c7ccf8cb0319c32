import type { BenchServer } from './bench-server';
import { type Call, requestsPerSecond, send } from './http-load';
import { interleave, type Ratio, ratioOf } from './rounds';

const CALLS = 600;
const ROUNDS = 15;
const FIRST_CALLS = 200;
const SAVES = 100;
const SAVE_ROUNDS = 20;

interface HttpRatios {
  renewal: Ratio;
  againstDemo: Ratio;
  firstCall: Ratio;
  parameter: Ratio;
  save: Ratio;
  saveAmongMany: Ratio;
}

/**
 * Measures functions and saves on a Parse Server, over 8 connections.
 *
 * @param say tells what is being measured
 */
export async function measureOverHttp(server: BenchServer, say: (what: string) => void): Promise<HttpRatios> {
  return { ...(await measureFunctions(server, say)), ...(await measureSaves(server, say)) };
}

async function measureFunctions(server: BenchServer, say: (what: string) => void) {
  const headers = { 'X-Parse-Application-Id': server.appId, 'X-Parse-Revocable-Session': '1' };
  const withSession = (sessionToken: string) => ({ ...headers, 'X-Parse-Session-Token': sessionToken });
  const repeat = (call: Call) => Array.from({ length: CALLS }, () => call);
  const isToken = (answer: string) => answer.includes('"token":');
  const run = (name: string, body: object, callHeaders: Record<string, string>) => () =>
    requestsPerSecond(
      server.url,
      repeat({ path: `/functions/${name}`, headers: callHeaders, body }),
      isToken,
    );
  const { sessionToken } = server;
  const figures = await interleave(
    {
      empty: run('empty', {}, withSession(sessionToken)),
      renewal: run('virgil-jwt', {}, withSession(sessionToken)),
      parameter: run('virgil-jwt', { sessionToken }, headers),
      demo: run('demo', { sessionToken }, headers),
    },
    ROUNDS,
    (round) => say(`functions, round ${round} of ${ROUNDS}`),
  );

  const firstCalls = await interleave(
    {
      pair: async () => {
        const sessions = await server.newSessions(FIRST_CALLS);
        const over = (name: string) =>
          requestsPerSecond(
            server.url,
            sessions.map((token) => ({ path: `/functions/${name}`, headers: withSession(token), body: {} })),
            isToken,
          );
        await over('empty'); // Parse Server has looked them up now; we have not.
        const ratio = (await over('virgil-jwt')) / (await over('empty'));
        // `_Session` has no index on its tokens: what is no longer needed would be searched as well.
        await server.rows.delete('_Session', { sessionToken: { $in: sessions } });
        return ratio;
      },
    },
    ROUNDS,
    (round) => say(`first calls, round ${round} of ${ROUNDS}`),
  );

  return {
    renewal: ratioOf(figures.renewal, figures.empty),
    againstDemo: ratioOf(figures.renewal, figures.demo),
    parameter: ratioOf(figures.parameter, figures.empty),
    firstCall: ratioOf(
      firstCalls.pair,
      firstCalls.pair.map(() => 1),
    ),
  };
}

async function measureSaves(server: BenchServer, say: (what: string) => void) {
  const headers = {
    'X-Parse-Application-Id': server.appId,
    'X-Parse-Session-Token': server.sessionToken,
  };
  const save = (className: string) => () =>
    requestsPerSecond(
      server.url,
      Array.from({ length: SAVES }, () => ({
        path: `/classes/${className}`,
        headers,
        body: server.message,
      })),
      (answer) => answer.includes('"objectId":'),
    );
  const guarded = save('Message');
  const unguarded = save('Unguarded');
  const few = await interleave({ guarded, unguarded }, SAVE_ROUNDS, (round) =>
    say(`saves, round ${round} of ${SAVE_ROUNDS}`),
  );

  // The class is emptied and filled before each round: 1,000 rows, then 100,000.
  const { objectId } = JSON.parse(
    await send(server.url, { path: '/classes/Message', headers, body: server.message }),
  );
  const fill = async (rows: number) => {
    await server.rows.delete('Message', { objectId: { $ne: objectId } });
    await server.rows.copy('Message', objectId, { threadId: 'thread' }, 1, rows);
  };
  const among: Record<number, number[]> = { 1000: [], 100000: [] };
  for (let round = 1; round <= 3; round++) {
    for (const rows of [1000, 100_000]) {
      say(`saves among ${rows} rows, round ${round} of 3`);
      await fill(rows);
      const { ratio } = await interleave({ ratio: async () => (await guarded()) / (await unguarded()) }, 5);
      among[rows]?.push(...ratio);
    }
  }
  return {
    save: ratioOf(few.guarded, few.unguarded),
    saveAmongMany: ratioOf(among[100_000] as number[], among[1000] as number[]),
  };
}
