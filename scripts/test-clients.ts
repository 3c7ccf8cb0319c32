import { spawnSync } from 'node:child_process';
import { runCommand } from './command-line/command';
import { jest } from './command-line/jest';
import { UserError } from './command-line/user-error';
import { programOnPath } from './engines/program-on-path';

/** What each client of docs/samples needs, and whether it is there. */
const CLIENTS: Record<string, { needs: string; isThere: () => boolean }> = {
  java: { needs: 'JDK (javac) and Maven (mvn)', isThere: () => ['javac', 'mvn'].every(isOnPath) },
  // Debian has the two modules in a package of their own.
  python: {
    needs: 'python3 with venv',
    isThere: () => isOnPath('python3') && spawnSync('python3', ['-c', 'import ensurepip, venv']).status === 0,
  },
};

const isOnPath = (program: string) => programOnPath(program, process.env.PATH) !== undefined;

// Runs the samples in other languages, each with the libraries that its page names, against `npm start` and E3Kit.
runCommand('test:clients', async (values) => {
  const names: string[] = [];
  for (const [name, { needs, isThere }] of Object.entries(CLIENTS)) {
    if (isThere()) names.push(name);
    else if (values.require) throw new UserError(`${name} is required: no ${needs} on the PATH.`);
    else console.log(`${name} is skipped: no ${needs} on the PATH.`);
  }
  if (names.length === 0) return;
  process.on('SIGINT', () => {}); // ends jest too
  // Installing takes as long as the network does.
  const patterns = names.flatMap((name) => ['--testMatch', `**/test/clients/${name}.clients.ts`]);
  if (!(await jest(['--verbose', '--testTimeout', '300000', ...patterns])))
    throw new UserError('Tests of the clients fail.');
});
