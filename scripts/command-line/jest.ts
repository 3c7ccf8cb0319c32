import { spawn } from 'node:child_process';
import { UserError } from './user-error';

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
