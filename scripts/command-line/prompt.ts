import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { harmless } from './shown';
import { UserError } from './user-error';

/** Whether somebody sits at a terminal. Questions go to stderr: stdout is the command's result. */
export const canAsk = Boolean(process.stdin.isTTY && process.stderr.isTTY);

/**
 * Asks for a line.
 *
 * @param options.secret do not show what is typed
 * @param options.stop ends the question when it aborts
 * @throws UserError where the answer is Ctrl-C or Ctrl-D, or the question is ended
 */
export function ask(
  question: string,
  options: { secret?: boolean; stop?: AbortSignal } = {},
): Promise<string> {
  let muted = false;
  const output = new Writable({
    write(chunk, _encoding, done) {
      if (!muted) process.stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  const end = () => lines.close();
  options.stop?.addEventListener('abort', end);
  return new Promise<string>((done, fail) => {
    lines.once('close', () => fail(new UserError('Stopped: no answer.')));
    lines.question(`${harmless(question)} `, done);
    muted = options.secret === true;
  }).finally(() => {
    options.stop?.removeEventListener('abort', end);
    lines.close();
    if (muted) process.stderr.write('\n');
  });
}

/** @param otherwise what Enter says, and whatever is neither yes nor no */
export async function askYesOrNo(
  question: string,
  otherwise: boolean,
  options: { stop?: AbortSignal } = {},
): Promise<boolean> {
  const answer = await ask(`${question} ${otherwise ? '[Y/n]' : '[y/N]'}`, options);
  return otherwise ? !/^no?$/i.test(answer.trim()) : /^y(es)?$/i.test(answer.trim());
}

/**
 * Asks before something is changed, unless an option has said yes already.
 *
 * @param options.option the one that says yes; default: `--yes`
 * @param options.stop ends the question when it aborts
 * @throws UserError where the answer is not yes, or nobody is there to ask
 */
export async function confirm(
  question: string,
  yes: boolean,
  { option = '--yes', stop }: { option?: string; stop?: AbortSignal } = {},
): Promise<void> {
  if (yes) return;
  if (!canAsk)
    throw new UserError(`Nothing was changed: there is no terminal to ask on. Say ${option} to go on.`);
  if (!(await askYesOrNo(question, false, { stop }))) throw new UserError('Nothing was changed.');
}
