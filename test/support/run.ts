import { type ChildProcess, spawn } from 'node:child_process';

export interface Run {
  status: number | null;
  stdout: string;
  stderr: string;
}

export type Answer = [question: string, answer: string | (() => void)];

/** The commands of a project. */
export interface Commands {
  folder: string;
  /** Runs one as npm does, in this environment alone. */
  run(
    command: string,
    args?: string[],
    environment?: Record<string, string>,
    whenStarted?: (process: ChildProcess) => void,
  ): Promise<Run>;
  /**
   * Runs one on a terminal, and types each answer when its question is asked, or does something else then.
   *
   * @returns all that the terminal shows, what is typed included
   */
  runOnTerminal(
    command: string,
    args: string[],
    answers: Answer[],
    environment?: Record<string, string>,
  ): Promise<{ status: number | null; shown: string }>;
}

/** @param program the arguments that make Node run a command */
export function commandsIn(folder: string, program: (command: string) => string[]): Commands {
  return {
    folder,
    run: (command, args = [], environment = {}, whenStarted = undefined) =>
      run([...program(command), ...args], { cwd: folder, environment }, whenStarted),
    runOnTerminal: (command, args, answers, environment = {}) =>
      runOnTerminal([...program(command), ...args], answers, { cwd: folder, environment }),
  };
}

interface Where {
  cwd: string;
  /** The whole of it, but for the PATH. */
  environment: Record<string, string>;
}

function run(
  args: string[],
  { cwd, environment }: Where,
  whenStarted?: (process: ChildProcess) => void,
): Promise<Run> {
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
    whenStarted?.(child);
  });
}

function runOnTerminal(
  args: string[],
  answers: Answer[],
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
        if (typeof answer === 'function') answer();
        else child.stdin.write(`${answer}\r`);
      }
    });
    child.once('close', (status) => done({ status, shown }));
  });
}
