import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a terminal obeys: its title, colours, a cleared screen; and what reorders, hides or ends a line. */
export const ATTACK =
  '\x1b]0;owned\x07\x1b[31m\x9b2J\u202Egnirts\u2066\u200B\u2028\r\nok       all is well\uDC00\u{E0041}';
// Everything of it that must not be printed. A line break is looked for by the line that it would begin.
const OBEYED =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\0-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]|^ok {7}all is well/m;

/** @returns what a terminal would obey in a text that a command has printed */
export const obeyedIn = (text: string): string | undefined => OBEYED.exec(text)?.[0];

/** The path of a request that a server would like to be sent with a session or the master key. */
export const TRAVERSAL = '../../users/me';

/** What else may come in place of any value. */
export const HOSTILE_VALUES = ['..', null, 1e21, [], { toString: 1, length: 2e9 }, 'x'.repeat(1e5)];

/** An answer: JSON, or a text as it is. */
type Json = unknown;

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);
const tokenOf = (identity: string) =>
  [
    part({ alg: 'VEDS512', typ: 'JWT', cty: 'virgil-jwt;v=1', kid: '1'.repeat(32) }),
    part({ iss: `virgil-${'0'.repeat(32)}`, sub: `identity-${identity}`, iat: now(), exp: now() + 1200 }),
    'AAAA',
  ].join('.');

const column = (type: string) => ({ type });
const SCHEMAS = [
  {
    className: 'Message',
    fields: { body: column('Number'), photo: column('File'), stray: { type: 'String', defaultValue: 'x' } },
    classLevelPermissions: {
      find: { '*': true },
      get: { requiresAuthentication: true, pointerFields: ['sender'] },
      create: { 'role:a': true, user1: true },
      update: {},
      addField: { '*': true },
      readUserFields: ['sender'],
      protectedFields: { '*': ['stray'] },
    },
  },
  { className: '_User', fields: {}, classLevelPermissions: { addField: { '*': true } } },
];

/** What an ordinary Parse Server, whose app lacks all guards, answers to what the commands ask; and a Virgil Cloud. */
const ANSWERS: [request: RegExp, answer: () => Json][] = [
  [
    /^POST \/functions\/virgil-jwt with a session/,
    () => ({
      result: {
        token: tokenOf('user1'),
        identity: 'user1',
        expiresAt: new Date((now() + 1200) * 1000).toISOString(),
      },
    }),
  ],
  [/^POST \/functions\//, () => ({ code: 209, error: 'Invalid session token' })],
  [/^GET \/classes\/Doctor/, () => ({ code: 119, error: 'non-existent class' })],
  [/^GET \/config/, () => ({ params: { welcome: 'hello' } })],
  [/^POST \/users/, () => ({ code: 105, error: 'objectId is an invalid field name.' })],
  [/^POST \/login/, () => ({ objectId: 'user1', sessionToken: 'r:session' })],
  [/^GET \/sessions\/me/, () => ({ expiresAt: { __type: 'Date', iso: '2099-01-01T00:00:00.000Z' } })],
  [/^PUT \/users\/user1/, () => ({ code: 119, error: 'forbidden' })],
  [/^POST \/classes\//, () => ({ objectId: 'row1', createdAt: '2020-01-01T00:00:00.000Z' })],
  [/^GET \/classes\/\w+\/row1/, () => ({ objectId: 'row1', body: 'another' })],
  [/^GET \/classes\/\w+\?.*count=1/, () => ({ results: [], count: 3 })],
  [
    /^GET \/classes\//,
    () => ({ results: [{ objectId: 'row1', body: 'plain', photo: { __type: 'File', name: 'x.png' } }] }),
  ],
  [/^DELETE \/classes\//, () => ({})],
  [/^DELETE \/files\//, () => ({ code: 153, error: 'Could not delete file.' })],
  [/^POST \/files\//, () => ({ name: 'abc_e2ee.bin', url: 'http://127.0.0.1/abc_e2ee.bin' })],
  [/^POST \/logout/, () => ({ code: 209, error: 'no' })],
  [/^GET \/schemas/, () => ({ results: SCHEMAS })],
  [/^(POST|PUT) \/schemas\//, () => ({ className: 'Message' })],
  [
    /^GET \/hooks\/triggers/,
    () => [
      { className: 'Message', triggerName: 'beforeSave' },
      { className: 'VirgilErasure', triggerName: 'beforeFind' },
    ],
  ],
  [/^GET \/hooks\/functions/, () => [{ functionName: 'virgil-jwt', url: 'http://127.0.0.1/' }]],
  [/^GET \/sessions\?/, () => ({ results: [{ queryPlanner: { winningPlan: { stage: 'COLLSCAN' } } }] })],
  [/^GET \/scriptlog/, () => [{ level: 'warn', message: 'e2ee report: Message: 142' }]],
  [/^POST \/card\//, () => ({ code: 20304, message: 'invalid token' })],
];

const STATUS: Record<string, number> = { 105: 400, 119: 400, 101: 404, 209: 400, 20304: 401 };

/** @param route the pattern among `ANSWERS` that the request has */
export type Alter = (answer: Json, route: RegExp) => Json;

/** A server that answers like Parse Server and Virgil Cloud, with whatever a test puts into the answers. */
export async function startHostileServer() {
  const requests: { method: string; url: string; isMaster: boolean; isUser: boolean }[] = [];
  const settings: {
    alter: Alter;
    respond?: (request: IncomingMessage, response: ServerResponse) => boolean;
  } = {
    alter: (answer) => answer,
  };
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    const isUser = headers['x-parse-session-token'] !== undefined;
    requests.push({ method, url, isMaster: headers['x-parse-master-key'] !== undefined, isUser });
    request.resume();
    if (settings.respond?.(request, response)) return;
    const path = `${method} ${url}${isUser ? ' with a session' : ''}`;
    const found = ANSWERS.find(([pattern]) => pattern.test(path));
    const good = found?.[1]() ?? { code: 1, error: 'unexpected' };
    const { code } = good as { code?: number };
    const answer = settings.alter(good, found?.[0] ?? /^$/);
    response.writeHead(code === undefined ? 200 : (STATUS[code] ?? 400), 'OK');
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    settings,
    stop: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

type Place = { route: string; at: (string | number)[]; isName: boolean };

/** Every value, and every name of a member, in what the server answers. */
export function placesInAnswers(): Place[] {
  const within = (json: Json, at: Place['at']): Omit<Place, 'route'>[] => [
    { at, isName: false },
    ...(typeof json === 'object' && json !== null
      ? Object.entries(json).flatMap(([name, value]) => [
          ...(Array.isArray(json) ? [] : [{ at: [...at, name], isName: true }]),
          ...within(value, [...at, name]),
        ])
      : []),
  ];
  return ANSWERS.flatMap(([{ source }, answer]) =>
    within(answer(), []).map((place) => ({ route: source, ...place })),
  );
}

/** Puts a value into one place: as the value there, or as the name of that member. */
export function putting(value: Json, { route, at, isName }: Place): Alter {
  const put = (json: Json, [name, ...rest]: Place['at']): Json => {
    if (name === undefined) return value;
    const entries = Object.entries(json as object).map(([key, member]) => {
      if (key !== name) return [key, member];
      return isName && rest.length === 0 ? [value as string, member] : [key, put(member, rest)];
    });
    return Array.isArray(json) ? entries.map(([, member]) => member) : Object.fromEntries(entries);
  };
  return (answer, { source }) => (source === route ? put(answer, at) : answer);
}
