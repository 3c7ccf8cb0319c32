import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../project/bundle';

// Nobody makes a database of these two: what is not there need not be copied, and they are two thirds of the files.
const MAKE = `
  const { PGlite } = require('@electric-sql/pglite');
  PGlite.create(process.argv[1]).then(async (db) => {
    await db.exec("UPDATE pg_database SET datistemplate = false WHERE datname LIKE 'template_'");
    for (const name of ['template1', 'template0']) await db.exec('DROP DATABASE ' + name);
    await db.close();
  });
`;

/**
 * Puts an empty database where PGlite is going to keep its data. It would make one itself, in five seconds of the processor's
 * time; a copy takes a third of one.
 */
export function putEmptyPGlite(folder: string): void {
  const { version } = JSON.parse(
    readFileSync(join(packageRoot, 'node_modules/@electric-sql/pglite/package.json'), 'utf8'),
  );
  const made = join(packageRoot, 'node_modules/.cache/back4app-e2ee', `pglite-${version}`);
  if (!existsSync(made)) makeOnce(made);
  cpSync(made, folder, { recursive: true });
}

/** Another process may be doing the same: whoever is first has made it. */
function makeOnce(folder: string): void {
  mkdirSync(dirname(folder), { recursive: true });
  const mine = mkdtempSync(`${folder}-`);
  try {
    execFileSync(process.execPath, ['-e', MAKE, mine], { cwd: packageRoot });
    renameSync(mine, folder);
  } catch (error) {
    rmSync(mine, { recursive: true });
    if (!existsSync(folder)) throw error;
  }
}
