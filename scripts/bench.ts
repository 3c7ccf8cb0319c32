import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BenchServer, startBenchServer } from './bench/bench-server';
import { measureGrowth } from './bench/growth';
import type { InProcess } from './bench/in-process';
import { measureOverHttp } from './bench/over-http';
import { pageWith, pictureOf } from './bench/page';
import { countQueries } from './bench/queries';
import { measureCheck } from './bench/recipients';
import {
  growthTable,
  inWords,
  type OnEngine,
  type PlainRow,
  plainTable,
  queriesTable,
  ratioTable,
  written,
} from './bench/report';
import { interleave, type Ratio, ratioOf, type Target } from './bench/rounds';
import { runCommand } from './command-line/command';
import { UserError } from './command-line/user-error';
import { dropDatabases } from './engines/databases';
import { programOnPath } from './engines/program-on-path';
import { startMongoDb, startPostgres, startRedis } from './engines/servers';
import { bundle, compile, projectRoot } from './project/bundle';

const run = promisify(execFile);

/** Kilobytes of base64, recipients, and the most that recognising may cost of decoding and re-encoding. */
const RECOGNISED = [
  [1, 1, 2.5],
  [10, 1, 2],
  [100, 1, 2],
  [100, 100, 2],
] as const;

runCommand('bench', async ({ json, growth, database, redis, page }) => {
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.versions.node}, Parse Server ${
    require('parse-server/package.json').version
  }`;
  if (page) {
    await makePage(machine);
    return;
  }
  if (growth && database === undefined)
    throw new UserError('--growth needs --database: PGlite has no database that two servers may share.');
  const plain = growth ? [] : await measureWithoutServer();
  const engine = await onServer(database, (server) =>
    growth ? measureGrowthOn(server, redis) : measureRatiosOn(server),
  );
  progress('');
  if (json) console.log(JSON.stringify({ machine, plain, ...engine }, null, 2));
  else console.log([...tables(plain, engine), `${machine}, ${engine.engine}`].join('\n\n'));
});

/** One line that is written over, on a terminal only. */
function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
}

function tables(plain: PlainRow[], engine: OnEngine): string[] {
  const { rows, queries, growth } = engine;
  return [
    rows && ratioTable([engine]),
    plain.length > 0 && plainTable(plain),
    growth && growthTable(growth),
    queries && queriesTable(queries),
  ].filter((made) => typeof made === 'string');
}

/** Everything on PostgreSQL and MongoDB, each with the Redis that are on the PATH. */
async function makePage(machine: string): Promise<void> {
  const engines = { postgres: startPostgres, mongod: startMongoDb };
  const program = (name: string) => {
    const found = programOnPath(name, process.env.PATH);
    if (!found) throw new UserError(`--page needs ${name} on the PATH.`);
    return found;
  };
  const programs = Object.entries(engines).map(([name, start]) => [program(name), start] as const);
  const redis = await startRedis(program('redis-server'));
  try {
    const plain = await measureWithoutServer();
    const measured: OnEngine[] = [];
    for (const [path, start] of programs) {
      const database = await start(path);
      try {
        const ratios = await onServer(database.uri, measureRatiosOn);
        const growth = await onServer(database.uri, (server) => measureGrowthOn(server, redis.uri));
        measured.push({ ...ratios, ...growth });
      } finally {
        await database.stop();
      }
    }
    progress('');
    const page = join(projectRoot, 'docs/performance.md');
    writeFileSync(page, pageWith(readFileSync(page, 'utf8'), machine, plain, measured));
    writeFileSync(join(projectRoot, 'docs/performance.svg'), pictureOf(measured));
  } finally {
    await redis.stop();
  }
}

/** @param uri of a database server, on which the benchmark has databases of its own. Default: PGlite */
async function onServer(
  uri: string | undefined,
  act: (server: BenchServer) => Promise<Omit<OnEngine, 'engine'>>,
): Promise<OnEngine> {
  const prefix = `e2ee_bench_${randomBytes(4).toString('hex')}_`;
  if (uri !== undefined) {
    if (!/^(mongodb(\+srv)?|postgres(ql)?):\/\//.test(uri))
      throw new UserError('--database must be a mongodb:// or postgres:// address.');
    Object.assign(process.env, { TEST_DATABASE_URI: uri, TEST_DATABASE_PREFIX: prefix });
  }
  const server = await startBenchServer();
  try {
    const engine = `${uri === undefined ? 'PGlite, ' : ''}${server.engine}`;
    return { engine, ...(await act(server)) };
  } finally {
    await server.stop();
    if (uri !== undefined) await dropDatabases(uri, prefix);
  }
}

async function measureRatiosOn(server: BenchServer): Promise<Omit<OnEngine, 'engine'>> {
  progress('queries');
  const queries = await countQueries(server);
  return { rows: await measureOverHttp(server, progress), ...(queries && { queries }) };
}

async function measureGrowthOn(
  server: BenchServer,
  redisUrl: string | undefined,
): Promise<Omit<OnEngine, 'engine'>> {
  return { growth: await measureGrowth(server, redisUrl, progress) };
}

async function measureWithoutServer(): Promise<PlainRow[]> {
  const outfile = join(projectRoot, 'cloud/main.js');
  await bundle({ outfile });
  progress('tokens, recogniser, memory');
  const { token, recogniser, refusal, memoryGrowth } = await measureInProcess();
  progress('loading');
  const load = await loadAgainstLibraries();

  const base64 = 'decoding and re-encoding its base64';
  const ratio = (measure: string, against: string, target: Target, measured: Ratio) => ({
    measure,
    against,
    target: inWords(target),
    result: written(measured, target),
  });
  const amount = (measure: string, against: string, limit: number, unit: string, value: number) => {
    const result = `${value.toFixed(1)} ${unit}`;
    return {
      measure,
      against,
      target: `at most ${limit} ${unit}`,
      result: value <= limit ? result : `**${result}**`,
    };
  };
  return [
    ...(token
      ? [
          ratio(
            'a token, 8 in flight: time of the main thread',
            'a synchronous `crypto.sign`',
            { atMost: 0.6 },
            token,
          ),
        ]
      : []),
    ...RECOGNISED.map(([kilobytes, recipients, atMost], i) => {
      const of = `${kilobytes} KB, ${recipients} recipient${recipients > 1 ? 's' : ''}`;
      return ratio(`recognising a payload of ${of}`, base64, { atMost }, recogniser[i] as Ratio);
    }),
    ratio('refusing 1 MB of plain text', base64, { atMost: 1 }, refusal),
    ratio(
      "`require('cloud/main.js')`",
      '`virgil-sdk`, `virgil-crypto`, `initCrypto()`',
      { atMost: 0.12 },
      load,
    ),
    amount('memory after 100,000 tokens and payloads, beyond', 'after 1,000', 5, 'MB', memoryGrowth),
    amount('a check of 10 readers, remembered', '', 10, 'µs', await measureCheck(10)),
    amount('size deployed', '70 MB in 403 packages', 60, 'KB', statSync(outfile).size / 1024),
  ];
}

async function measureInProcess(): Promise<InProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-bench-'));
  try {
    const program = join(folder, 'in-process.js');
    await compile('scripts/bench/in-process.ts', program, {
      alias: { 'virgil-crypto': require.resolve('virgil-crypto') },
      external: [require.resolve('virgil-crypto')],
    });
    const sizes = RECOGNISED.map(([kilobytes, recipients]) => [kilobytes * 1024, recipients]);
    const printed = await run(process.execPath, ['--expose-gc', program, JSON.stringify(sizes)]);
    return JSON.parse(printed.stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** In fresh processes: loading the bundle, against loading the libraries that the original demo loads. */
async function loadAgainstLibraries(): Promise<Ratio> {
  const milliseconds = (script: string) => async () => {
    const timed = `const start = performance.now(); const end = () => console.log(performance.now() - start); ${script}`;
    return Number((await run(process.execPath, ['-e', timed], { cwd: projectRoot })).stdout);
  };
  const loads = await interleave(
    {
      bundle: milliseconds(
        "globalThis.Parse = { Cloud: new Proxy({}, { get: () => () => {} }) }; require('./cloud/main.js'); end();",
      ),
      libraries: milliseconds("require('virgil-sdk'); require('virgil-crypto').initCrypto().then(end);"),
    },
    15,
  );
  return ratioOf(loads.bundle, loads.libraries);
}
