import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { PROJECT_FILE } from '../deploy/linked-app';
import { isUploaded, unclearLines } from '../deploy/upload-rules';
import { bundleFile, projectRoot } from '../project/bundle';
import { type Finding, fault, ok, skipped, warning } from './finding';

/** In the app's project: what goes along with its `main.js`. */
export const bundleName = relative(projectRoot, bundleFile).replaceAll(sep, '/');

/** Checks that the bundle goes where the app's `main.js` goes, and that the credentials do not. */
export function* checkRepository(): Generator<Finding> {
  const isIgnored = isGitIgnored(bundleName);
  if (isIgnored === undefined) yield skipped('git', 'does not look after this folder, or is not there.');
  else if (isIgnored) {
    yield fault(
      'git',
      `ignores ${bundleName}: what is deployed from a clone would end at load. Take the rule away that "git check-ignore -v ${bundleName}" shows.`,
    );
  } else if (!isGitIgnored('.env')) {
    yield fault(
      'git',
      'does not ignore .env, which holds the App Key: name it in .gitignore, and git rm --cached .env.',
    );
  } else yield ok('git', `takes ${bundleName} along, and leaves .env`);
  if (isIgnored !== undefined && hasEmail() && !isGitIgnored(PROJECT_FILE)) {
    yield warning(
      'git',
      `does not ignore ${PROJECT_FILE}, in which b4a has written your e-mail address. With this address b4a rejects the ` +
        `account keys of others: name the file in .gitignore, and git rm --cached ${PROJECT_FILE}. Or delete "email" from it.`,
    );
  }
  const unclear = unclearLines(projectRoot);
  if (unclear.length > 0) {
    const lines = unclear.join('; ');
    yield warning('upload', `it is not certain how b4a reads .parseignore: fix or simplify ${lines}`);
  }
  yield isUploaded(projectRoot, bundleName)
    ? ok('upload', `b4a takes ${bundleName} along`)
    : fault('upload', `.parseignore keeps ${bundleName} from b4a: what is deployed would end at load.`);
}

/** Whether the link to an app names the user who has made it. */
function hasEmail(): boolean {
  const file = join(projectRoot, PROJECT_FILE);
  return existsSync(file) && /"email"\s*:\s*"[^"]/.test(readFileSync(file, 'utf8'));
}

/** @returns undefined where git cannot tell */
export function isGitIgnored(file: string): boolean | undefined {
  const { status } = spawnSync('git', ['check-ignore', '--quiet', file], {
    cwd: projectRoot,
    stdio: 'ignore',
  });
  return status === 0 ? true : status === 1 ? false : undefined;
}
