import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * @param path the variable `PATH`
 * @returns where the program is, or undefined
 */
export function programOnPath(name: string, path = ''): string | undefined {
  const file = process.platform === 'win32' ? `${name}.exe` : name;
  return path
    .split(delimiter)
    .map((folder) => join(folder, file))
    .find((program) => existsSync(program));
}
