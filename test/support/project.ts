import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../scripts/project/bundle';
import { type Commands, commandsIn } from './run';

export interface TestProject extends Commands {
  /** Overwrites a file of the project. */
  write(file: string, content: string): void;
  remove(): void;
}

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
    ...commandsIn(folder, (command) => ['--require', 'tsx/cjs', `scripts/${command}.ts`]),
    write: (file, content) => writeFileSync(join(folder, file), content),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
