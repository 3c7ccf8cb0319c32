import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { Policy } from '../../cloud/policy';
import { UserError } from '../command-line/user-error';
import {
  bundle,
  bundleFile,
  isPackaged,
  MAX_BUNDLE_BYTES,
  packageRoot,
  projectRoot,
} from '../project/bundle';
import { readPolicy } from '../project/policy';
import { checkCredentials } from './credentials';
import { type Finding, type Findings, fault, ok, skipped } from './finding';
import { checkMainFile } from './main-file';
import { checkRepository } from './repository';
import { checkDefinitions } from './second-definitions';

const APP_MAIN = isPackaged ? join(projectRoot, 'cloud/main.js') : undefined;

/**
 * Checks what is here, in the order in which a user can mend it: Node, policy, credentials, bundle.
 *
 * @param options.credentialsMayBeElsewhere credentials that are not set here at all are no fault
 * @param options.main the app's own `main.js`, which requires the bundle. Default: `cloud/main.js` of the app's project; in
 *   this repository that is the bundle itself
 */
export async function* checkProject(
  environment: NodeJS.ProcessEnv,
  options: { credentialsMayBeElsewhere: boolean; main?: string },
): Findings {
  yield checkNode();
  const policy = checkPolicy();
  yield policy;
  yield* checkCredentials(environment, options.credentialsMayBeElsewhere);
  const { main = APP_MAIN } = options;
  let required: string | undefined = bundleFile;
  if (main !== undefined) {
    const { finding, bundle } = checkMainFile(main);
    yield finding;
    yield checkDefinitions(main);
    required = bundle ?? (bundleFile.endsWith('.cjs') ? bundleFile : undefined);
  }
  if (policy.status !== 'ok') yield skipped('bundle', 'needs a valid policy.');
  else if (required === undefined) yield skipped('bundle', 'needs a main.js that requires it.');
  else yield* checkBundle(required);
  if (isPackaged) yield* checkRepository();
}

function checkNode(): Finding {
  const { engines } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  const [major = 0, minor = 0] = /\d+\.\d+/.exec(engines.node)?.[0].split('.').map(Number) ?? [];
  const [hereMajor = 0, hereMinor = 0] = process.versions.node.split('.').map(Number);
  const isOld = hereMajor < major || (hereMajor === major && hereMinor < minor);
  return isOld
    ? fault('Node', `${process.version} is too old: install Node ${major}.${minor} or later.`)
    : ok('Node', process.version);
}

export function checkPolicy(): Finding {
  try {
    return ok('policy', `guards ${Object.keys(projectPolicy().classes).join(', ') || 'no class'}`);
  } catch (error) {
    if (error instanceof UserError) return fault('policy', error.message.replace(/\s*\n\s*/g, ' '));
    throw error;
  }
}

/** @throws UserError */
export function projectPolicy(): Policy {
  return readPolicy(join(projectRoot, 'back4app.json'));
}

async function* checkBundle(file: string): Findings {
  const name = relative('.', file);
  const build = file === bundleFile ? 'npm run build' : `npm run build -- --outfile ${name}`;
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined) {
    yield fault('bundle', `${name} is not there: ${build}.`);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  try {
    const fresh = join(folder, 'fresh.js');
    await bundle({ outfile: fresh });
    if (!readFileSync(fresh).equals(readFileSync(file))) {
      yield fault('bundle', `${name} is not what the sources and the policy make now: ${build}.`);
    } else if (size > MAX_BUNDLE_BYTES) {
      yield fault('bundle', `${name} has ${size} bytes, over ${MAX_BUNDLE_BYTES}: import less in cloud/.`);
    } else {
      yield ok('bundle', `${name} is fresh, ${(size / 1024).toFixed(0)} KB`);
    }
    const alone = join(folder, 'main.js');
    copyFileSync(file, alone);
    yield loadAlone(alone, name, build);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Takes every registration, as Parse Server does, and prints their first arguments. */
const LOADER = `
  const registered = [];
  const register = (name) => registered.push(name);
  globalThis.Parse = { Cloud: new Proxy({}, { get: (cloud, name) => cloud[name] ?? register }) };
  require(process.argv[1]);
  console.log(JSON.stringify(registered));
`;

function loadAlone(file: string, name: string, build: string): Finding {
  const check = 'bundle alone';
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', LOADER, file], {
    encoding: 'utf8',
    env: {},
    timeout: 10_000,
  });
  if (status !== 0) {
    const reason = /^\w*Error: .*$/m.exec(stderr)?.[0] ?? 'it does not end';
    return fault(check, `${name} does not load with nothing beside it (${reason}): ${build}.`);
  }
  const registered: string[] = JSON.parse(stdout);
  return registered.includes('virgil-jwt')
    ? ok(check, `registers ${registered.join(', ')}`)
    : fault(check, `${name} does not register virgil-jwt: see cloud/main.ts, then ${build}.`);
}
