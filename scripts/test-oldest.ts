import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { runCommand } from './command-line/command';
import { ONLY_WITH_PARSE_SERVER } from './command-line/jest';
import { UserError } from './command-line/user-error';

const OLDEST = ['parse-server@5.6.0'];
// With the router that Parse Server 8.6 reaches into.
const BETWEEN = [['parse-server@6.5.11'], ['parse-server@7.5.4'], ['parse-server@8.6.94', 'router@2.2.0']];

// Runs the tests of cloud/ and of schema on the oldest Parse Server that the bundle supports, and starts the local stack on one of each
// major version. Those that are not ours are installed into temporary folders.
runCommand('test:oldest', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-oldest-'));
  const run = (command: string, args: string[], options: object) => {
    const { status } = spawnSync(command, args, { stdio: 'inherit', ...options });
    if (status !== 0) throw new UserError(`${command} ${args.join(' ')} failed.`);
  };
  const install = (packages: string[]) => {
    const cwd = mkdtempSync(join(folder, 'server-'));
    console.log(`Installing ${packages.join(' and ')} …`);
    writeFileSync(join(cwd, 'package.json'), '{}');
    run('npm', ['install', '--no-save', '--ignore-scripts', '--loglevel=error', ...packages], { cwd });
    return join(cwd, 'node_modules/parse-server');
  };
  const jest = (args: string[], environment: object) =>
    run('npx', ['jest', ...args], { env: { ...process.env, ...environment } });
  try {
    const oldest = install(OLDEST);
    const tests = ['test/cloud', 'test/scripts/schema', ...ONLY_WITH_PARSE_SERVER];
    jest(tests, { PARSE_SERVER_MODULE: oldest });
    const others = [oldest, ...BETWEEN.map(install)];
    jest(['--testMatch', '**/test/parse-servers/*.parse-servers.ts'], {
      PARSE_SERVER_MODULES: others.join(delimiter),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
