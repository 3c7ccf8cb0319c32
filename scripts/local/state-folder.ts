import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../command-line/user-error';

const LOCK = 'lock';
const PID = 'pid';

/**
 * Takes the folder that holds the local server's state, for this process alone: an embedded database does not survive two.
 * It is taken until it is given back or the process ends, however it ends.
 *
 * @param fresh begin anew: forget what is in it
 * @returns gives the folder back
 * @throws UserError when it cannot be written, or another process has it
 */
export function takeStateFolder(folder: string, fresh: boolean): () => void {
  let lock: number | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    lock = openLocked(join(folder, LOCK));
    if (lock !== undefined) {
      // The lock stays for good: a new file of that name could be locked while somebody still holds the old one.
      const forgotten = fresh ? readdirSync(folder).filter((name) => name !== LOCK) : [];
      for (const name of forgotten) rmSync(join(folder, name), { recursive: true, force: true });
      writeFileSync(join(folder, PID), String(process.pid));
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${folder} cannot be written: ${(error as Error).message}.`);
  }
  if (lock === undefined) {
    throw new UserError(
      `${folder} is in use by ${holderOf(folder)}: stop that one, or start from another folder.`,
    );
  }
  const held = lock;
  return () => {
    rmSync(join(folder, PID), { force: true });
    closeSync(held);
  };
}

/**
 * Opens a file with the kernel's exclusive lock on it. The kernel gives it to one, and takes it back from whoever ends, so
 * there is nothing to guess from process IDs. Children do not inherit the file.
 *
 * @returns the file, or undefined when another process has it
 */
function openLocked(file: string): number | undefined {
  // Node has no call for locks. All systems but Linux lock while opening; Linux has a command for an open file.
  if (process.platform === 'linux') {
    const opened = openSync(file, 'a', 0o600);
    const { status, error, stderr } = spawnSync('flock', ['-n', '3'], {
      stdio: ['ignore', 'ignore', 'pipe', opened],
      encoding: 'utf8',
    });
    if (status === 0) return opened;
    closeSync(opened);
    if (status === 1) return undefined;
    throw new UserError(
      `${file} cannot be locked by "flock" (of util-linux): ${error?.message ?? stderr.trim()}.`,
    );
  }
  // Not among Node's constants: libuv's UV_FS_O_EXLOCK, and O_EXLOCK of macOS and the BSDs.
  const exclusively = process.platform === 'win32' ? 0x1000_0000 : 0x20 | constants.O_NONBLOCK;
  try {
    return openSync(file, constants.O_WRONLY | constants.O_CREAT | exclusively, 0o600);
  } catch (error) {
    if (['EAGAIN', 'EBUSY'].includes((error as NodeJS.ErrnoException).code as string)) return undefined;
    throw error;
  }
}

/** For the message only: who has the folder is what the lock says. */
function holderOf(folder: string): string {
  try {
    const pid = readFileSync(join(folder, PID), 'utf8');
    if (/^[1-9]\d*$/.test(pid)) return `process ${pid}`;
  } catch {
    // It has the lock and has not come to this yet.
  }
  return 'another process';
}
