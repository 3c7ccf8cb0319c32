import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { canAsk } from '../command-line/prompt';
import { harmless } from '../command-line/shown';
import { UserError } from '../command-line/user-error';
import { usesBundle } from '../doctor/main-file';
import { projectRoot } from '../project/bundle';
import { runB4a } from './b4a';
import { type LinkedApp, LOCAL_FILE, PROJECT_FILE } from './linked-app';
import { isNeverUploaded } from './upload-rules';

const TRIES = 3;
const LIMIT_MS = 5 * 60_000;
export const MAIN = 'cloud/main.js';

const KEY_REJECTED = `Nothing is deployed: b4a has no account key or login that Back4App accepts for this app. Run
b4a configure accountkey, and then this again. If "email" in ${PROJECT_FILE} is another person's, delete it: while it is
there, b4a accepts only that person's key.`;

/** The release that is live, downloaded. */
export interface Release {
  folder: string;
  /** Relative to it. */
  files: string[];
}

/** Why the live release could not be downloaded. b4a's own words have been shown. */
export interface Unseen {
  reason: string;
}

/**
 * Has b4a download the live release of an app. It tries three times, as `b4a deploy` does.
 *
 * @param folder where to put it
 * @param stop ends the download when it aborts
 * @param limitMs how long one try may take, in milliseconds
 * @returns undefined if the app has no release
 * @throws UserError if the account key or the login is rejected; the reason of `stop` if that aborts
 */
export async function downloadRelease(
  app: string,
  folder: string,
  stop: AbortSignal,
  limitMs = LIMIT_MS,
): Promise<Release | Unseen | undefined> {
  for (let tries = 1; ; tries++) {
    const into = join(folder, String(tries));
    mkdirSync(into);
    const { status, stderr, hasAsked, isLate } = await runB4a(['download', '-l', into, '--', app], {
      stop,
      limitMs,
      onOutput: showQuestions,
    });
    if (status === 0) return { folder: into, files: filesIn(into) };
    if (stderr.includes('Nothing to download')) return undefined;
    if (isRejected(stderr, hasAsked)) throw new UserError(KEY_REJECTED);
    if (isLate) return { reason: `b4a download took longer than ${limitMs / 60_000} minutes.` };
    if (tries === TRIES) return { reason: reasonIn(stderr) };
    console.error(`b4a download has failed. Trying again (${tries + 1} of ${TRIES}).`);
    await setTimeout((tries - 1) * 1000);
  }
}

/** Shows what b4a asks, where somebody can answer. Where it has put the files does not concern the user. */
function showQuestions(text: string): void {
  if (canAsk)
    process.stderr.write(harmless(text.replace(/^Successfully downloaded Cloud Code to .*\n/m, '')));
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
    .sort();
}

/** Why b4a could not use its account key. It then asks for an e-mail address and a password. */
function whyKeyUnused(stderr: string): string | undefined {
  return /^Account key could not be used\.\nError: (.*)$/m.exec(stderr)?.[1];
}

/** Whether the key or the login is rejected, so that another try would fail as well. */
function isRejected(stderr: string, hasAsked: boolean): boolean {
  const why = whyKeyUnused(stderr);
  if (why !== undefined) return /is not valid|does not belong to/.test(why);
  return hasAsked || /^(unauthorized$|Sorry, we do not have a user|.*status=40[13]\b)/m.test(stderr);
}

function reasonIn(stderr: string): string {
  const why = whyKeyUnused(stderr) ?? stderr.replace('Failed to download Cloud Code.', '');
  return why.trim() === ''
    ? 'b4a gives no reason: Back4App may be out of order, or this machine offline.'
    : 'b4a says above why it cannot download the live release.';
}

/**
 * What becomes of a live release's files when others are deployed in their place.
 *
 * @param uploaded those of the project, relative to it
 */
export function compare(live: Release, uploaded: string[]): { lost: string[]; replaced: string[] } {
  const isOther = (file: string) => {
    const here = readFileSync(join(projectRoot, file));
    // b4a downloads cloud/ as text.
    const asDownloaded = file.startsWith('cloud/') ? Buffer.from(here.toString()) : here;
    return !asDownloaded.equals(readFileSync(join(live.folder, file)));
  };
  const replaced = live.files.filter((file) => uploaded.includes(file) && isOther(file));
  const isLost = (file: string) =>
    !uploaded.includes(file) ||
    // The app's own code, which may be nowhere else.
    (file === MAIN && replaced.includes(MAIN) && !usesBundle(join(live.folder, MAIN)));
  return { lost: live.files.filter(isLost), replaced: replaced.filter((file) => !isLost(file)) };
}

/**
 * Keeps a release in a folder that is linked to its app alone, so that `b4a deploy` there brings it back.
 *
 * @returns the folder
 * @throws UserError where it cannot be written
 */
export function keep(live: Release, app: LinkedApp): string {
  const time = new Date().toISOString().replace(/:/g, '-');
  const kept = join(projectRoot, '.local/releases', time);
  try {
    mkdirSync(join(projectRoot, '.local'), { recursive: true, mode: 0o700 });
    cpSync(live.folder, kept, { recursive: true });
    cpSync(join(projectRoot, PROJECT_FILE), join(kept, PROJECT_FILE));
    writeFileSync(join(kept, LOCAL_FILE), JSON.stringify(app.local, null, 2), { mode: 0o600 });
  } catch (error) {
    throw new UserError(`Nothing is deployed: what is live cannot be kept (${(error as Error).message}).`);
  }
  return kept;
}

/** The files of a release that `b4a deploy` in the kept folder does not bring back as they were. */
export function notRestored(live: Release): { changed: string[]; left: string[] } {
  const left = live.files.filter(isNeverUploaded);
  // What a byte that is not UTF-8 becomes when b4a downloads it as text.
  const hasReplacement = (file: string) =>
    file.startsWith('cloud/') && readFileSync(join(live.folder, file)).includes('\ufffd');
  return { changed: live.files.filter((file) => !left.includes(file) && hasReplacement(file)), left };
}
