import { type BenchServer, startBenchServer } from '../../scripts/bench/bench-server';
import { measureGrowth } from '../../scripts/bench/growth';
import { measureOverHttp } from '../../scripts/bench/over-http';
import type { ServerProgram } from '../../scripts/engines/program';
import { programOnPath } from '../../scripts/engines/program-on-path';
import { startRedis } from '../../scripts/engines/servers';

// That the benchmark runs, at its smallest; and what of it is no matter of time.
const { PATH, REDIS_URL } = process.env;
jest.setTimeout(300_000);
const quietly = () => {};

let redis: ServerProgram | undefined;
let server: BenchServer;
beforeAll(async () => {
  if (!REDIS_URL) redis = await startRedis(programOnPath('redis-server', PATH) as string);
  server = await startBenchServer();
});
afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

test('no call makes more queries among more rows, with larger messages or on more processes, and we add none to tokens and new messages', async () => {
  const effort = { rounds: 1, calls: 4, rows: [10, 1000], warmUp: 10 };
  const measured = await measureGrowth(server, redis?.uri ?? REDIS_URL, quietly, effort);
  const added = measured.map(({ grows, call, points }) => {
    const [first, ...others] = points.map(({ withUs, withoutUs }) => [withUs.queries, withoutUs.queries]);
    expect(others.length).toBeGreaterThan(0);
    for (const other of others) expect([grows, call, other]).toEqual([grows, call, first]);
    const [withUs = Number.NaN, withoutUs = Number.NaN] = first ?? [];
    return [`${call} (${grows})`, withUs - withoutUs];
  });
  // Where a class has a trigger, Parse Server reads the row for it, and checks before it that the user may change the row.
  const changed = ['save of a changed message (messages)', 2];
  expect(added.filter(([, queries]) => queries !== 0)).toEqual([changed]);
  expect(added).toHaveLength(12);
});

test('each ratio is measured', async () => {
  const rows = await measureOverHttp(server, quietly, { rounds: 1, calls: 6 });
  expect(rows.length).toBeGreaterThan(8);
  for (const { rate, cpu } of rows) {
    for (const ratio of cpu ? [rate, cpu] : [rate]) expect(ratio.median).toBeGreaterThan(0);
  }
});
