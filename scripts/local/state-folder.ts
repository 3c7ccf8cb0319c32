import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../user-error';

/**
 * Takes the folder that holds the local server's state, for this process alone: an embedded database does not survive two.
 *
 * @param fresh begin anew: forget what is in it
 * @returns gives the folder back
 * @throws UserError when it cannot be written, or another process has it
 */
export function takeStateFolder(folder: string, fresh: boolean): () => void {
  const lock = join(folder, 'pid');
  const holder = holderOf(lock);
  if (holder !== undefined) {
    throw new UserError(
      `${folder} is in use by process ${holder}: stop that one, or start from another folder.`,
    );
  }
  try {
    if (fresh) rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(lock, String(process.pid));
  } catch (error) {
    throw new UserError(`${folder} cannot be written: ${(error as Error).message}.`);
  }
  return () => rmSync(lock, { force: true });
}

/** The process that holds the lock; undefined where it has ended without giving it back. */
function holderOf(lock: string): number | undefined {
  try {
    const pid = Number(readFileSync(lock, 'utf8'));
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}
