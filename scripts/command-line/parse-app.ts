import * as z from 'zod';
import { codeIn, isRecord, parsed, request, whyUnreachable } from './bounded-request';
import { ask } from './prompt';
import { shown } from './shown';
import { UserError } from './user-error';

/** The options that name a Parse app. */
type ParseAppValues = { [option in 'server' | 'app-id' | 'rest-key' | 'master-key']?: string };

export interface Caller {
  sessionToken?: string;
  masterKey?: string;
}

/** What a Parse Server answers. It may be hostile: each member of the body is looked at before it is used. */
export interface Answer {
  status: number;
  /** A result, an array, or the reason of an error. */
  body: Record<string, unknown>;
  /** The code of an error. */
  code?: number;
}

const classSchema = z.object({
  className: z.string().regex(/^[A-Za-z_][\w:]*$/),
  fields: z.record(
    z.string(),
    z.object({ type: z.string(), targetClass: z.string().optional(), defaultValue: z.unknown().optional() }),
  ),
  classLevelPermissions: z.record(z.string(), z.unknown()).optional(),
});

/** A class as `GET /schemas` gives it. Only the class's own name is known to have the form of one. */
export type ClassSchema = z.infer<typeof classSchema>;

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

  /**
   * @param path made by `pathTo` where a name in it came from a server
   * @throws UserError when the request fails, or the server does not answer as Parse Server does, or refuses the keys
   */
  async call(method: string, path: string, body?: object, caller: Caller = {}): Promise<Answer> {
    const { status, text } = await request(this.server + path, {
      method,
      headers: {
        ...this.keys,
        'Content-Type': 'application/json',
        'X-Parse-Revocable-Session': '1',
        ...(caller.sessionToken && { 'X-Parse-Session-Token': caller.sessionToken }),
        ...(caller.masterKey && { 'X-Parse-Master-Key': caller.masterKey }),
      },
      ...(body && { body: JSON.stringify(body) }),
    }).catch((error: Error) => {
      throw new UserError(`The request to ${this.server} failed: ${whyUnreachable(error)}.`, {
        cause: error,
      });
    });
    if (status >= 300 && status < 400) {
      throw new UserError(`${this.server} redirects to another address: give that one as --server.`);
    }
    // To `DELETE /files/…` Parse Server answers nothing.
    const json = status < 300 && text === '' ? {} : parsed(text);
    if (json === undefined) {
      throw new UserError(
        `${this.server} does not answer as Parse Server does (status ${status}): give the URL of the REST API, ` +
          'such as https://parseapi.back4app.com, or http://localhost:1337/parse.',
      );
    }
    const code = codeIn(json);
    // Parse Server gives no code where the request is not let in at all.
    if (status === 403 && code === undefined && !caller.masterKey) {
      throw new UserError(
        `${this.server} refuses the application ID or the key: check --app-id, and set PARSE_REST_KEY (or give --rest-key) where the app has one.`,
      );
    }
    return { status, body: json, code };
  }

  /** @throws UserError also when the master key is refused, or a class is not described as Parse Server describes one */
  async schemas(masterKey: string): Promise<Map<string, ClassSchema>> {
    const answer = await this.call('GET', '/schemas', undefined, { masterKey });
    const results = z.array(classSchema).safeParse(answer.body.results);
    if (!results.success) {
      throw new UserError(
        answer.status === 403
          ? `${this.server} refuses the master key: check PARSE_MASTER_KEY and --app-id, and that the server's masterKeyIps lets this machine in.`
          : `${this.server} does not show its schema as Parse Server does (${inShort(answer)}).`,
      );
    }
    return new Map(results.data.map((schema) => [schema.className, schema]));
  }
}

/** What can be told of an answer without repeating any of it. */
export function inShort({ status, code }: Pick<Answer, 'status' | 'code'>): string {
  return code === undefined ? `status ${status}` : `status ${status}, code ${code}`;
}

/** The rows in the answer to a query; undefined where there are none as Parse Server gives them. */
export function rowsIn({ body }: Answer): Record<string, unknown>[] | undefined {
  const { results } = body;
  return Array.isArray(results) && results.every(isRecord) ? results : undefined;
}

/**
 * Makes a path of the REST API. Each name in it becomes one segment, whatever it holds.
 *
 * @throws UserError for a name that would lead to another path
 */
export function pathTo(parts: TemplateStringsArray, ...names: string[]): string {
  const segments = names.map((name) => {
    if (/^\.*$/.test(name)) throw new UserError(`${shown(name)} cannot be part of a path: nothing is sent.`);
    return encodeURIComponent(name);
  });
  return String.raw({ raw: parts }, ...segments);
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
