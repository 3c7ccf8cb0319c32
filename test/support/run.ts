import { spawn } from 'node:child_process';

export interface Run {
  status: number | null;
  stdout: string;
  stderr: string;
}

interface Where {
  cwd: string;
  /** The whole of it, but for the PATH. */
  environment?: Record<string, string>;
}

/** Runs a program of Node's where there is no terminal. */
export function run(args: string[], { cwd, environment }: Where): Promise<Run> {
  return new Promise((done) => {
    const child = spawn(process.execPath, args, {
      cwd,
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.once('close', (status) => done({ status, stdout, stderr }));
  });
}

/**
 * Runs a program of Node's on a terminal, and types each answer when its question is asked.
 *
 * @returns all that the terminal shows, what is typed included
 */
export function runOnTerminal(
  args: string[],
  answers: [question: string, answer: string][],
  { cwd, environment }: Where,
): Promise<{ status: number | null; shown: string }> {
  return new Promise((done) => {
    const line = [process.execPath, ...args].join(' ');
    const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
      cwd,
      env: { PATH: process.env.PATH, TERM: 'xterm', ...environment },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const left = [...answers];
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      shown += chunk;
      const [question, answer] = left[0] ?? [];
      if (question !== undefined && shown.includes(question)) {
        left.shift();
        child.stdin.write(`${answer}\r`);
      }
    });
    child.once('close', (status) => done({ status, shown }));
  });
}
