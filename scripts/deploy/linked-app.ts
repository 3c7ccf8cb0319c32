import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../command-line/user-error';
import { projectRoot } from '../project/bundle';

/** The link between a folder and an app: b4a needs both files. */
export const PROJECT_FILE = '.parse.project';
export const LOCAL_FILE = '.parse.local';
/** The format of the link before these two. b4a reads it first. */
const OLD_FILE = 'config/global.json';
/** The app for which b4a deploys when none is named. */
const DEFAULT = '_default';

/** An app to which the project is linked. */
export interface LinkedApp {
  name: string;
  /** What `.parse.local` holds about this app, and about no other. */
  local: { applications: Record<string, LocalEntry> };
}

interface LocalEntry {
  applicationId?: string;
  /** The name of another entry, which is meant. */
  link?: string;
}

const NOT_LINKED = `${projectRoot} is not linked to an app yet. Run these once, in this folder:
  b4a configure accountkey   (asks for an account key, which you make in the Back4App dashboard)
  b4a new --init             (answer "existing", and choose your app)
  b4a download -f            (if the app's code exists only in the dashboard; then run init again)
They write .parse.project and .parse.local. Keep both out of git, as init does: b4a writes your e-mail address into
.parse.project, and then rejects the account key of everyone else. Then run this again.`;

/**
 * Finds the app that b4a would deploy to.
 *
 * @param name default: the app that is the default one in `.parse.local`
 * @throws UserError if the project is not linked, or not to this app
 */
export function linkedApp(name = DEFAULT): LinkedApp {
  if (existsSync(join(projectRoot, OLD_FILE))) {
    throw new UserError(
      `${OLD_FILE} is in the way: b4a takes it for its old link to an app, and reads nothing else. ` +
        'If b4a has made it, run b4a migrate. If not, rename it.',
    );
  }
  if (!isLinked(projectRoot)) throw new UserError(whyNotLinked());
  const applications = readApplications();
  const names = [name];
  for (let entry = applications[name]; entry; entry = applications[entry.link]) {
    const found = names.at(-1) as string;
    if (!entry.link) {
      return { name: found, local: { applications: { [DEFAULT]: { link: found }, [found]: entry } } };
    }
    if (names.includes(entry.link)) break;
    names.push(entry.link);
  }
  const others = Object.keys(applications).filter((other) => other !== DEFAULT);
  throw new UserError(
    `${LOCAL_FILE} has no ${name === DEFAULT ? 'default app' : `app ${name}`}. ` +
      `Its apps are: ${others.join(', ') || 'none'}. b4a add adds one.`,
  );
}

function readApplications(): Record<string, LocalEntry> {
  try {
    const { applications } = JSON.parse(readFileSync(join(projectRoot, LOCAL_FILE), 'utf8'));
    return Object.assign(Object.create(null), applications);
  } catch {
    throw new UserError(`${LOCAL_FILE} is not valid: delete it and ${PROJECT_FILE}, and run b4a new --init.`);
  }
}

function isLinked(folder: string): boolean {
  return [PROJECT_FILE, LOCAL_FILE].every((file) => existsSync(join(folder, file)));
}

function whyNotLinked(): string {
  for (let folder = dirname(projectRoot); ; folder = dirname(folder)) {
    if (isLinked(folder)) {
      return (
        `${projectRoot} is not linked to an app, but the folder ${folder} above it is, and b4a would deploy that one. ` +
        `Run this command in ${folder}, or take ${PROJECT_FILE} and ${LOCAL_FILE} from there to here.`
      );
    }
    if (dirname(folder) === folder) return NOT_LINKED;
  }
}
