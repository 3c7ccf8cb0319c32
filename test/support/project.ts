import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../scripts/project/bundle';
import { type Run, run, runOnTerminal } from './run';

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

const program = (command: string) => ['--require', 'tsx/cjs', `scripts/${command}.ts`];

/** A copy of this project, for tests that change it. */
export function makeProject(): TestProject {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-project-'));
  const files = ['LICENSE', 'README.md', 'back4app.json', 'package.json', 'tsconfig.json', '.parseignore'];
  for (const name of ['cloud', 'scripts', ...files]) {
    cpSync(join(projectRoot, name), join(folder, name), { recursive: true });
  }
  rmSync(join(folder, 'cloud/main.js'), { force: true });
  symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  return {
    folder,
    write: (file, content) => writeFileSync(join(folder, file), content),
    run: (command, args = [], environment = {}) =>
      run([...program(command), ...args], { cwd: folder, environment }),
    runOnTerminal: (command, args, answers, environment = {}) =>
      runOnTerminal([...program(command), ...args], answers, { cwd: folder, environment }),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
