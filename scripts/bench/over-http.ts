import type { BareParseServer } from '../local/bare-parse-server';
import { type BenchOptions, type BenchServer, LOGIN, POLICY, startBenchServer } from './bench-server';
import { erasureOption } from './erasure';
import { type Call, type Load, load, send } from './http-load';
import { recipientsOption } from './recipients';
import { interleave, type Ratio, ratioOf, type Target } from './rounds';
import { uploadOptions } from './uploads';

const CONNECTIONS = 8;
/** Of servers, with an option and without. A new one is slower until Node has compiled what it runs. */
const PAIRS = 3;
const WARM_UP_ROUNDS = 10;
const LOG_INS = 100;

/** How much is measured. */
export interface Effort {
  rounds: number;
  /** Of each kind in each round. */
  calls: number;
}
const FULL: Effort = { rounds: 15, calls: 600 };

/** A call beside another. */
export interface Row {
  measure: string;
  against: string;
  /** Calls a second. */
  rate: Ratio;
  rateTarget?: Target;
  /** The processor's time for one call, in the server's process. */
  cpu?: Ratio;
  cpuTarget?: Target;
}

/**
 * An option of the policy: what a call costs with it, beside the same call without. A new one is added here; that it costs
 * nothing when it is off is for test/cloud/queries.test.ts to hold.
 */
export interface PolicyOption {
  measure: string;
  against: string;
  /** Of calls a second. */
  rateTarget?: Target;
  /** Like `POLICY`, but for the option. */
  policy: object;
  /**
   * Cloud Code in front of the bundle, by which the server does as if without the option while `BENCH_OFF` is in its
   * environment: one server is measured against itself, which is steadier. Default: another server has no such option.
   */
  offSwitch?: string;
  /** Starts what its server needs. */
  start(): Promise<Started> | Started;
}

interface Started {
  /** Of its process, beside the credentials. */
  environment?: Record<string, string>;
  /** The same for both servers, each of which has users and rows of its own. */
  calls(server: BenchServer, count: number): Call[] | Promise<Call[]>;
  stop?(): void;
}

const OPTIONS: PolicyOption[] = [
  {
    measure: 'a change of a user, `guardUserIds` on',
    against: 'off',
    rateTarget: { atLeast: 0.97 },
    policy: { ...POLICY, virgil: { ...POLICY.virgil, guardUserIds: true } },
    start: () => ({
      calls: ({ userId, sessionToken }, count) =>
        repeat(count, {
          method: 'PUT',
          path: `/users/${userId}`,
          sessionToken,
          body: { nickname: 'a name' },
        }),
    }),
  },
  recipientsOption,
  erasureOption,
  ...uploadOptions,
];

/**
 * Measures functions and saves on a Parse Server, over 8 connections.
 *
 * @param say tells what is being measured
 */
export async function measureOverHttp(
  server: BenchServer,
  say: (what: string) => void,
  effort = FULL,
): Promise<Row[]> {
  // As docs/self-hosting.md has it, first of all.
  await server.rows.makeIndex('_Session', server.tokenField);
  const rows = [
    ...(await measureRenewals(server, effort, say)),
    ...(await measureFirstCalls(server, effort, say)),
    await measureDuringLogIns(server, effort, say),
    await measureSaves(server, effort, say),
  ];
  for (const option of OPTIONS) rows.push(await measureOption(option, effort, say));
  return rows;
}

const EMPTY = 'an empty function';
const repeat = (count: number, call: Call) => Array<Call>(count).fill(call);
const over = (server: BareParseServer, calls: Call[]) => load([server], calls, CONNECTIONS);
const call = (name: string, sessionToken: string | undefined, body = {}): Call => ({
  path: `/functions/${name}`,
  sessionToken,
  body,
});

function row(
  measure: string,
  against: string,
  ours: Load[],
  theirs: Load[],
  targets: Pick<Row, 'rateTarget' | 'cpuTarget'> = {},
): Row {
  const ratio = (figure: keyof Load) =>
    ratioOf(
      ours.map((one) => one[figure]),
      theirs.map((one) => one[figure]),
    );
  return { measure, against, rate: ratio('perSecond'), cpu: ratio('cpuMs'), ...targets };
}

async function measureRenewals(server: BenchServer, { rounds, calls }: Effort, say: (what: string) => void) {
  const { sessionToken } = server;
  const run = (one: Call) => () => over(server, repeat(calls, one));
  const { empty, renewal, bothWays, parameter, demo } = await interleave(
    {
      empty: run(call('empty', sessionToken)),
      renewal: run(call('virgil-jwt', sessionToken)),
      bothWays: run(call('virgil-jwt', sessionToken, { sessionToken })),
      parameter: run(call('virgil-jwt', undefined, { sessionToken })),
      demo: run(call('demo', undefined, { sessionToken })),
    },
    rounds,
    (round) => say(`functions, round ${round} of ${rounds}`),
  );
  return [
    row('`virgil-jwt`, header session, renewal', EMPTY, renewal, empty, {
      rateTarget: { atLeast: 0.88 },
      cpuTarget: { atMost: 1.3 },
    }),
    row('the same, the session as a parameter too', EMPTY, bothWays, empty, {
      rateTarget: { atLeast: 0.86 },
    }),
    row('`virgil-jwt`, header session, renewal', "the original demo's way", renewal, demo, {
      rateTarget: { atLeast: 4.8 },
    }),
    row('`virgil-jwt`, parameter session alone', EMPTY, parameter, empty, { rateTarget: { atLeast: 0.27 } }),
  ];
}

/** Calls of sessions that Parse Server does not have in its cache, a third of the others' number. */
async function measureFirstCalls(
  server: BenchServer,
  { rounds, calls }: Effort,
  say: (what: string) => void,
) {
  const count = Math.ceil(calls / 3);
  const known = await server.newSessions(count);
  await over(
    server,
    known.map((token) => call('virgil-jwt', token)),
  );
  const onceEach = (name: string, sessions: () => Promise<string[]>) => async () => {
    const tokens = await sessions();
    await server.emptyCache();
    return over(
      server,
      tokens.map((token) => call(name, token)),
    );
  };
  const { firstEmpty, first, laterEmpty, later } = await interleave(
    {
      firstEmpty: onceEach('empty', () => server.newSessions(count)),
      first: onceEach('virgil-jwt', () => server.newSessions(count)),
      laterEmpty: onceEach('empty', async () => known),
      later: onceEach('virgil-jwt', async () => known),
    },
    rounds,
    (round) => say(`first calls, round ${round} of ${rounds}`),
  );
  const rateTarget = { atLeast: 0.37 };
  return [
    row('`virgil-jwt`, first call of a header session', EMPTY, first, firstEmpty, { rateTarget }),
    row('`virgil-jwt`, 20 minutes after the last, as E3Kit renews', EMPTY, later, laterEmpty),
  ];
}

async function measureDuringLogIns(
  server: BenchServer,
  { rounds, calls }: Effort,
  say: (what: string) => void,
) {
  let isRunning = true;
  const logIn = async () => {
    while (isRunning) await send(server, { path: '/login', body: LOGIN });
  };
  const logIns = Promise.all(Array.from({ length: LOG_INS }, logIn));
  const run = (name: string) => () =>
    over(server, repeat(Math.ceil(calls / 6), call(name, server.sessionToken)));
  const { empty, renewal } = await interleave(
    { empty: run('empty'), renewal: run('virgil-jwt') },
    rounds,
    (round) => say(`renewals during ${LOG_INS} log-ins, round ${round} of ${rounds}`),
  ).finally(() => {
    isRunning = false;
    return logIns;
  });
  // The processor's time is that of the log-ins.
  const { cpu: _, ...rest } = row(
    `\`virgil-jwt\`, header session, renewal, during ${LOG_INS} log-ins`,
    `${EMPTY} during as many`,
    renewal,
    empty,
  );
  return rest;
}

async function measureSaves(server: BenchServer, { rounds, calls }: Effort, say: (what: string) => void) {
  const { sessionToken } = server;
  const body = server.message();
  const save = (className: string) => () =>
    over(server, repeat(Math.ceil(calls / 3), { path: `/classes/${className}`, sessionToken, body }));
  const { guarded, unguarded } = await interleave(
    { guarded: save('Message'), unguarded: save('Unguarded') },
    rounds,
    (round) => say(`saves, round ${round} of ${rounds}`),
  );
  return row('guarded save of a 1 KB message', 'the same save with an empty trigger', guarded, unguarded, {
    rateTarget: { atLeast: 0.96 },
    cpuTarget: { atMost: 1.05 },
  });
}

/**
 * Measures two servers as old as each other: of one that has served for a while Node has compiled more, and it is faster by
 * half. Even so two without the option may differ by a fifth as long as they live; so there are several pairs of them, or
 * several servers that are measured with it and without.
 */
async function measureOption(
  { measure, against, rateTarget, policy, offSwitch, start }: PolicyOption,
  { rounds, calls: inRound }: Effort,
  say: (what: string) => void,
): Promise<Row> {
  const { environment = {}, calls, stop } = await start();
  const servers: BenchServer[] = [];
  const launch = async (options: BenchOptions) => {
    const server = await startBenchServer(options);
    servers.push(server);
    return server;
  };
  const run = (server: BenchServer, isOff: boolean) => async () => {
    if (offSwitch) await server.setEnvironment({ BENCH_OFF: isOff ? 'yes' : null });
    return over(server, await calls(server, Math.ceil(inRound / 3)));
  };
  const loads: Record<'on' | 'off', Load[]> = { on: [], off: [] };
  try {
    for (let pair = 1; pair <= PAIRS; pair++) {
      const server = await launch({ policy, environment, cloudCode: offSwitch });
      const sides = { on: run(server, false), off: run(offSwitch ? server : await launch({}), true) };
      const tell = (round: number) =>
        say(`${measure}, servers ${pair} of ${PAIRS}, round ${round} of ${rounds}`);
      const { on, off } = await interleave(sides, rounds, tell, WARM_UP_ROUNDS);
      loads.on.push(...on);
      loads.off.push(...off);
      for (const server of servers.splice(0)) await server.stop();
    }
  } finally {
    for (const server of servers) await server.stop();
    stop?.();
  }
  return row(measure, against, loads.on, loads.off, rateTarget && { rateTarget });
}
