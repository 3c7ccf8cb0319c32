import type { BareParseServer } from '../local/bare-parse-server';
import type { BenchOptions, BenchServer } from './bench-server';
import { type Call, type Load, load, send } from './http-load';
import { interleave, median } from './rounds';

/** How far it goes, and how much is measured. */
interface Effort {
  rounds: number;
  /** Of each kind in each round. */
  calls: number;
  /** Of sessions, and of messages. */
  rows: number[];
  /** Calls of each kind that a new process has before it is measured. */
  warmUp: number;
}
const FULL: Effort = { rounds: 15, calls: 60, rows: [100, 10_000, 1_000_000], warmUp: 500 };
const RECIPIENTS = [1, 10, 100];
const KILOBYTES = [1, 10, 100, 256];
const COPIED_AT_ONCE = 50_000;
/** Enough where no call has more queries than another. */
const COUNTED_CALLS = 4;
/** Without an index one call among a million sessions takes half a second. */
const SLOW_CALLS = 4;

/** What one call costs, one after the other on one connection. */
export interface Cost {
  /** Of the processor's time, in the servers' processes. */
  cpuMs: number;
  /** Until the answer. */
  ms: number;
  /** That the database has. */
  queries: number;
}

/** A call, at servers with the bundle, and at servers without: a token is an empty function there. */
export interface Point {
  at: number;
  withUs: Cost;
  withoutUs: Cost;
}

/** What a call costs as something grows. */
export interface Growth {
  grows: string;
  call: string;
  points: Point[];
}

interface Side {
  servers: BareParseServer[];
  calls: Call[];
}

/** What every series is measured with. */
interface Bench {
  /** Fills the tables, and is not measured: what that leaves in a process would be measured with it. */
  server: BenchServer;
  /** With the bundle, and as many without. */
  ours: BareParseServer[];
  theirs: BareParseServer[];
  effort: Effort;
  measure(
    what: Omit<Growth, 'points'> & Pick<Point, 'at'>,
    ours: Side,
    theirs: Side,
    /** Before each round, and before queries are counted. Default: each server has had such a call just now. */
    prepare?: (side: Side) => Promise<unknown>,
  ): Promise<void>;
}

/**
 * Measures what calls cost among more and more sessions and messages, with larger ones, and on more processes.
 *
 * @param server on a database that other servers may use
 * @param redisUrl of a Redis for several processes, which are left out without one
 * @param say tells what is being done
 */
export async function measureGrowth(
  server: BenchServer,
  redisUrl: string | undefined,
  say: (what: string) => void,
  effort = FULL,
): Promise<Growth[]> {
  const measured: Growth[] = [];
  const measure: Bench['measure'] = async ({ grows, call, at }, ours, theirs, prepare = callOnce) => {
    say(`${call}, ${grows}: ${at.toLocaleString('en')}`);
    const round = (side: Side) => async () => {
      await prepare(side);
      return load(side.servers, side.calls, 1);
    };
    const loads = await interleave({ ours: round(ours), theirs: round(theirs) }, effort.rounds);
    const cost = async (side: Side, seen: Load[]): Promise<Cost> => ({
      cpuMs: median(seen.map(({ cpuMs }) => cpuMs)),
      ms: median(seen.map(({ perSecond }) => 1000 / perSecond)),
      queries: await countQueries(server, side, prepare),
    });
    const known = measured.find((one) => one.grows === grows && one.call === call);
    const growth = known ?? { grows, call, points: [] };
    if (!known) measured.push(growth);
    growth.points.push({
      at,
      withUs: await cost(ours, loads.ours),
      withoutUs: await cost(theirs, loads.theirs),
    });
  };
  const bench = { server, effort, measure };
  await withServers(bench, {}, 1, ofSizes);
  if (redisUrl) await withServers(bench, { redisUrl }, 2, ofProcesses);
  await withServers(bench, {}, 1, async (all) => {
    await ofSessions(all);
    await ofMessages(all);
  });
  return measured;
}

/** Starts so many processes with the bundle, and as many without, and warms them up. */
async function withServers(
  bench: Omit<Bench, 'ours' | 'theirs'>,
  options: BenchOptions,
  count: number,
  act: (bench: Bench) => Promise<void>,
): Promise<void> {
  const { server, effort } = bench;
  const started: BareParseServer[] = [];
  try {
    for (const hasBundle of [true, false]) {
      for (let i = 0; i < count; i++) started.push(await server.startAnother({ ...options, hasBundle }));
    }
    for (const one of started) {
      await load([one], repeat(effort.warmUp, run('empty', server.sessionToken)), 1);
      await load([one], repeat(effort.warmUp, save(server, server.message())), 1);
    }
    await act({ ...bench, ours: started.slice(0, count), theirs: started.slice(count) });
  } finally {
    for (const one of started) await one.stop();
  }
}

const forget = ({ servers }: Side) => Promise.all(servers.map((one) => one.emptyCache()));

/** Parse Server has the session in its cache then, and for some seconds to come. */
async function callOnce(side: Side): Promise<void> {
  await forget(side);
  await load(side.servers, side.calls.slice(0, side.servers.length), 1);
}

async function countQueries(
  { rows }: BenchServer,
  side: Side,
  prepare: (side: Side) => Promise<unknown>,
): Promise<number> {
  await prepare(side);
  await rows.countStatements();
  await load(side.servers, side.calls.slice(0, COUNTED_CALLS), 1);
  return (await rows.countedStatements()).length / COUNTED_CALLS;
}

const repeat = (count: number, call: Call) => Array<Call>(count).fill(call);
const run = (name: string, sessionToken?: string, body = {}): Call => ({
  path: `/functions/${name}`,
  sessionToken,
  body,
});
const save = ({ sessionToken }: BenchServer, body: object): Call => ({
  path: '/classes/Message',
  sessionToken,
  body,
});
/** The same calls on either side. */
const sides = ({ ours, theirs }: Bench, calls: Call[]): [Side, Side] => [
  { servers: ours, calls },
  { servers: theirs, calls },
];
const NEW_MESSAGE = 'save of a new message';

async function ofSizes(bench: Bench): Promise<void> {
  const { server, effort, measure } = bench;
  const ofMessage = (grows: string, at: number, body: object) =>
    measure({ grows, call: NEW_MESSAGE, at }, ...sides(bench, repeat(effort.calls, save(server, body))));
  for (const recipients of RECIPIENTS)
    await ofMessage('recipients', recipients, server.message(1, recipients));
  for (const kilobytes of KILOBYTES) await ofMessage('KB', kilobytes, server.message(kilobytes));
}

async function ofProcesses({ server, ours, theirs, effort, measure }: Bench): Promise<void> {
  const renewal = (name: string) => repeat(effort.calls, run(name, server.sessionToken));
  const message = repeat(effort.calls, save(server, server.message()));
  for (let at = 1; at <= ours.length; at++) {
    const [us, them] = [ours.slice(0, at), theirs.slice(0, at)];
    const tokens = { servers: us, calls: renewal('virgil-jwt') };
    await measure({ grows: 'processes', call: 'renewal', at }, tokens, {
      servers: them,
      calls: renewal('empty'),
    });
    await measure(
      { grows: 'processes', call: NEW_MESSAGE, at },
      { servers: us, calls: message },
      { servers: them, calls: message },
    );
  }
}

async function ofSessions({ server, ours, theirs, effort, measure }: Bench): Promise<void> {
  const sessions: string[] = [];
  const us = (calls: Call[]) => ({ servers: ours, calls });
  const them = (calls: Call[]) => ({ servers: theirs, calls });
  const renewal = (name: string) => repeat(effort.calls, run(name, server.sessionToken));
  for (const at of effort.rows) {
    while (sessions.length < at) {
      const tokens = await server.newSessions(Math.min(COPIED_AT_ONCE, at - sessions.length));
      for (const token of tokens) sessions.push(token);
    }
    for (const indexed of [false, true]) {
      if (indexed) await server.rows.makeIndex('_Session', server.tokenField);
      const grows = `sessions, ${indexed ? 'with' : 'without'} the index`;
      // From all over the table: without an index a session is the sooner found the nearer it is to the begin.
      const count = indexed || at < 100_000 ? effort.calls : SLOW_CALLS;
      const known = Array.from({ length: count }, (_, i) => sessions[Math.floor((i * at) / count)]);
      const empty = them(known.map((token) => run('empty', token)));
      const first = us(known.map((token) => run('virgil-jwt', token)));
      await measure({ grows, call: 'first call', at }, first, empty, forget);
      const parameter = us(known.map((sessionToken) => run('virgil-jwt', undefined, { sessionToken })));
      await measure({ grows, call: 'by parameter', at }, parameter, empty, forget);
      await measure({ grows, call: 'renewal', at }, us(renewal('virgil-jwt')), them(renewal('empty')));
    }
    await server.rows.dropIndex('_Session', server.tokenField);
  }
}

async function ofMessages(bench: Bench): Promise<void> {
  const { server, effort, measure } = bench;
  const message = server.message();
  await server.rows.delete('Message', {});
  const original = save(server, { ...message, threadId: 'the original' });
  const { objectId } = JSON.parse(await send(server, original));
  let filled = 0;
  for (const at of effort.rows) {
    while (filled < at) {
      const to = Math.min(at, filled + COPIED_AT_ONCE);
      await server.rows.copy('Message', objectId, { threadId: 'copy' }, filled + 1, to);
      filled = to;
    }
    // What was saved since would make a hundred a thousand.
    const prepare = async (side: Side) => {
      await callOnce(side);
      if (at < 100_000) await server.rows.delete('Message', { threadId: message.threadId });
    };
    const create = repeat(effort.calls, save(server, message));
    await measure({ grows: 'messages', call: NEW_MESSAGE, at }, ...sides(bench, create), prepare);
    const change = { ...original, method: 'PUT', path: `/classes/Message/${objectId}` };
    const update = repeat(effort.calls, change);
    await measure({ grows: 'messages', call: 'save of a changed message', at }, ...sides(bench, update));
  }
}
