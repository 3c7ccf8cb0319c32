import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { config as readDotEnv } from 'dotenv';
import { runCommand } from './command-line/command';
import { confirm } from './command-line/prompt';
import { harmless, shown } from './command-line/shown';
import { UserError } from './command-line/user-error';
import { separate } from './deploy/arguments';
import { B4A_DOWNLOADS, runB4a } from './deploy/b4a';
import { type LinkedApp, linkedApp } from './deploy/linked-app';
import {
  compare,
  downloadRelease,
  keep,
  MAIN,
  notRestored,
  type Release,
  type Unseen,
} from './deploy/release';
import { unclearLines, uploadedFiles } from './deploy/upload-rules';
import { print } from './doctor/finding';
import { checkProject } from './doctor/project';
import { programOnPath } from './engines/program-on-path';
import { bundle, bundleFile, projectRoot } from './project/bundle';

// What is lost is named to its end.
const MAX_PATH = 4096;

const NO_B4A = `b4a, Back4App's command line, is not on this machine. Get it from
${B4A_DOWNLOADS}, put it on the PATH as b4a, and run this again.
Or upload by hand, in the Back4App dashboard, Cloud Code, Deploy:`;

const KEPT_FROM_B4A = `PARSE_ROOT is set, which names another project to b4a. This command keeps it from b4a;
unset it before you run b4a yourself.`;

runCommand(
  'deploy',
  async ({ yes, 'dry-run': isDryRun, 'replace-release': replaceRelease }, { words, app: appName }) => {
    const stop = abortOnSignals();
    await buildAndCheck();
    stop.throwIfAborted();
    const uploaded = uploadedFiles(projectRoot);
    if (!programOnPath('b4a', process.env.PATH)) {
      throw new UserError(`${NO_B4A}\n${list(uploaded.map((file) => join(projectRoot, file)))}`);
    }
    const app = linkedApp(appName);
    if (process.env.PARSE_ROOT) console.log(KEPT_FROM_B4A);

    console.log(`\nb4a replaces the whole release of ${app.name}, all of cloud/ and of public/, with this:`);
    console.log(list(uploaded));
    const isUncertain = tellUnclearLines();
    const temporary = mkdtempSync(join(tmpdir(), 'release-'));
    try {
      const live = await downloadRelease(app.name, temporary, stop);
      const isLoss = tellLosses(app, live, uploaded);
      if (isDryRun) {
        console.log('Nothing was deployed: this was a dry run.');
        return;
      }
      if (isLoss || isUncertain) {
        const option = '--replace-release (--yes is not enough)';
        await confirm(`Deploy to ${app.name} all the same?`, replaceRelease, { option, stop });
      } else await confirm(`Deploy to ${app.name}?`, yes || replaceRelease, { stop });
      if (live && 'files' in live) tellWaysBack(app, live, keep(live, app));
      await deploy(app, words, stop);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  },
  separate,
);

/** Signals no longer end this process: they end what it is doing, and it tidies up. */
function abortOnSignals(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stopping.abort(new UserError('Stopped: nothing is deployed.')));
  }
  return stopping.signal;
}

/** @throws UserError if the doctor finds a fault */
async function buildAndCheck(): Promise<void> {
  // Not into this process's own environment, which b4a inherits: it needs none of our credentials.
  const environment = { ...process.env };
  readDotEnv({ quiet: true, processEnv: environment as Record<string, string> });
  await bundle({ outfile: bundleFile });
  let isWell = true;
  for await (const finding of checkProject(environment, { credentialsMayBeElsewhere: true })) {
    print(finding);
    isWell &&= finding.status !== 'fault';
  }
  if (!isWell) throw new UserError('Nothing is deployed: fix the faults above first.');
}

/** @returns whether the list of uploaded files may be wrong */
function tellUnclearLines(): boolean {
  const unclear = unclearLines(projectRoot);
  if (unclear.length > 0) {
    console.log(
      `It is not certain how b4a reads these lines of .parseignore, so the list above ignores them. Fix or simplify them:\n${list(unclear)}`,
    );
  }
  return unclear.length > 0;
}

/** @returns whether files are lost, or may be */
function tellLosses(app: LinkedApp, live: Release | Unseen | undefined, uploaded: string[]): boolean {
  if (!live) {
    console.log('The app has no release yet: nothing is lost.');
    return false;
  }
  if ('reason' in live) {
    console.log(`${live.reason} So what this deploy would lose is not known, and cannot be kept.`);
    return true;
  }
  const { lost, replaced } = compare(live, uploaded);
  console.log(`Files in the live release: ${live.files.length}.`);
  if (lost.length > 0) {
    console.log(`It would lose these:\n${list(named(lost))}`);
    if (uploaded.includes(MAIN) && lost.includes(MAIN)) {
      console.log(
        `The live ${MAIN} is the app's own code: it is not a bundle of ours, and does not require one.`,
      );
    }
    console.log(
      `If any of them exists nowhere else, stop here. Run b4a download -f ${quoted(app.name)} in the app's own folder: ` +
        'it writes them there, over files of the same names. Then run init and deploy there.',
    );
  }
  if (replaced.length > 0) {
    console.log(`These would be replaced by others of the same name:\n${list(named(replaced))}`);
  }
  return lost.length > 0;
}

/** @param kept the folder in which the release is kept */
function tellWaysBack(app: LinkedApp, live: Release, kept: string): void {
  const name = quoted(app.name);
  const { changed, left } = notRestored(live);
  console.log(`What was live is kept. There are two ways back, and the first restores everything, the Parse version too:
  b4a rollback -r vN ${name}   (vN is the release before this one; b4a releases ${name} lists them)
  cd ${relative('.', kept)} && b4a deploy ${name}`);
  if (changed.length > 0) {
    console.log(
      `The second way may change these files, because b4a downloads cloud/ as text and they seem not to be text:\n${list(named(changed))}`,
    );
  }
  if (left.length > 0) {
    console.log(
      `The second way leaves these files out, because b4a never uploads files with such names:\n${list(named(left))}`,
    );
  }
}

async function deploy(app: LinkedApp, words: string[], stop: AbortSignal): Promise<void> {
  const onOutput = (text: string) => process.stdout.write(harmless(text));
  const { status } = await runB4a(['deploy', ...words], { stop, onOutput }).catch((error) => {
    if (!stop.aborted) throw error;
    const name = quoted(app.name);
    throw new UserError(
      `Stopped during b4a deploy: b4a releases ${name} tells whether it has made a release.`,
    );
  });
  if (status !== 0) throw new UserError('b4a deploy has failed: it says above why.');
}

function list(lines: string[]): string {
  return lines.map((line) => `  ${line}`).join('\n');
}

/** Files of the live release, whose names come from Back4App. */
function named(files: string[]): string[] {
  return files.map((file) => shown(file, MAX_PATH));
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w.-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
