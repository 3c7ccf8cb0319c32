import { createPrivateKey, createPublicKey, type KeyObject, type PrivateKeyInput } from 'node:crypto';
import type { FunctionRequest } from './session';

export interface VirgilCredentials {
  appId: string;
  appKeyId: string;
  appKey: KeyObject;
}

export interface NexmoCredentials {
  appId: string;
  privateKey: KeyObject;
}

/** Names the variable and what is wrong with it. Never holds its value. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

/** The environment's variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

// What `virgilCredentials` and `nexmoCredentials` read.
export const VIRGIL_VARIABLES = ['VIRGIL_APP_ID', 'VIRGIL_APP_KEY_ID', 'VIRGIL_APP_KEY'];
export const NEXMO_VARIABLES = ['NEXMO_APP_ID', 'NEXMO_PRIVATE_KEY'];
/** Where the services are, unless these variables say otherwise. */
const API_URLS = { VIRGIL_API_URL: 'https://api.virgilsecurity.com', NEXMO_API_URL: 'https://api.nexmo.com' };

const CONFIG_LIFETIME_MS = 300_000;

/**
 * The credentials of one Cloud Function, each from the environment, or else from the `Parse.Config` parameter of its
 * name, if only the master key can read that. They are read when the function is first called, and again at each call
 * until they are good; those of `Parse.Config` again every five minutes, and kept while it cannot be read.
 * @param variables what `read` reads. Where the environment's are enough for it, `Parse.Config` is never asked
 * @param read throws CredentialError
 * @returns gives the credentials, or throws Parse.Error 141, and the log says what to mend
 */
export function credentialsFor<Credentials>(
  functionName: string,
  variables: readonly string[],
  read: (environment: Environment) => Credentials,
): (request: Pick<FunctionRequest, 'log'>) => Promise<Credentials> {
  let credentials: Credentials | undefined;
  // As performance.now() has it: setting the server's clock back does not stretch it.
  let goodUntil = 0;
  let loading: Promise<Credentials> | undefined;

  async function load(log: FunctionRequest['log']): Promise<Credentials> {
    const missing = variables.filter((name) => !process.env[name]);
    const lastGood = credentials;
    credentials = undefined;
    try {
      credentials = read(process.env);
      goodUntil = Number.POSITIVE_INFINITY;
      return credentials;
    } catch (error) {
      if (missing.length === 0) throw error;
    }
    goodUntil = performance.now() + CONFIG_LIFETIME_MS;
    try {
      credentials = read({ ...process.env, ...(await hiddenParameters(missing)) });
    } catch (error) {
      if (error instanceof CredentialError) throw error;
      const reason = `Parse.Config cannot be read: ${(error as Error).message}`;
      if (!lastGood) throw new CredentialError(`${missing.join(', ')} not in the environment, and ${reason}`);
      log.error(`${functionName} keeps the credentials that it has. ${reason}`);
      credentials = lastGood;
    }
    return credentials;
  }

  return async ({ log }) => {
    try {
      if (credentials && performance.now() < goodUntil) return credentials;
      loading ??= load(log).finally(() => {
        loading = undefined;
      });
      return await loading;
    } catch (error) {
      if (!(error instanceof CredentialError)) throw error;
      log.error(`${functionName} is not configured: ${error.message}`);
      const message = `${functionName} is not configured on this server; its log says what to mend.`;
      throw new Parse.Error(Parse.Error.SCRIPT_FAILED, message);
    }
  };
}

/**
 * The `Parse.Config` parameters of these names. `Parse.Config.get` would leave what the master key reads in
 * `Parse.Config.current()`, where the app's own Cloud Code may hand it to clients; so this asks as that does, and keeps
 * nothing.
 * @throws CredentialError for one that the public can read, or that is no String; what the server throws
 */
async function hiddenParameters(names: string[]): Promise<Environment> {
  const server = Parse.CoreManager.getRESTController();
  const parameters = async (options: object): Promise<Record<string, unknown>> =>
    (await server.request('GET', 'config', {}, options)).params;
  const [shown, all] = await Promise.all([parameters({}), parameters({ useMasterKey: true })]);

  const hidden: Record<string, string> = {};
  for (const name of names) {
    if (shown[name] !== undefined) {
      throw new CredentialError(
        `${name} is a Parse.Config parameter that the public can read: tick "Requires master key" for it, and ` +
          'make a new one if it was secret, for anybody may have read it.',
      );
    }
    const value = all[name] ?? '';
    if (typeof value !== 'string') {
      throw new CredentialError(`${name} is a Parse.Config parameter that is not of type String.`);
    }
    hidden[name] = value;
  }
  return hidden;
}

/**
 * The Virgil application's credentials: `VIRGIL_APP_ID` and `VIRGIL_APP_KEY_ID` (32 hex digits each), and
 * `VIRGIL_APP_KEY` (base64 of a PKCS#8 Ed25519 private key, RFC 8410, as Virgil's dashboard gives it).
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

/**
 * The Vonage application's credentials: `NEXMO_APP_ID` (its UUID), and `NEXMO_PRIVATE_KEY` (the PEM of its RSA key,
 * PKCS#8 or PKCS#1; its line ends may be those of Windows, or `\n` escapes).
 * @throws CredentialError naming the first variable at fault
 */
export function nexmoCredentials(environment: Environment): NexmoCredentials {
  const appId = bare(environment, 'NEXMO_APP_ID');
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(appId)) {
    throw new CredentialError(
      "NEXMO_APP_ID is not a UUID. The name shown in Vonage's dashboard is not the application's ID: copy the ID.",
    );
  }
  return { appId, privateKey: nexmoPrivateKey(environment) };
}

/** Where a service is. @throws CredentialError for what is not `https:`, as tokens go there; `http:` may be on this machine */
export function serviceUrl(environment: Environment, name: keyof typeof API_URLS): string {
  const value = environment[name] || API_URLS[name];
  if (!/^(https:\/\/[^/?#@]+|http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?)(\/[^?#]*)?$/.test(value)) {
    throw new CredentialError(`${name} is not an https:// address (http:// is for this machine alone).`);
  }
  return value.replace(/\/+$/, '');
}

function required(environment: Environment, name: string): string {
  const value = environment[name];
  if (!value) throw new CredentialError(`${name} is not set.`);
  return value;
}

function bare(environment: Environment, name: string): string {
  const value = required(environment, name);
  if (/^["']|["']$|^\s|\s$/.test(value)) {
    throw new CredentialError(`${name} has quotes or white space around it: set the bare value.`);
  }
  return value;
}

function virgilId(environment: Environment, name: string): string {
  const value = bare(environment, name);
  if (!/^[0-9a-f]{32}$/i.test(value)) {
    throw new CredentialError(
      `${name} is not an ID of 32 hex digits. The name shown in Virgil's dashboard is not its ID: copy the ID.`,
    );
  }
  return value;
}

function virgilAppKey(environment: Environment): KeyObject {
  const key = Buffer.from(bare(environment, 'VIRGIL_APP_KEY'), 'base64');
  const mend = "copy the App Key as Virgil's dashboard gives it, base64 of a PKCS#8 Ed25519 private key";
  return privateKey('VIRGIL_APP_KEY', { key, format: 'der', type: 'pkcs8' }, 'ed25519', mend);
}

function nexmoPrivateKey(environment: Environment): KeyObject {
  const name = 'NEXMO_PRIVATE_KEY';
  const pem = required(environment, name)
    .replace(/\\r|\r/g, '')
    .replace(/\\n/g, '\n');
  const mend = 'set the whole private.key of the Vonage application, the PEM of an RSA key, without quotes';
  const key = privateKey(name, { key: pem, format: 'pem' }, 'rsa', mend);
  // RFC 7518 section 3.3.
  const bits = key.asymmetricKeyDetails?.modulusLength as number;
  if (bits >= 2048) return key;
  throw new CredentialError(`${name} is an RSA key of ${bits} bits: RS256 needs 2048 or more.`);
}

/** @param mend what to set instead of a key that is public, none at all, or of another type */
function privateKey(
  name: string,
  encoded: PrivateKeyInput,
  type: KeyObject['asymmetricKeyType'],
  mend: string,
): KeyObject {
  const fault = (what: string) => new CredentialError(`${name} is ${what}: ${mend}.`);
  let key: KeyObject;
  try {
    key = createPrivateKey(encoded);
  } catch {
    throw fault(isPublicKey(encoded) ? 'a public key' : 'no private key');
  }
  if (key.asymmetricKeyType === type) return key;
  throw fault(`a key of type ${key.asymmetricKeyType}`);
}

function isPublicKey(encoded: PrivateKeyInput): boolean {
  try {
    createPublicKey({ ...encoded, type: 'spki' });
    return true;
  } catch {
    return false;
  }
}
