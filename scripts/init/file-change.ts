import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isBundle } from '../doctor/main-file';
import { projectRoot } from '../project/bundle';

/** What is to be done to a file of the app's project. */
export interface FileChange {
  /** Relative to the project. */
  file: string;
  /** Undefined where there is no such file yet. */
  before: string | undefined;
  after: string;
}

/** @param change gives the new content, or undefined to leave the file as it is */
export function changeOf(
  file: string,
  change: (before: string | undefined) => string | undefined,
): FileChange[] {
  const before = readProjectFile(file);
  const after = change(before);
  return after === undefined || after === before ? [] : [{ file, before, after }];
}

export function readProjectFile(file: string): string | undefined {
  try {
    return readFileSync(join(projectRoot, file), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The lines that go and come. None of those that stay: they may hold secrets. */
export function inLines({ file, before = '', after }: FileChange): string {
  const old = linesOf(before);
  const fresh = linesOf(after);
  let same = 0;
  while (same < old.length && old[same] === fresh[same]) same++;
  let tail = 0;
  while (tail < Math.min(old.length, fresh.length) - same && old.at(-1 - tail) === fresh.at(-1 - tail))
    tail++;
  const gone = old.slice(same, old.length - tail).map((line) => `  - ${line}`);
  const come = fresh.slice(same, fresh.length - tail).map((line) => `  + ${line}`);
  return [`${file}${before === '' ? ' (new)' : ''}`, ...gone, ...come].join('\n');
}

function linesOf(text: string): string[] {
  if (isBundle(text)) return ['(the bundle)'];
  const lines = text.split(/\r?\n/);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

export function write({ file, after }: FileChange): void {
  const path = join(projectRoot, file);
  mkdirSync(dirname(path), { recursive: true });
  // A new .env is its owner's alone.
  writeFileSync(path, after, { mode: file === '.env' ? 0o600 : 0o666 });
}
