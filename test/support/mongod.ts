import { programOnPath } from '../../scripts/engines/program-on-path';

/** `describe` for tests that need a real `mongod`: where none is on the PATH they are skipped. */
export function describeWithMongod(name: string, tests: () => void): void {
  if (programOnPath('mongod', process.env.PATH)) describe(name, tests);
  else describe.skip(`${name} (no mongod is on the PATH)`, tests);
}
