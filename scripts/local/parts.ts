import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../project/bundle';

/** What `start` needs and the package leaves out: Parse Server, databases, the half of Virgil's libraries that only it uses. */
export const PARTS = [
  'parse-server',
  'express',
  'router', // in this version: with a later one, each query of Cloud Code fails on Parse Server 8 and 9
  '@electric-sql/pglite',
  '@electric-sql/pglite-socket',
  'mongodb',
  'mongodb-memory-server-core',
  '@virgilsecurity/pythia-crypto',
];

/** @returns the command that installs those that are missing, in a sentence; undefined where none is */
export function partsToInstall(): string | undefined {
  const { devDependencies } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  const missing = PARTS.filter((part) =>
    part === 'router' ? !isInstalled(part, devDependencies[part]) : !isInstalled(part),
  );
  if (missing.length === 0) return undefined;
  const install = missing.map((part) => `${part}@${devDependencies[part]}`).join(' ');
  return `The local stack needs Parse Server, its databases and Virgil's libraries, which the package leaves out. Once, in this folder:\n  npm i -D -E ${install}`;
}

/** @param version default: any */
function isInstalled(part: string, version?: string): boolean {
  try {
    require.resolve(part);
    return version === undefined || require(`${part}/package.json`).version === version;
  } catch {
    return false;
  }
}
