import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { runCommand } from './command-line/command';
import { UserError } from './command-line/user-error';
import { dropDatabases } from './engines/databases';
import { programOnPath } from './engines/program-on-path';
import { type EngineServer, startMongoDb, startPostgres } from './engines/servers';

const TESTS = [
  'test/cloud',
  'test/e2e',
  'test/scripts/start',
  'test/scripts/schema',
  'test/scripts/doctor/deployed',
];

interface Engine {
  /** Names a server. Where it is not set the program is started. */
  variable: string;
  program: string;
  start: (program: string) => Promise<EngineServer>;
  tests: string[];
}

const REAL_ENGINES: Record<string, Engine> = {
  mongodb: {
    variable: 'MONGODB_URI',
    program: 'mongod',
    start: startMongoDb,
    tests: [...TESTS, 'test/scripts/local/database/mongodb'],
  },
  postgres: { variable: 'POSTGRES_URI', program: 'postgres', start: startPostgres, tests: TESTS },
};
const PGLITE = 'pglite';

// Runs the tests that have to do with the database on real engines, each started once, and on PGlite. Each server of a test
// has a database of its own there.
runCommand('test:engines', async (values) => {
  const all = [...Object.keys(REAL_ENGINES), PGLITE];
  const { engine: names = all } = values;
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new UserError(`--engine must be one of ${all.join(', ')}.`);

  const missing = names.flatMap((name) => {
    const engine = REAL_ENGINES[name];
    return !engine || isThere(engine)
      ? []
      : [{ name, why: `no ${engine.program} is on the PATH, and ${engine.variable} is not set` }];
  });
  for (const { name, why } of missing) {
    if (values.require) throw new UserError(`${name} is required: ${why}.`);
    console.log(`${name} is skipped: ${why}.`);
  }

  process.on('SIGINT', () => {}); // ends jest too; then we clean up
  const failed: string[] = [];
  for (const name of names.filter((one) => !missing.some((skipped) => skipped.name === one))) {
    console.log(`\nOn ${name}:`);
    const engine = REAL_ENGINES[name];
    if (!(await (engine ? testOn(engine) : jest(TESTS, {})))) failed.push(name);
  }
  if (failed.length > 0) throw new UserError(`Tests fail on ${failed.join(' and ')}.`);
});

function isThere({ variable, program }: Engine): boolean {
  return Boolean(process.env[variable] || programOnPath(program, process.env.PATH));
}

async function testOn({ variable, program, start, tests }: Engine): Promise<boolean> {
  const prefix = `e2ee_${randomBytes(4).toString('hex')}_`;
  const uri = process.env[variable];
  const server = uri
    ? { uri, stop: () => dropDatabases(uri, prefix) }
    : await start(programOnPath(program, process.env.PATH) as string);
  try {
    return await jest(tests, { TEST_DATABASE_URI: server.uri, TEST_DATABASE_PREFIX: prefix });
  } finally {
    await server.stop();
  }
}

/** @returns whether all tests have passed */
function jest(tests: string[], environment: Record<string, string>): Promise<boolean> {
  return new Promise((done, fail) => {
    const args = [require.resolve('jest/bin/jest'), ...tests];
    spawn(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...environment } })
      .once('error', fail)
      .once('close', (status, signal) => {
        if (signal) fail(new UserError('Interrupted.'));
        else done(status === 0);
      });
  });
}
