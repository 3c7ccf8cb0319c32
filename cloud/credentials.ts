import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';

export interface VirgilCredentials {
  appId: string;
  appKeyId: string;
  appKey: KeyObject;
}

/** Names the variable and what is wrong with it. Never holds its value. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

/** The environment's variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The Virgil application's credentials: `VIRGIL_APP_ID` and `VIRGIL_APP_KEY_ID` (32 hex digits each), and
 * `VIRGIL_APP_KEY` (base64 of a PKCS#8 Ed25519 private key, RFC 8410, as Virgil's dashboard gives it).
 *
 * @throws CredentialError naming the first variable at fault
 */
export function virgilCredentials(environment: Environment): VirgilCredentials {
  const appId = virgilId(environment, 'VIRGIL_APP_ID');
  const appKeyId = virgilId(environment, 'VIRGIL_APP_KEY_ID');
  if (appKeyId === appId) {
    throw new CredentialError('VIRGIL_APP_KEY_ID is the same as VIRGIL_APP_ID: give the ID of the App Key.');
  }
  return { appId, appKeyId, appKey: virgilAppKey(environment) };
}

function required(environment: Environment, name: string): string {
  const value = environment[name];
  if (!value) throw new CredentialError(`${name} is not set.`);
  if (/^["']|["']$|^\s|\s$/.test(value)) {
    throw new CredentialError(`${name} has quotes or white space around it: set the bare value.`);
  }
  return value;
}

function virgilId(environment: Environment, name: string): string {
  const value = required(environment, name);
  if (!/^[0-9a-f]{32}$/i.test(value)) {
    throw new CredentialError(
      `${name} is not an ID of 32 hex digits. The name shown in Virgil's dashboard is not its ID: copy the ID.`,
    );
  }
  return value;
}

function virgilAppKey(environment: Environment): KeyObject {
  const name = 'VIRGIL_APP_KEY';
  const der = Buffer.from(required(environment, name), 'base64');
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } catch {
    throw new CredentialError(
      isPublicKey(der)
        ? `${name} is a public key: give the private App Key.`
        : `${name} is not base64 of a PKCS#8 private key: copy the App Key as Virgil's dashboard gives it.`,
    );
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new CredentialError(`${name} is a key of type ${key.asymmetricKeyType}: an App Key is Ed25519.`);
  }
  return key;
}

function isPublicKey(der: Buffer): boolean {
  try {
    createPublicKey({ key: der, format: 'der', type: 'spki' });
    return true;
  } catch {
    return false;
  }
}
