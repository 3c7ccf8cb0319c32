import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from './command-line/command';
import { ONLY_WITH_PARSE_SERVER } from './command-line/jest';
import { UserError } from './command-line/user-error';

const OLDEST = 'parse-server@5.6.0';

// Runs the tests of cloud/ and of schema on the oldest Parse Server that the bundle supports, installed into a temporary folder.
runCommand('test:oldest', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-oldest-'));
  const run = (command: string, args: string[], options: object) => {
    const { status } = spawnSync(command, args, { stdio: 'inherit', ...options });
    if (status !== 0) throw new UserError(`${command} ${args.join(' ')} failed.`);
  };
  try {
    console.log(`Installing ${OLDEST} …`);
    writeFileSync(join(folder, 'package.json'), '{}');
    run('npm', ['install', '--no-save', '--ignore-scripts', '--loglevel=error', OLDEST], { cwd: folder });
    const environment = { ...process.env, PARSE_SERVER_MODULE: join(folder, 'node_modules/parse-server') };
    run('npx', ['jest', 'test/cloud', 'test/scripts/schema', ...ONLY_WITH_PARSE_SERVER], {
      env: environment,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
