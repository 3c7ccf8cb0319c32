import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Policy } from '../../cloud/policy';
import { bundle, MAX_BUNDLE_BYTES, projectRoot } from '../bundle';
import { readPolicy } from '../policy';
import { UserError } from '../user-error';
import { checkCredentials } from './credentials';
import { type Finding, type Findings, fault, ok, skipped } from './finding';

/**
 * Checks what is here, in the order in which a user can mend it: Node, policy, credentials, bundle.
 *
 * @param options.credentialsMayBeElsewhere credentials that are not set here at all are no fault
 */
export async function* checkProject(
  environment: NodeJS.ProcessEnv,
  options: { credentialsMayBeElsewhere: boolean },
): Findings {
  yield checkNode();
  const policy = checkPolicy();
  yield policy;
  yield* checkCredentials(environment, options.credentialsMayBeElsewhere);
  if (policy.status === 'ok') yield* checkBundle();
  else yield skipped('bundle', 'needs a valid policy.');
}

function checkNode(): Finding {
  const { engines } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
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

async function* checkBundle(): Findings {
  const file = join(projectRoot, 'cloud/main.js');
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined) {
    yield fault('bundle', 'cloud/main.js is not there: npm run build.');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  try {
    const fresh = join(folder, 'fresh.js');
    await bundle({ outfile: fresh });
    if (!readFileSync(fresh).equals(readFileSync(file))) {
      yield fault('bundle', 'cloud/main.js is not what the sources and the policy make now: npm run build.');
    } else if (size > MAX_BUNDLE_BYTES) {
      yield fault(
        'bundle',
        `cloud/main.js has ${size} bytes, over ${MAX_BUNDLE_BYTES}: import less in cloud/.`,
      );
    } else {
      yield ok('bundle', `cloud/main.js is fresh, ${(size / 1024).toFixed(0)} KB`);
    }
    const alone = join(folder, 'main.js');
    copyFileSync(file, alone);
    yield loadAlone(alone);
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

function loadAlone(file: string): Finding {
  const check = 'bundle alone';
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', LOADER, file], {
    encoding: 'utf8',
    env: {},
    timeout: 10_000,
  });
  if (status !== 0) {
    const reason = /^\w*Error: .*$/m.exec(stderr)?.[0] ?? 'it does not end';
    return fault(check, `cloud/main.js does not load with nothing beside it (${reason}): npm run build.`);
  }
  const registered: string[] = JSON.parse(stdout);
  return registered.includes('virgil-jwt')
    ? ok(check, `registers ${registered.join(', ')}`)
    : fault(check, 'cloud/main.js does not register virgil-jwt: see cloud/main.ts, then npm run build.');
}
