import { createHash, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VIRGIL_VARIABLES } from '../../cloud/credentials';

/**
 * Fills in what the environment leaves out: a Virgil application and a master key for development, made at first start
 * and kept in the folder. A Virgil application of the user's own is taken whole: with any of its variables set, none is
 * filled in.
 *
 * @param folder the local server's state; it must exist
 * @returns whether the Virgil application is the one that was made
 */
export function addDevelopmentCredentials(folder: string, environment: NodeJS.ProcessEnv): boolean {
  const file = join(folder, 'credentials.json');
  if (!existsSync(file)) writeFileSync(file, JSON.stringify(makeCredentials(), null, 2), { mode: 0o600 });
  const made = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  const isMade = !VIRGIL_VARIABLES.some((name) => environment[name]);
  for (const name of [...(isMade ? VIRGIL_VARIABLES : []), 'PARSE_MASTER_KEY']) {
    environment[name] ||= made[name];
  }
  return isMade;
}

function makeCredentials(): Record<string, string> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    VIRGIL_APP_ID: randomBytes(16).toString('hex'),
    VIRGIL_APP_KEY_ID: createHash('sha512').update(publicKey).digest('hex').slice(0, 32),
    VIRGIL_APP_KEY: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
    PARSE_MASTER_KEY: randomBytes(24).toString('base64url'),
  };
}
