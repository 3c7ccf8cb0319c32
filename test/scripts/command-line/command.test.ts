import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, commands } from '../../../scripts/command-line/commands';
import { projectRoot } from '../../../scripts/project/bundle';
import { makeProject } from '../../support/project';

const project = makeProject();
afterAll(() => project.remove());

const all = Object.entries<Command>(commands).map(([name, command]) => ({
  name,
  file: name.replace(':', '-'),
  ...command,
}));

test('every program of package.json that is ours is a command', () => {
  const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
  const ours = Object.keys(scripts).filter((name) => scripts[name].startsWith('tsx scripts/'));
  const here = all.filter(({ name }) => name !== 'init'); // which is for an app's project
  expect(ours.sort()).toEqual(here.map(({ name }) => name).sort());
  for (const { name, file } of here) expect(scripts[name]).toBe(`tsx scripts/${file}.ts`);
});

test.each(all)('npm run $name -- --help says what it does and takes, and does nothing', async (command) => {
  const { does, options, environment, example, file } = command;
  const { status, stdout, stderr } = await project.run(file, ['--some-option', '--help']);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toContain(`\n\n${does}\n\nOptions\n`);
  for (const [option, { help }] of Object.entries(options)) {
    if (help) expect(stdout).toMatch(new RegExp(`^  --${option} .*${help.slice(0, 10)}`, 'm'));
    else expect(stdout).not.toContain(`--${option}`);
  }
  for (const variable of Object.keys(environment)) expect(stdout).toMatch(new RegExp(`^  ${variable} `, 'm'));
  expect(stdout).toContain(example);
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(140);
  for (const made of ['cloud/main.js', '.local']) expect(existsSync(join(project.folder, made))).toBe(false);
});

test.each(all)(
  'npm run $name rejects an option that it does not have, and names its help',
  async ({ name, file }) => {
    const { status, stdout, stderr } = await project.run(file, ['--unknown']);
    expect([status, stdout]).toEqual([1, '']);
    const command =
      { start: 'npm start --', init: 'npx --no -- back4app-e2ee init' }[name] ?? `npm run ${name} --`;
    expect(stderr).toBe(`Unknown option '--unknown'. ${command} --help tells which options there are.\n`);
  },
);

test('an option without its value is refused in one line', async () => {
  const { status, stderr } = await project.run('doctor', ['--server', '--app-id', 'app']);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^Option '--server.*npm run doctor -- --help tells which options there are\.\n$/);
});

test('.env.example names the variables that the commands name', () => {
  const example = readFileSync(join(projectRoot, '.env.example'), 'utf8');
  const named = [...example.matchAll(/^# ([A-Z_]+)=$/gm)].map(([, name]) => name);
  const users = all.filter(({ name }) => !name.startsWith('test:'));
  const read = new Set(users.flatMap(({ environment }) => Object.keys(environment)));
  expect([...read].sort()).toEqual(named.sort());
});

test.each(['18', "'ENOENT'", 'undefined'])('an error with the code %s keeps its stack', (code) => {
  const script = `require('./scripts/command-line/command').runCommand('demo', async () => {
    throw Object.assign(new Error('It fails.'), { code: ${code} });
  });`;
  const { status, stderr } = spawnSync(process.execPath, ['--require', 'tsx/cjs', '-e', script], {
    cwd: projectRoot,
    encoding: 'utf8',
  });
  expect(stderr).toMatch(/^Error: It fails\.\n {4}at /);
  expect(status).toBe(1);
});
