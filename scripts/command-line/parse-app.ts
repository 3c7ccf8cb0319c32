import { ask } from './prompt';
import { UserError } from './user-error';

/** How long the doctor waits for an answer. */
export const TIMEOUT_MS = 10_000;

/** The options that name a Parse app. */
type ParseAppValues = { [option in 'server' | 'app-id' | 'rest-key' | 'master-key']?: string };

export interface Caller {
  sessionToken?: string;
  masterKey?: string;
}

/** What a Parse Server answers: the result, or a code and a reason. */
export interface Answer<Body> {
  status: number;
  body: Partial<Body> & { code?: number };
}

/** A class as `GET /schemas` gives it. */
export interface ClassSchema {
  className: string;
  fields: Record<string, { type: string; targetClass?: string; defaultValue?: unknown }>;
  classLevelPermissions?: Record<string, unknown>;
}

/** The REST API of a Parse app. */
export class ParseApp {
  readonly server: string;
  private readonly keys: Record<string, string>;

  /**
   * @param environment `PARSE_REST_KEY`, for want of `--rest-key`
   * @throws UserError for an option that is missing, malformed or unsafe
   */
  constructor(values: ParseAppValues, environment: NodeJS.ProcessEnv) {
    if (values['master-key'] !== undefined) {
      throw new UserError(
        '--master-key is no option: npm prints the arguments it passes on, and shells keep them. ' +
          'Set PARSE_MASTER_KEY, or type the key when asked for it.',
      );
    }
    if (!values.server || !values['app-id']) {
      throw new UserError('Give both, --server URL and --app-id ID.');
    }
    this.server = serverUrl(values.server);
    const restKey = values['rest-key'] || environment.PARSE_REST_KEY;
    this.keys = {
      'X-Parse-Application-Id': values['app-id'],
      ...(restKey && { 'X-Parse-REST-API-Key': restKey }),
    };
  }

  /** @throws UserError when the server cannot be reached, does not answer as Parse Server does, or refuses the keys */
  async call<Body>(method: string, path: string, body?: object, caller: Caller = {}): Promise<Answer<Body>> {
    const response = await fetch(this.server + path, {
      method,
      headers: {
        ...this.keys,
        'Content-Type': 'application/json',
        'X-Parse-Revocable-Session': '1',
        ...(caller.sessionToken && { 'X-Parse-Session-Token': caller.sessionToken }),
        ...(caller.masterKey && { 'X-Parse-Master-Key': caller.masterKey }),
      },
      // Keys and passwords are for this server, not for the one that it points at.
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body && { body: JSON.stringify(body) }),
    }).catch((error: Error) => {
      throw new UserError(`${this.server} cannot be reached: ${whyUnreachable(error)}.`);
    });
    if (response.status >= 300 && response.status < 400) {
      throw new UserError(`${this.server} redirects to another address: give that one as --server.`);
    }
    let json: unknown;
    try {
      const text = await response.text();
      // To `DELETE /files/…` Parse Server answers nothing.
      json = response.ok && text === '' ? {} : JSON.parse(text);
    } catch {
      json = undefined;
    }
    if (typeof json !== 'object' || json === null) {
      throw new UserError(
        `${this.server} does not answer as Parse Server does (status ${response.status}): give the URL of the REST API, ` +
          'such as https://parseapi.back4app.com, or http://localhost:1337/parse.',
      );
    }
    const answer = { status: response.status, body: json as Answer<Body>['body'] };
    // Parse Server gives no code where the request is not let in at all.
    if (answer.status === 403 && answer.body.code === undefined && !caller.masterKey) {
      throw new UserError(
        `${this.server} refuses the application ID or the key: check --app-id, and set PARSE_REST_KEY (or give --rest-key) where the app has one.`,
      );
    }
    return answer;
  }

  /** @throws UserError also when the master key is refused */
  async schemas(masterKey: string): Promise<Map<string, ClassSchema>> {
    const { status, body } = await this.call<{ results: ClassSchema[] }>('GET', '/schemas', undefined, {
      masterKey,
    });
    if (!body.results) {
      throw new UserError(
        status === 403
          ? `${this.server} refuses the master key: check PARSE_MASTER_KEY and --app-id, and that the server's masterKeyIps lets this machine in.`
          : `${this.server} does not show its schema (${inShort({ status, body })}).`,
      );
    }
    return new Map(body.results.map((schema) => [schema.className, schema]));
  }
}

/** What can be told of an answer without repeating any of it. */
export function inShort({ status, body }: Answer<unknown>): string {
  return body.code === undefined ? `status ${status}` : `status ${status}, code ${body.code}`;
}

/** The master key: `PARSE_MASTER_KEY`, or what is typed where one may ask. Undefined where there is neither. */
export async function givenMasterKey(
  environment: NodeJS.ProcessEnv,
  mayAsk: boolean,
): Promise<string | undefined> {
  if (environment.PARSE_MASTER_KEY) return environment.PARSE_MASTER_KEY;
  return (mayAsk && (await ask('Master key (not shown; Enter for none):', { secret: true }))) || undefined;
}

function serverUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new UserError('--server is not a URL: give one such as https://parseapi.back4app.com.');
  }
  const isLocal = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocal)) {
    throw new UserError('--server must begin with https://, for passwords and keys travel there.');
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

const UNREACHABLE: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'there is no such host, or no network',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what listens there speaks no TLS: http:// perhaps, or another port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'what listens there speaks no TLS: http:// perhaps, or another port',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: "its certificate is not valid yet, or this machine's clock is wrong",
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself, which clients refuse too',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by an authority that this machine does not know',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate is signed by an authority that this machine does not know',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate of who signed its certificate is not sent along',
};

/** @param error what `fetch` rejects with */
export function whyUnreachable(error: Error): string {
  if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} seconds`;
  // Fails before it is sent.
  if (!error.cause) return 'a key has a character in it that no key has';
  const { code = 'no connection' } = error.cause as { code?: string };
  return UNREACHABLE[code] ?? code;
}
