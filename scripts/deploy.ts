import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { config as readDotEnv } from 'dotenv';
import { runCommand } from './command-line/command';
import { confirm } from './command-line/prompt';
import { UserError } from './command-line/user-error';
import { print } from './doctor/finding';
import { checkProject } from './doctor/project';
import { bundle, projectRoot } from './project/bundle';

const NO_B4A = `b4a, Back4App's command line, is not on this machine. Get it from
https://github.com/back4app/parse-cli/releases, put it on the PATH as b4a, and run this again.
Or upload the bundle by hand: Back4App dashboard, Cloud Code, cloud/main.js, Deploy.
The file to upload: ${join(projectRoot, 'cloud/main.js')}`;

const NOT_LINKED = `${projectRoot} is not linked to an app yet. Once, in this folder:
  b4a configure accountkey   (asks for an account key, made in the Back4App dashboard)
  b4a new --init             (answer "existing", and choose your app)
That writes .parse.project, which may be committed, and .parse.local, which git ignores. Then run this again.`;

runCommand('deploy', async ({ yes }, args) => {
  // With or without a `--` before them.
  const b4aArguments = args.filter((argument) => argument !== '--yes');
  if (b4aArguments[0] === '--') b4aArguments.shift();
  // Not into this process's own environment, which b4a inherits: it needs none of our credentials.
  const environment = { ...process.env };
  readDotEnv({ quiet: true, processEnv: environment as Record<string, string> });
  await bundle({ outfile: join(projectRoot, 'cloud/main.js') });
  let isWell = true;
  for await (const finding of checkProject(environment, { credentialsMayBeElsewhere: true })) {
    print(finding);
    isWell &&= finding.status !== 'fault';
  }
  if (!isWell) throw new UserError('Nothing is deployed: mend the faults above first.');
  if (spawnSync('b4a', ['version'], { stdio: 'ignore' }).error) throw new UserError(NO_B4A);
  if (!['.parse.project', '.parse.local'].every((file) => existsSync(join(projectRoot, file)))) {
    throw new UserError(NOT_LINKED);
  }

  console.log('\nb4a replaces the whole release, all of cloud/ and of public/, with what is here.');
  console.log(losses(b4aArguments));
  await confirm('Deploy?', yes);
  if (b4a(['deploy', ...b4aArguments], 'inherit').status !== 0) {
    throw new UserError('b4a deploy failed: see above what it said.');
  }
});

/** Runs b4a in the project's root; it may ask its user, and print. */
function b4a(args: string[], stderr: 'inherit' | 'pipe') {
  return spawnSync('b4a', args, {
    cwd: projectRoot,
    stdio: ['inherit', 'inherit', stderr],
    encoding: 'utf8',
  });
}

/** What the live release holds and would lose, in words. */
function losses(b4aArguments: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'release-'));
  try {
    const { status, stderr } = b4a(['download', ...appName(b4aArguments), '-l', folder], 'pipe');
    if (stderr.includes('Nothing to download')) return 'The app has no release yet: nothing is lost.';
    if (status !== 0) return `${stderr}b4a cannot tell what the live release holds, and would lose.`;
    const live = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
      .sort();
    const isHere = (file: string) => existsSync(join(projectRoot, file));
    const isOther = (file: string) =>
      !readFileSync(join(projectRoot, file)).equals(readFileSync(join(folder, file)));
    const list = (title: string, files: string[]) =>
      files.length > 0 ? [title, ...files.map((file) => `  ${file}`)] : [];
    return [
      `Files in the live release: ${live.length}.`,
      ...list(
        'It would lose these:',
        live.filter((file) => !isHere(file)),
      ),
      ...list(
        'These would be replaced by others of the same name:',
        live.filter((file) => isHere(file) && isOther(file)),
      ),
    ].join('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The app among the arguments of `b4a deploy`, where one is named. */
function appName(b4aArguments: string[]): string[] {
  const { positionals } = parseArgs({
    args: b4aArguments,
    options: {
      description: { type: 'string', short: 'd' },
      retries: { type: 'string', short: 'n' },
      force: { type: 'boolean', short: 'f' },
      verbose: { type: 'boolean', short: 'v' },
    },
    strict: false,
  });
  return positionals.slice(0, 1);
}
