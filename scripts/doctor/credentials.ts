import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { Jwt } from 'virgil-sdk';
import {
  CredentialError,
  type Environment,
  NEXMO_VARIABLES,
  nexmoCredentials,
  serviceUrl,
  VIRGIL_VARIABLES,
  type VirgilCredentials,
  virgilCredentials,
} from '../../cloud/credentials';
import { issueVirgilToken } from '../../cloud/tokens/virgil-token';
import { type Findings, fault, ok, skipped } from './finding';
import { isSignedWith, publicHalf } from './virgil-token';

interface CredentialSet {
  function: string;
  variables: string[];
  read(environment: Environment): unknown;
  /** A well-formed value of each variable. */
  makeExample(): Record<string, string>;
  /** Without the set all but its function works. */
  isOptional: boolean;
  /** Where they are made, and where there. */
  dashboard: string;
}

const credentialSets: CredentialSet[] = [
  {
    function: 'virgil-jwt',
    variables: VIRGIL_VARIABLES,
    read: (environment) => [virgilCredentials(environment), serviceUrl(environment, 'VIRGIL_API_URL')],
    makeExample: () => ({
      VIRGIL_APP_ID: '0'.repeat(32),
      VIRGIL_APP_KEY_ID: '1'.repeat(32),
      VIRGIL_APP_KEY: generateKeyPairSync('ed25519')
        .privateKey.export({ format: 'der', type: 'pkcs8' })
        .toString('base64'),
    }),
    isOptional: false,
    dashboard: 'dashboard.virgilsecurity.com (your application, and its App Keys)',
  },
  {
    function: 'nexmo-jwt',
    variables: NEXMO_VARIABLES,
    read: (environment) => [nexmoCredentials(environment), serviceUrl(environment, 'NEXMO_API_URL')],
    makeExample: () => ({
      NEXMO_APP_ID: randomUUID(),
      NEXMO_PRIVATE_KEY: generateKeyPairSync('rsa', { modulusLength: 2048 })
        .privateKey.export({ format: 'pem', type: 'pkcs8' })
        .toString(),
    }),
    isOptional: true,
    dashboard: 'dashboard.vonage.com (Applications)',
  },
];

/**
 * Checks each variable by name, and that the App Key signs what its public half verifies.
 *
 * @param mayBeElsewhere credentials of which no variable is set here are no fault: the server has its own
 */
export async function* checkCredentials(environment: Environment, mayBeElsewhere: boolean): Findings {
  for (const set of credentialSets) {
    const names = set.variables;
    if (names.every((name) => !environment[name]) && (set.isOptional || mayBeElsewhere)) {
      yield skipped(set.function, `${names.join(', ')} are not set here: needed on the server.`);
      continue;
    }
    // Each among well-formed others, so that every fault is named and not the first alone.
    const example = set.makeExample();
    const faults = names.map((name) =>
      environment[name]
        ? whyRefused(set, { ...example, [name]: environment[name] })
        : `is not set: get it at ${set.dashboard}, and put it into .env, as NAME=value.`,
    );
    for (const [i, name] of names.entries()) {
      const reason = faults[i];
      // The reason begins with the name.
      yield reason ? fault(name, reason.replace(`${name} `, '')) : ok(name, 'well-formed');
    }
    const reason = faults.some(Boolean) ? undefined : whyRefused(set, environment);
    if (reason) yield fault(set.function, reason);
  }
  yield* checkAppKey(environment);
}

async function* checkAppKey(environment: Environment): Findings {
  const check = 'App Key';
  let credentials: VirgilCredentials;
  try {
    credentials = virgilCredentials(environment);
  } catch {
    yield skipped(check, 'needs well-formed VIRGIL_ variables.');
    return;
  }
  if (credentials.appId.toLowerCase() === keyIdOf(credentials)) {
    yield fault(
      check,
      'VIRGIL_APP_ID is the ID of this App Key: VIRGIL_APP_ID and VIRGIL_APP_KEY_ID are swapped.',
    );
    return;
  }
  const { token } = await issueVirgilToken(credentials, 'doctor', 60_000);
  yield (await isSignedWith(Jwt.fromString(token), credentials))
    ? ok(check, 'signs tokens that its public half verifies')
    : fault(check, 'VIRGIL_APP_KEY signs tokens that its public half does not verify: make a new App Key.');
}

function whyRefused({ read }: CredentialSet, environment: Environment): string | undefined {
  try {
    read(environment);
  } catch (error) {
    if (error instanceof CredentialError) return error.message;
    throw error;
  }
}

/** A key's ID where it was derived from the key: the first 16 bytes of SHA-512 of its public half. */
function keyIdOf({ appKey }: VirgilCredentials): string {
  return createHash('sha512').update(publicHalf(appKey)).digest('hex').slice(0, 32);
}
