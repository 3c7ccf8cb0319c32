import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { UserError } from '../command-line/user-error';
import { projectRoot } from '../project/bundle';

/** What b4a keeps of the link to an app. */
export const LINK = ['.parse.project', '.parse.local'];

/** The release that is live, downloaded. */
export interface Release {
  folder: string;
  /** Relative to it. */
  files: string[];
  /** Takes the download away. */
  remove(): void;
}

/**
 * @param download has b4a download into a folder
 * @returns undefined where the download fails
 */
export function downloadRelease(download: (folder: string) => boolean): Release | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'release-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  if (!download(folder)) {
    remove();
    return undefined;
  }
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
    .sort();
  return { folder, files, remove };
}

/**
 * What becomes of a live release's files when others are deployed in their place.
 *
 * @param uploaded those of the project, relative to it
 */
export function compare(live: Release, uploaded: string[]): { lost: string[]; replaced: string[] } {
  const isOther = (file: string) =>
    !readFileSync(join(projectRoot, file)).equals(readFileSync(join(live.folder, file)));
  return {
    lost: live.files.filter((file) => !uploaded.includes(file)),
    replaced: live.files.filter((file) => uploaded.includes(file) && isOther(file)),
  };
}

/**
 * Keeps a release where `b4a deploy` finds the app that it belongs to: the way back.
 *
 * @returns its folder
 * @throws UserError where it cannot be written
 */
export function keep(live: Release): string {
  const time = new Date().toISOString().replace(/:/g, '-');
  const kept = join(projectRoot, '.local/releases', time);
  try {
    mkdirSync(join(projectRoot, '.local'), { recursive: true, mode: 0o700 });
    cpSync(live.folder, kept, { recursive: true });
    for (const file of LINK) cpSync(join(projectRoot, file), join(kept, file));
  } catch (error) {
    throw new UserError(`Nothing is deployed: what is live cannot be kept (${(error as Error).message}).`);
  }
  return kept;
}
