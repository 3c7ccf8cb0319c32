import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../scripts/project/bundle';

export interface Run {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface TestProject {
  folder: string;
  /** Overwrites a file of the project. */
  write(file: string, content: string): void;
  /** Runs one of the project's commands, as npm does, in this environment alone. */
  run(command: string, args?: string[], environment?: Record<string, string>): Promise<Run>;
  /**
   * Runs one of the project's commands on a terminal, and types each answer when its question is asked.
   *
   * @returns all that the terminal shows, what is typed included
   */
  runOnTerminal(
    command: string,
    args: string[],
    answers: [question: string, answer: string][],
    environment?: Record<string, string>,
  ): Promise<{ status: number | null; shown: string }>;
  remove(): void;
}

/** A copy of this project, for tests that change it. */
export function makeProject(): TestProject {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-project-'));
  const files = ['LICENSE', 'back4app.json', 'package.json', 'tsconfig.json', '.parseignore'];
  for (const name of ['cloud', 'scripts', ...files]) {
    cpSync(join(projectRoot, name), join(folder, name), { recursive: true });
  }
  rmSync(join(folder, 'cloud/main.js'), { force: true });
  symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  return {
    folder,
    write: (file, content) => writeFileSync(join(folder, file), content),
    run: (command, args = [], environment = {}) =>
      new Promise((done) => {
        const child = spawn(process.execPath, ['--require', 'tsx/cjs', `scripts/${command}.ts`, ...args], {
          cwd: folder,
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
      }),
    runOnTerminal: (command, args, answers, environment = {}) =>
      new Promise((done) => {
        const line = [process.execPath, '--require', 'tsx/cjs', `scripts/${command}.ts`, ...args].join(' ');
        const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
          cwd: folder,
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
      }),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
