import { spawnSync } from 'node:child_process';
import { projectRoot } from '../../scripts/project/bundle';

/** Where there is no engine. */
function testEngines(
  args: string[],
  environment = {},
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['--require', 'tsx/cjs', 'scripts/test-engines.ts', ...args], {
    cwd: projectRoot,
    encoding: 'utf8',
    env: { PATH: '/nowhere', ...environment },
  });
}

test('an engine that is missing is named and skipped', () => {
  const { status, stdout } = testEngines(['--engine', 'mongodb', '--engine', 'postgres']);
  expect(stdout.trim().split('\n')).toEqual([
    'mongodb is skipped: no mongod is on the PATH, and MONGODB_URI is not set.',
    'postgres is skipped: no postgres is on the PATH, and POSTGRES_URI is not set.',
    'redis is skipped: no redis-server is on the PATH, and REDIS_URL is not set.',
  ]);
  expect(status).toBe(0);
});

test('an engine that is missing and required is a failure, before any test runs', () => {
  expect(testEngines(['--require'])).toMatchObject({
    status: 1,
    stdout: '',
    stderr: 'mongodb is required: no mongod is on the PATH, and MONGODB_URI is not set.\n',
  });
});

test('real engines require Redis too', () => {
  const given = { MONGODB_URI: 'mongodb://127.0.0.1:1', POSTGRES_URI: 'postgres://127.0.0.1:1' };
  expect(testEngines(['--require'], given)).toMatchObject({
    status: 1,
    stdout: '',
    stderr: 'redis is required: no redis-server is on the PATH, and REDIS_URL is not set.\n',
  });
});

test('an engine of another name is an error', () => {
  expect(testEngines(['--engine', 'sqlite'])).toMatchObject({
    status: 1,
    stderr: '--engine must be one of mongodb, postgres, pglite.\n',
  });
});
