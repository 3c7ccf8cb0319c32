import { randomBytes } from 'node:crypto';
import { runCommand } from './command-line/command';
import { jest, ONLY_WITH_PARSE_SERVER } from './command-line/jest';
import { UserError } from './command-line/user-error';
import { dropDatabases } from './engines/databases';
import type { ServerProgram } from './engines/program';
import { programOnPath } from './engines/program-on-path';
import { startMongoDb, startPostgres } from './engines/servers';

const TESTS = [
  'test/cloud',
  'test/e2e',
  'test/scripts/start',
  'test/scripts/schema',
  'test/scripts/doctor/deployed',
  ...ONLY_WITH_PARSE_SERVER,
  '--testPathIgnorePatterns=\\.unit\\.test\\.ts$', // which have no database
];

interface Service {
  /** Names a server. Where it is not set the program is started. */
  variable: string;
  program: string;
}

interface Engine extends Service {
  start: (program: string) => Promise<ServerProgram>;
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
/** Several Parse Servers need it beside a real engine. */
const REDIS: Service = { variable: 'REDIS_URL', program: 'redis-server' };

// Runs the tests that have to do with the database on real engines, each started once, and on PGlite. Each server of a test
// has a database of its own there.
runCommand('test:engines', async (values) => {
  const all = [...Object.keys(REAL_ENGINES), PGLITE];
  const { engine: names = all } = values;
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new UserError(`--engine must be one of ${all.join(', ')}.`);

  const real = Object.entries(REAL_ENGINES).filter(([name]) => names.includes(name));
  const services: [string, Service][] = real.length > 0 ? [...real, ['redis', REDIS]] : [];
  const missing = services
    .filter(([, service]) => !isThere(service))
    .map(([name, { program, variable }]) => ({
      name,
      why: `no ${program} is on the PATH, and ${variable} is not set`,
    }));
  for (const { name, why } of missing) {
    if (values.require) throw new UserError(`${name} is required: ${why}.`);
    console.log(`${name} is skipped: ${why}.`);
  }

  process.on('SIGINT', () => {}); // ends jest too; then we clean up
  const failed: string[] = [];
  for (const name of names.filter((one) => !missing.some((skipped) => skipped.name === one))) {
    console.log(`\nOn ${name}:`);
    const engine = REAL_ENGINES[name];
    if (!(await (engine ? testOn(engine) : jest(TESTS)))) failed.push(name);
  }
  if (failed.length > 0) throw new UserError(`Tests fail on ${failed.join(' and ')}.`);
});

function isThere({ variable, program }: Service): boolean {
  return Boolean(process.env[variable] || programOnPath(program, process.env.PATH));
}

async function testOn({ variable, program, start, tests }: Engine): Promise<boolean> {
  const prefix = `e2ee_${randomBytes(4).toString('hex')}_`;
  const uri = process.env[variable];
  const server = uri
    ? { uri, stop: () => dropDatabases(uri, prefix) }
    : await start(programOnPath(program, process.env.PATH) as string);
  try {
    const environment = { TEST_DATABASE_URI: server.uri, TEST_DATABASE_PREFIX: prefix };
    const passed = await jest(tests, environment);
    // By themselves: several servers under load would disturb the others, and be disturbed.
    const alone = [
      '--verbose',
      '--testMatch',
      `**/test/engines/${isThere(REDIS) ? '*' : 'transaction'}.engines.ts`,
    ];
    return (await jest(alone, environment)) && passed;
  } finally {
    await server.stop();
  }
}
