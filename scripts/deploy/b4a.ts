import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { canAsk } from '../command-line/prompt';
import { harmless } from '../command-line/shown';
import { UserError } from '../command-line/user-error';
import { programOnPath } from '../engines/program-on-path';
import { projectRoot } from '../project/bundle';

export const B4A_DOWNLOADS = 'https://github.com/back4app/parse-cli/releases';

/** A run of b4a that has ended. */
interface B4aRun {
  /** Its exit code; null if a signal ended it. */
  status: number | null;
  stderr: string;
  /** Whether it asked for an e-mail address and a password. It does so if it has no key, or a bad one. */
  hasAsked: boolean;
  /** Whether the time limit ended it. */
  isLate: boolean;
}

// What b4a shows of an account key, and any word as long as a key of Back4App.
const KEY = /(?<=account key:? )"[^"]*"|\b[A-Za-z0-9]{32,}\b/gi;

/**
 * Runs b4a in the project, without any input where there is no terminal. Its stderr is shown line by
 * line, as it arrives, without keys and without what a terminal obeys.
 *
 * @param options.stop ends b4a when it aborts
 * @param options.limitMs ends b4a after this many milliseconds
 * @param options.onOutput gets its stdout, as it arrives
 * @throws UserError if b4a cannot be started; the reason of `stop` if that has aborted
 */
export async function runB4a(
  args: string[],
  options: { stop: AbortSignal; limitMs?: number; onOutput: (text: string) => void },
): Promise<B4aRun> {
  // A signal that came while this process was busy aborts `stop` in the next turn of the event loop.
  await setImmediate();
  options.stop.throwIfAborted();
  // b4a would take the folder that PARSE_ROOT names for the project.
  const { PARSE_ROOT: _, ...env } = process.env;
  const child = spawn('b4a', args, {
    cwd: projectRoot,
    env,
    stdio: [canAsk ? 'inherit' : 'ignore', 'pipe', 'pipe'],
  });
  const run: B4aRun = { status: null, stderr: '', hasAsked: false, isLate: false };
  const end = () => child.kill();
  options.stop.addEventListener('abort', end);
  const limit =
    options.limitMs &&
    setTimeout(() => {
      run.isLate = true;
      end();
    }, options.limitMs);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    options.onOutput(text);
    run.hasAsked ||= text.includes('Email: ');
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    run.stderr += `${line}\n`;
    process.stderr.write(`${harmless(line.replace(KEY, '"…"'))}\n`);
  });
  try {
    run.status = await new Promise((done, fail) => child.once('error', fail).once('close', done));
  } catch (error) {
    throw new UserError(whyNotStarted(error as NodeJS.ErrnoException));
  } finally {
    clearTimeout(limit);
    options.stop.removeEventListener('abort', end);
  }
  options.stop.throwIfAborted();
  return run;
}

function whyNotStarted({ code }: NodeJS.ErrnoException): string {
  const file = programOnPath('b4a', process.env.PATH);
  return code === 'EACCES'
    ? `${file} is not executable. Run chmod +x ${file}, and then this again.`
    : `${file} cannot be started (${code}). Get the b4a for this machine from ${B4A_DOWNLOADS}.`;
}
