import { spawnSync } from 'node:child_process';
import { projectRoot } from '../../scripts/bundle';

function run(error: string): { status: number | null; stderr: string } {
  const script = `require('./scripts/user-error').runCommand(async () => { throw ${error}; });`;
  const options = { cwd: projectRoot, encoding: 'utf8' } as const;
  return spawnSync(process.execPath, ['--require', 'tsx/cjs', '-e', script], options);
}

test.each(['18', "'ENOENT'", 'undefined'])('an error with the code %s keeps its stack', (code) => {
  const { status, stderr } = run(`Object.assign(new Error('It fails.'), { code: ${code} })`);
  expect(stderr).toMatch(/^Error: It fails\.\n {4}at /);
  expect(status).toBe(1);
});
