import { spawn } from 'node:child_process';
import { UserError } from './user-error';

/** Leaves out the tests of `cloud/` that meet no Parse Server: neither its version nor its database changes anything for them. */
export const ONLY_WITH_PARSE_SERVER = ['envelope/', 'tokens/', 'virgil-cloud/', 'vonage.test.ts'].map(
  (path) => `--testPathIgnorePatterns=/test/cloud/${path}`,
);

/**
 * Runs Jest in a process of its own, with this environment beside ours.
 *
 * @returns whether all tests have passed
 * @throws UserError when somebody ends it
 */
export function jest(args: string[], environment: Record<string, string> = {}): Promise<boolean> {
  return new Promise((done, fail) => {
    spawn(process.execPath, [require.resolve('jest/bin/jest'), ...args], {
      stdio: 'inherit',
      env: { ...process.env, ...environment },
    })
      .once('error', fail)
      .once('close', (status, signal) => {
        if (signal) fail(new UserError('Interrupted.'));
        else done(status === 0);
      });
  });
}
