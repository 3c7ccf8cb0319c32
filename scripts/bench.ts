import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BenchServer, startBenchServer } from './bench/bench-server';
import type { InProcess } from './bench/in-process';
import { measureOverHttp } from './bench/over-http';
import { countQueries, type Queries } from './bench/queries';
import { interleave, type Ratio, ratioOf } from './bench/rounds';
import { measureSessions, type SessionCost } from './bench/sessions';
import { runCommand } from './command-line/command';
import { UserError } from './command-line/user-error';
import { dropDatabases } from './engines/databases';
import { bundle, compile, projectRoot } from './project/bundle';

const run = promisify(execFile);

/** Kilobytes of base64, and recipients. */
const RECOGNISED = [
  [1, 1],
  [10, 1],
  [100, 1],
  [100, 100],
] as const;

interface Row {
  measure: string;
  against: string;
  target: string;
  result: string;
  met: boolean;
}

/** Every part is one table. */
interface Measured {
  /** That the server ran on. */
  engine: string;
  rows?: Row[];
  sessions?: SessionCost[];
  queries?: Queries[];
}

runCommand('bench', async ({ json, sessions, database }) => {
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.versions.node}, Parse Server ${
    require('parse-server/package.json').version
  }`;
  const measured = await onServer(database, sessions ? measureAmongSessions : measure);
  progress('');
  if (json) console.log(JSON.stringify({ machine, ...measured }, null, 2));
  else console.log([...tables(measured), `${machine}, ${measured.engine}`].join('\n\n'));
});

/** One line that is written over, on a terminal only. */
function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
}

/** @param uri of a database server, on which the benchmark has a database of its own. Default: PGlite */
async function onServer(
  uri: string | undefined,
  act: (server: BenchServer) => Promise<Omit<Measured, 'engine'>>,
): Promise<Measured> {
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

async function measureAmongSessions(server: BenchServer) {
  progress('queries');
  const queries = await countQueries(server);
  return { sessions: await measureSessions(server, progress), queries };
}

async function measure(server: BenchServer): Promise<{ rows: Row[] }> {
  const outfile = join(projectRoot, 'cloud/main.js');
  await bundle({ outfile });
  const emptyFunction = 'an empty function';
  const base64 = 'decoding and re-encoding its base64';

  progress('tokens, recogniser, memory');
  const { token, recogniser, refusal, memoryGrowth } = await measureInProcess();
  progress('loading');
  const load = await loadAgainstLibraries();
  const http = await measureOverHttp(server, progress);

  const rows = [
    atLeast('`virgil-jwt`, header session, renewal', emptyFunction, 0.85, http.renewal),
    atLeast('the same', "the original demo's way", 4, http.againstDemo),
    atLeast('`virgil-jwt`, first call of a header session', emptyFunction, 0.37, http.firstCall),
    atLeast('`virgil-jwt`, parameter session', emptyFunction, 0.27, http.parameter),
    atLeast('guarded save of a 1 KB message', 'the same save with an empty trigger', 0.97, http.save),
    atLeast('that ratio among 100,000 rows', 'among 1,000 rows', 0.97, http.saveAmongMany),
    ...(token
      ? [
          atMost(
            'one token, 8 in flight: time of the main thread',
            'a bare Ed25519 `crypto.sign`',
            0.6,
            token,
          ),
        ]
      : []),
    ...RECOGNISED.map(([kilobytes, recipients], i) => {
      const of = `${kilobytes} KB, ${recipients} recipient${recipients > 1 ? 's' : ''}`;
      return atMost(`recognising a payload of ${of}`, base64, 3, recogniser[i] as Ratio);
    }),
    atMost('refusing 1 MB of plain text', base64, 1, refusal),
    atMost("`require('cloud/main.js')`", '`virgil-sdk`, `virgil-crypto`, `initCrypto()`', 0.15, load),
    plain('memory after 100,000 tokens and payloads', 'after 1,000', 'under +5 MB', memoryGrowth, 5, 'MB'),
    plain(
      'size deployed',
      '70 MB in 403 packages',
      'at most 200 KB',
      statSync(outfile).size / 1024,
      200,
      'KB',
    ),
  ];
  return { rows };
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
        "globalThis.Parse = { Cloud: { define() {}, beforeSave() {} } }; require('./cloud/main.js'); end();",
      ),
      libraries: milliseconds("require('virgil-sdk'); require('virgil-crypto').initCrypto().then(end);"),
    },
    15,
  );
  return ratioOf(loads.bundle, loads.libraries);
}

const written = (ratio: Ratio) =>
  `${ratio.median.toFixed(2)} (${ratio.spread.map((edge) => edge.toFixed(2)).join(' to ')})`;

function atLeast(measured: string, against: string, target: number, ratio: Ratio): Row {
  const met = ratio.median >= target;
  return { measure: measured, against, target: `at least ${target}`, result: written(ratio), met };
}

function atMost(measured: string, against: string, target: number, ratio: Ratio): Row {
  const met = ratio.median <= target;
  return { measure: measured, against, target: `at most ${target}`, result: written(ratio), met };
}

function plain(
  measured: string,
  against: string,
  target: string,
  value: number,
  limit: number,
  unit: string,
): Row {
  return { measure: measured, against, target, result: `${value.toFixed(1)} ${unit}`, met: value <= limit };
}

function tables({ rows, queries, sessions }: Measured): string[] {
  return [
    rows &&
      table(
        ['measure', 'against', 'target', 'ratio (quartiles)'],
        rows.map((row) => [row.measure, row.against, row.target, row.met ? row.result : `**${row.result}**`]),
      ),
    sessions &&
      table(
        [
          'sessions',
          'index',
          'empty function',
          'first call',
          'parameter',
          'empty function, cached',
          'renewal',
        ],
        sessions.map(({ sessions: count, indexed, empty, firstCall, parameter, emptyCached, renewal }) => [
          count.toLocaleString('en'),
          indexed ? 'yes' : 'no',
          milliseconds(empty),
          written(firstCall),
          written(parameter),
          milliseconds(emptyCached),
          written(renewal),
        ]),
      ),
    queries &&
      table(
        ['call', 'queries without us', 'queries with us'],
        queries.map(({ call, withoutUs, withUs }) => [call, `${withoutUs}`, `${withUs}`]),
      ),
  ].filter((made) => made !== undefined);
}

const milliseconds = (value: number) => `${value.toPrecision(3)} ms`;

function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
