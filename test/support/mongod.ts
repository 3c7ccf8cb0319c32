import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const isOnPath = (process.env.PATH ?? '')
  .split(delimiter)
  .some((folder) => existsSync(join(folder, 'mongod')));

/** `describe` for tests that need a real `mongod`: where none is on the PATH they are skipped. */
export function describeWithMongod(name: string, tests: () => void): void {
  if (isOnPath) describe(name, tests);
  else describe.skip(`${name} (no mongod is on the PATH)`, tests);
}
