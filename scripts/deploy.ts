import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { config as readDotEnv } from 'dotenv';
import { runCommand } from './command-line/command';
import { confirm } from './command-line/prompt';
import { UserError } from './command-line/user-error';
import { separate } from './deploy/arguments';
import { compare, downloadRelease, keep, LINK, type Release } from './deploy/release';
import { unclearLines, uploadedFiles } from './deploy/upload-rules';
import { print } from './doctor/finding';
import { checkProject } from './doctor/project';
import { bundle, bundleFile, projectRoot } from './project/bundle';

const NO_B4A = `b4a, Back4App's command line, is not on this machine. Get it from
https://github.com/back4app/parse-cli/releases, put it on the PATH as b4a, and run this again.
Or upload by hand, in the Back4App dashboard, Cloud Code, Deploy:`;

const NOT_LINKED = `${projectRoot} is not linked to an app yet. Once, in this folder:
  b4a configure accountkey   (asks for an account key, made in the Back4App dashboard)
  b4a new --init             (answer "existing", and choose your app)
That writes .parse.project, which may be committed, and .parse.local, which git ignores. Then run this again.`;

runCommand(
  'deploy',
  async ({ yes, 'dry-run': isDryRun, 'replace-release': replaceRelease }, { words, app }) => {
    // Not into this process's own environment, which b4a inherits: it needs none of our credentials.
    const environment = { ...process.env };
    readDotEnv({ quiet: true, processEnv: environment as Record<string, string> });
    await bundle({ outfile: bundleFile });
    let isWell = true;
    for await (const finding of checkProject(environment, { credentialsMayBeElsewhere: true })) {
      print(finding);
      isWell &&= finding.status !== 'fault';
    }
    if (!isWell) throw new UserError('Nothing is deployed: mend the faults above first.');
    const uploaded = uploadedFiles(projectRoot);
    if (spawnSync('b4a', ['version'], { stdio: 'ignore' }).error) {
      throw new UserError(`${NO_B4A}\n${list(uploaded.map((file) => join(projectRoot, file)))}`);
    }
    if (!LINK.every((file) => existsSync(join(projectRoot, file)))) throw new UserError(NOT_LINKED);

    console.log('\nb4a replaces the whole release, all of cloud/ and of public/, with what is here:');
    console.log(list(uploaded));
    const isUncertain = tellUnclearLines();
    let said = '';
    const live = downloadRelease((folder) => {
      const { status, stderr } = b4a(['download', ...(app === undefined ? [] : [app]), '-l', folder], 'pipe');
      said = stderr;
      return status === 0;
    });
    try {
      const isLoss = live ? tellLosses(live, uploaded) : tellWhyUnseen(said);
      if (isDryRun) {
        console.log('Nothing was deployed: this was a dry run.');
        return;
      }
      if (isLoss || isUncertain)
        await confirm('Deploy all the same?', replaceRelease, '--replace-release (--yes is not enough)');
      else await confirm('Deploy?', yes || replaceRelease);
      const kept = live && keep(live);
      if (kept) console.log(`What was live is kept. The way back: cd ${relative('.', kept)} && b4a deploy`);
      if (b4a(['deploy', ...words], 'inherit').status !== 0) {
        throw new UserError('b4a deploy failed: see above what it said.');
      }
    } finally {
      live?.remove();
    }
  },
  separate,
);

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

/** @returns whether files are lost */
function tellLosses(live: Release, uploaded: string[]): boolean {
  const { lost, replaced } = compare(live, uploaded);
  console.log(`Files in the live release: ${live.files.length}.`);
  if (lost.length > 0) console.log(`It would lose these:\n${list(lost)}`);
  if (replaced.length > 0) {
    console.log(`These would be replaced by others of the same name:\n${list(replaced)}`);
  }
  return lost.length > 0;
}

/** @returns whether files may be lost */
function tellWhyUnseen(said: string): boolean {
  const isEmpty = said.includes('Nothing to download');
  console.log(
    isEmpty
      ? 'The app has no release yet: nothing is lost.'
      : `${said}b4a cannot tell what the live release holds, and would lose.`,
  );
  return !isEmpty;
}

/** Runs b4a in the project's root; it may ask its user, and print. */
function b4a(args: string[], stderr: 'inherit' | 'pipe') {
  return spawnSync('b4a', args, {
    cwd: projectRoot,
    stdio: ['inherit', 'inherit', stderr],
    encoding: 'utf8',
  });
}

function list(files: string[]): string {
  return files.map((file) => `  ${file}`).join('\n');
}
