import { randomBytes } from 'node:crypto';
import type { VirgilPublicKey } from 'virgil-crypto';
import type { Jwt } from 'virgil-sdk';
import {
  type Environment,
  NEXMO_VARIABLES,
  serviceUrl,
  VIRGIL_VARIABLES,
  type VirgilCredentials,
  virgilCredentials,
} from '../../cloud/credentials';
import type { ClassPolicy, Policy } from '../../cloud/policy';
import { isIdentifier, SESSION_TOKEN } from '../../cloud/session';
import { isRecord } from '../command-line/bounded-request';
import { type Answer, inShort, type ParseApp, pathTo } from '../command-line/parse-app';
import { shown } from '../command-line/shown';
import { UserError } from '../command-line/user-error';
import { type Column, columnOf } from '../project/policy';
import { checkUpload } from './files';
import { type Finding, type Findings, fault, ok, skipped, warning } from './finding';
import { GROUP_ID, makeEnvelope, makeGroupMessage, openCard, PLAINTEXT } from './probes';
import { checkVirgilCloud } from './virgil-cloud';
import { claimFaults, isSignedWith, readToken } from './virgil-token';

// Parse.Error codes.
const CONNECTION_FAILED = 100;
const OBJECT_NOT_FOUND = 101;
const INCORRECT_TYPE = 111;
const OBJECT_TOO_LARGE = 116;
const OPERATION_FORBIDDEN = 119;
const SCRIPT_FAILED = 141;
const VALIDATION_ERROR = 142;
const INVALID_SESSION_TOKEN = 209;

interface LoggedIn {
  identity: string;
  sessionToken: string;
}

/** Checks what anybody can see of a deployed app. */
export async function* checkDeployed(app: ParseApp): Findings {
  const answer = await app.call('POST', '/functions/virgil-jwt', {});
  yield ok('server', `${app.server} answers`);
  if (answer.code === INVALID_SESSION_TOKEN) yield ok('virgil-jwt', 'refuses a call without a session');
  else if (answer.status === 200) {
    yield fault(
      'virgil-jwt',
      'answers a call without a session: what runs there is not this package. npm run deploy.',
    );
  } else if (answer.code === SCRIPT_FAILED) yield fault('virgil-jwt', whyFailed(answer));
  else yield fault('virgil-jwt', `gives no answer of its own (${inShort(answer)}): npm run deploy.`);

  // A query creates no class, and is refused for want of the class only where clients may not create it.
  const unknownClass = `Doctor${randomBytes(8).toString('hex')}`;
  const query = await app.call('GET', `/classes/${unknownClass}?limit=1`);
  yield query.code === OPERATION_FORBIDDEN
    ? ok('class creation', 'clients may not create classes')
    : fault(
        'class creation',
        'clients may create classes, which no guard looks at. On Back4App switch off "Allow class creation" (Server Settings, ' +
          'Core Settings, Edit details); elsewhere set the option allowClientClassCreation to false.',
      );
  yield await checkPublicConfig(app);
}

/** Tells a function that is missing from one that is somebody else's. The server's text is compared, and not printed. */
function whyFailed({ body }: Answer): string {
  const error = typeof body.error === 'string' ? body.error : '';
  if (error.startsWith('Invalid function')) return 'is not there: npm run deploy.';
  if (error.includes('Cannot convert undefined or null to object')) {
    return (
      'cannot ask the database: the server has router 2.3, with which queries from Cloud Code fail. There, run npm install --save-exact router@2.2.0 ' +
      '(docs/self-hosting.md).'
    );
  }
  if (error.includes('is not configured on this server')) {
    return 'is not configured: set the VIRGIL_ variables on the server; its log names the one at fault.';
  }
  return (
    "answers as ours does not: another function of this name, your app's or a webhook, answers in its place. Remove it; npm run doctor " +
    'without --server names definitions in your files.'
  );
}

async function checkPublicConfig(app: ParseApp): Promise<Finding> {
  const check = 'Parse.Config';
  const answer = await app.call('GET', '/config');
  const { params } = answer.body;
  if (!isRecord(params)) return skipped(check, `the server does not show it (${inShort(answer)}).`);
  const credentials = [...VIRGIL_VARIABLES, 'VIRGIL_API_URL', ...NEXMO_VARIABLES, 'NEXMO_API_URL'];
  const readable = credentials.filter((name) => params[name] !== undefined);
  return readable.length > 0
    ? fault(
        check,
        `the public can read ${readable.join(', ')}: make new ones, and tick "Requires master key" for them in the dashboard.`,
      )
    : ok(check, 'shows no credential to the public');
}

/**
 * Checks what a user gets of a deployed app, and deletes what it made: the session, and the rows that were accepted.
 *
 * @returns the name of a file that was accepted, which no user may delete
 */
export async function* checkAsUser(
  app: ParseApp,
  policy: Policy,
  user: { username: string; password: string },
  environment: Environment,
  given: GivenRows = {},
): AsyncGenerator<Finding, string | undefined> {
  const login = await app.call('POST', '/login', user);
  const { objectId: identity, sessionToken } = login.body;
  if (!identity || !sessionToken) {
    yield fault(
      'log in',
      login.code === OBJECT_NOT_FOUND
        ? 'no such user, or another password: check DOCTOR_USER and DOCTOR_PASSWORD, or what you typed.'
        : `the server does not let this user log in (${inShort(login)}).`,
    );
    return undefined;
  }
  if (!isIdentifier(identity) || !(typeof sessionToken === 'string' && SESSION_TOKEN.test(sessionToken))) {
    yield fault(
      'log in',
      'the server gives an objectId or a session token that does not have the form of one. Nothing more is sent as this user: ' +
        'check --server, and who controls that server.',
    );
    return undefined;
  }
  yield ok('log in', 'the user has a session');
  try {
    const token = yield* checkToken(app, policy, { identity, sessionToken }, environment);
    if (policy.virgil.guardUserIds) yield await checkUserId(app, { identity, sessionToken });
    yield* withCard(policy, { token, identity }, environment, async function* (card) {
      for (const [className, classPolicy] of Object.entries(policy.classes)) {
        const rows = rowsOf(app, className, classPolicy, { identity, sessionToken }, given[className]);
        const maySave =
          classPolicy.encrypted.length === 0 || (yield* checkGuard(className, classPolicy, rows));
        if (maySave) yield* checkSaves(className, classPolicy, rows, card);
      }
    });
    return policy.files && (yield* checkUpload(app, sessionToken));
  } finally {
    const logout = await app.call('POST', '/logout', {}, { sessionToken });
    yield logout.status === 200
      ? ok('log out', 'the session is deleted')
      : fault(
          'log out',
          `the session is still there (${inShort(logout)}): delete it in the dashboard, class Session.`,
        );
  }
}

/** @returns the token, where there is one for this user: with another user's nothing more is done */
async function* checkToken(
  app: ParseApp,
  policy: Policy,
  { identity, sessionToken }: LoggedIn,
  environment: Environment,
): AsyncGenerator<Finding, string | undefined> {
  const check = 'token';
  const answer = await app.call('POST', '/functions/virgil-jwt', {}, { sessionToken });
  const issued = isRecord(answer.body.result) ? answer.body.result : {};
  if (typeof issued.token !== 'string') {
    yield fault(
      check,
      answer.code === SCRIPT_FAILED
        ? `virgil-jwt ${whyFailed(answer)}`
        : `virgil-jwt gives none (${inShort(answer)}).`,
    );
    return undefined;
  }
  if (issued.identity === undefined && issued.expiresAt === undefined) {
    yield fault(
      check,
      "another function answers as virgil-jwt, your app's or a webhook: its answer has no identity. Remove it.",
    );
    return undefined;
  }
  const jwt = readToken(issued.token);
  if (!jwt) {
    yield fault(check, 'virgil-jwt gives something that is no JWT: npm run deploy.');
    return undefined;
  }
  const { expiresAt } = (await app.call('GET', '/sessions/me', undefined, { sessionToken })).body;
  const sessionEnd = expiresAt ? timeOf(isRecord(expiresAt) && expiresAt.iso) : Number.POSITIVE_INFINITY;
  const faults = claimFaults(jwt, { identity, sessionEnd, tokenTtlSeconds: policy.virgil.tokenTtlSeconds });
  if (issued.identity !== identity) faults.push("identity is not the user's objectId");
  if (timeOf(issued.expiresAt) !== jwt.body.exp * 1000) faults.push('expiresAt is not the time in exp');
  yield faults.length > 0
    ? fault(check, `${faults.join('; ')}.`)
    : ok(check, 'header, issuer, identity, times: all as they should be');
  yield await checkSignature(jwt, environment);
  yield await checkVirgilCloud(issued.token, identity, environment);
  return jwt.body.sub === `identity-${identity}` ? issued.token : undefined;
}

/**
 * Runs checks with a card of the user's where a class asks whom its ciphertext is for. One that had to be published for that
 * is revoked afterwards.
 */
async function* withCard(
  { classes }: Policy,
  { token, identity }: { token: string | undefined; identity: string },
  environment: Environment,
  check: (card: VirgilPublicKey | undefined) => Findings,
): Findings {
  const asking = Object.keys(classes).filter((name) => classes[name]?.recipients);
  if (asking.length === 0) return yield* check(undefined);
  const classesAsking = `"recipients" of ${asking.join(', ')}`;
  if (token === undefined) {
    yield fault('recipients', `${classesAsking}: the server needs good VIRGIL_ variables to check them.`);
    return yield* check(undefined);
  }
  let card: Awaited<ReturnType<typeof openCard>>;
  try {
    card = await openCard(serviceUrl(environment, 'VIRGIL_API_URL'), token, identity);
  } catch (error) {
    yield skipped(
      'recipients',
      `needs a card of the user's for ${classesAsking}: ${shown((error as Error).message)}`,
    );
    return yield* check(undefined);
  }
  try {
    yield* check(card.publicKey);
  } finally {
    const left = await card.close().catch((error: Error) => error);
    if (left)
      yield fault('recipients', `the doctor's card of this user is still there: ${shown(left.message)}`);
  }
}

async function checkSignature(jwt: Jwt, environment: Environment): Promise<Finding> {
  const check = 'signature';
  let here: VirgilCredentials;
  try {
    here = virgilCredentials(environment);
  } catch {
    return skipped(check, "needs the server's VIRGIL_ variables here as well.");
  }
  const appId = jwt.body.iss.replace(/^virgil-/, '');
  const { kid } = jwt.header;
  if (appId === here.appKeyId && kid === here.appId) {
    return fault(check, 'VIRGIL_APP_ID and VIRGIL_APP_KEY_ID are swapped on the server, or here.');
  }
  if (appId !== here.appId) {
    return skipped(check, 'the server has another VIRGIL_APP_ID than is set here.');
  }
  if (kid !== here.appKeyId) {
    return skipped(check, 'the server signs with another App Key (VIRGIL_APP_KEY_ID) than is set here.');
  }
  return (await isSignedWith(jwt, here))
    ? ok(check, 'made by the App Key that is set here')
    : fault(
        check,
        'VIRGIL_APP_KEY on the server is another key than here, under the same VIRGIL_APP_KEY_ID: set the one that belongs to it.',
      );
}

/**
 * Tries to change the user's `objectId`, in a save that changes nothing whatever the answer: Parse Server asks the triggers
 * first and looks at the types of the fields then, and an `email` is no number.
 */
async function checkUserId(app: ParseApp, { identity, sessionToken }: LoggedIn): Promise<Finding> {
  const check = 'user IDs';
  const change = { objectId: `${identity}x`, email: 1 };
  const answer = await app.call('PUT', pathTo`/users/${identity}`, change, { sessionToken });
  if (answer.code === OPERATION_FORBIDDEN) return ok(check, 'nobody may change theirs');
  return answer.code === INCORRECT_TYPE
    ? fault(check, 'are not guarded on the server, as the policy says they are: npm run deploy.')
    : skipped(check, `the server does not tell whether they are guarded (${inShort(answer)}).`);
}

/** The rows of a class, as one user saves them. */
function rowsOf(
  app: ParseApp,
  className: string,
  policy: ClassPolicy,
  { identity, sessionToken }: LoggedIn,
  given: object = {},
) {
  const { encrypted, types, sender, recipients, group } = policy;
  const users = [sender ?? [], Array.isArray(recipients) ? recipients : []].flat();
  const call = (method: string, pathOfRow: string, body?: object) =>
    app.call(method, pathOfRow, body, { sessionToken });
  return {
    /** @throws UserError where the server gives the row an ID that cannot be one: it is no Parse Server to go on with */
    async save(payload: string): Promise<Answer & { objectId?: string }> {
      const answer = await call('POST', `/classes/${className}`, {
        ...Object.fromEntries(
          Object.keys(types).map((field) => [field, example(columnOf(policy, field), identity)]),
        ),
        ...Object.fromEntries(
          users
            .filter((field) => columnOf(policy, field).type === 'String')
            .map((field) => [field, identity]),
        ),
        ...(group && { [group]: groupExample(columnOf(policy, group)) }),
        ...given,
        ...Object.fromEntries(encrypted.map((field) => [field, payload])),
        ACL: { [identity]: { read: true, write: true } },
      });
      const { objectId } = answer.body;
      if (objectId === undefined || isIdentifier(objectId)) return { ...answer, objectId };
      throw new UserError(
        `${app.server} calls a row of ${className} ${shown(objectId)}, which cannot be an ID: nothing more is sent. Look for the ` +
          "doctor's row in the dashboard, and check --server.",
      );
    },
    read: (objectId: string) => call('GET', pathTo`/classes/${className}/${objectId}`),
    /** @returns a fault where the row is still there */
    async remove(objectId: string, check: string): Promise<Finding | undefined> {
      const { status } = await call('DELETE', pathTo`/classes/${className}/${objectId}`);
      if (status === 200) return undefined;
      return fault(
        check,
        `the doctor may not delete its row ${shown(objectId)}: delete it in the dashboard.`,
      );
    },
  };
}

/** @returns milliseconds since 1970, or NaN for what is no time */
function timeOf(iso: unknown): number {
  return typeof iso === 'string' ? Date.parse(iso) : Number.NaN;
}

/** The group of the doctor's group messages, as a field of this type names it. */
function groupExample({ targetClass }: Column): unknown {
  return targetClass ? { __type: 'Pointer', className: targetClass, objectId: GROUP_ID } : GROUP_ID;
}

/** A value of a plain field of this type. */
function example({ type, targetClass }: Column, identity: string): unknown {
  const values: Record<string, unknown> = {
    String: 'doctor',
    Number: 0,
    Boolean: false,
    Date: { __type: 'Date', iso: new Date().toISOString() },
    Array: [],
    Pointer: {
      __type: 'Pointer',
      className: targetClass,
      objectId: targetClass === '_User' ? identity : 'doctor',
    },
  };
  return values[type];
}

type Rows = ReturnType<typeof rowsOf>;

/** Values of plain fields, by class, for an app whose own trigger wants real ones. */
export type GivenRows = Record<string, object>;

/** Whether the guard rejects a save, and not the app's own code: by the guard's codes, and how its messages begin. */
function isOfGuard({ code, body }: Answer, className: string): boolean {
  const codes = [
    CONNECTION_FAILED,
    OBJECT_TOO_LARGE,
    OPERATION_FORBIDDEN,
    VALIDATION_ERROR,
    INVALID_SESSION_TOKEN,
  ];
  const begins = [
    `${className}.`,
    `${className} `,
    `A field of ${className}`,
    'Only its sender',
    'The ID of a',
    'No valid session',
  ];
  const { error } = body;
  return (
    codes.includes(code as number) &&
    typeof error === 'string' &&
    begins.some((text) => error.startsWith(text))
  );
}

const OF_THE_APP =
  "your app's own code rejects the doctor's row, or Parse Server does: give the row values that it takes, by --row FILE.";

const MAY_NOT_SAVE =
  'this user may not save here. If the class or a field is not there: npm run schema. If the class lets only some users create ' +
  'rows, name one of them: DOCTOR_USER.';

/**
 * Saves plaintext, as a client with a mistake would.
 *
 * @returns whether there is any sense in saving more
 */
async function* checkGuard(
  className: string,
  { mode }: ClassPolicy,
  rows: Rows,
): AsyncGenerator<Finding, boolean> {
  const check = `${className} guard`;
  const save = await rows.save(PLAINTEXT);
  const { objectId, code } = save;
  if (objectId) {
    yield mode === 'report'
      ? warning(check, 'plaintext is accepted, since the policy only reports it.')
      : fault(check, 'plaintext is accepted: npm run deploy, and see that no webhook replaces the guard.');
    const left = await rows.remove(objectId, check);
    if (left) yield left;
    return !left;
  }
  if (code === VALIDATION_ERROR && mode === 'report') {
    yield fault(check, 'plaintext is refused, where the policy says "report": npm run deploy.');
  } else if (code === VALIDATION_ERROR && isOfGuard(save, className)) yield ok(check, 'plaintext is refused');
  else if (code === OPERATION_FORBIDDEN) yield fault(check, MAY_NOT_SAVE);
  else if (isOfGuard(save, className) || code === INCORRECT_TYPE) {
    yield fault(
      check,
      `what it refuses is not plaintext (${inShort(save)}): npm run schema, npm run deploy.`,
    );
  } else yield fault(check, `${OF_THE_APP} (${inShort(save)}) So the guard was not reached.`);
  return code === VALIDATION_ERROR && isOfGuard(save, className);
}

/** Saves what clients of the class save. */
async function* checkSaves(
  className: string,
  policy: ClassPolicy,
  rows: Rows,
  card: VirgilPublicKey | undefined,
): Findings {
  const check = `${className} save`;
  if (policy.recipients && !card) {
    yield skipped(check, "needs a card of the user's: see recipients.");
  } else {
    yield* checkSave(check, className, policy, rows, await makeEnvelope(card));
  }
  if (policy.recipients && card && policy.mode === 'enforce') yield* checkStranger(className, rows);
  if (policy.group)
    yield* checkSave(`${className} group message`, className, policy, rows, await makeGroupMessage());
}

/** Saves a message for a key that nobody has, as a client with a mistake would. */
async function* checkStranger(className: string, rows: Rows): Findings {
  const check = `${className} recipients`;
  const save = await rows.save(await makeEnvelope());
  const { objectId, code } = save;
  if (code === VALIDATION_ERROR) yield ok(check, 'a message for somebody else is refused');
  else if (objectId || code === CONNECTION_FAILED) {
    yield fault(
      check,
      'are not checked: the server cannot ask Virgil Cloud, or has another VIRGIL_API_URL. Its log says why.',
    );
  } else yield fault(check, `a message for somebody else is not what is refused (${inShort(save)}).`);
  const left = objectId ? await rows.remove(objectId, check) : undefined;
  if (left) yield left;
}

/** Saves an envelope and reads it, as every client does. */
async function* checkSave(
  check: string,
  className: string,
  { encrypted }: ClassPolicy,
  rows: Rows,
  envelope: string,
): Findings {
  const save = await rows.save(envelope);
  const { objectId, code } = save;
  if (!objectId) {
    yield fault(
      check,
      code === OPERATION_FORBIDDEN
        ? MAY_NOT_SAVE
        : isOfGuard(save, className)
          ? `a client cannot save (${inShort(save)}): the deployed guard has another policy. npm run deploy.`
          : `a client cannot save (${inShort(save)}): ${OF_THE_APP}`,
    );
    return;
  }
  const read = await rows.read(objectId);
  if (read.status !== 200) {
    yield fault(
      check,
      `this user cannot read what it has saved (${inShort(read)}): see who may get rows of this class, in its permissions in the dashboard.`,
    );
  } else if (encrypted.some((field) => read.body[field] !== envelope)) {
    yield fault(check, 'what is read is not what was saved: see what other triggers of the class do.');
  } else {
    yield ok(check, 'a client can save, and reads what it has saved');
  }
  const left = await rows.remove(objectId, check);
  if (left) yield left;
}
