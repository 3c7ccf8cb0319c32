import { randomBytes } from 'node:crypto';
import { Jwt } from 'virgil-sdk';
import {
  type Environment,
  NEXMO_API_URL,
  NEXMO_VARIABLES,
  VIRGIL_VARIABLES,
  type VirgilCredentials,
  virgilCredentials,
} from '../../cloud/credentials';
import type { ClassPolicy, Policy } from '../../cloud/policy';
import type { IssuedToken } from '../../cloud/tokens/issued-token';
import { inShort, type ParseApp } from '../parse-app';
import { type Finding, type Findings, fault, ok, skipped } from './finding';
import { claimFaults, isSignedWith } from './virgil-token';

// Parse.Error codes.
const OBJECT_NOT_FOUND = 101;
const INCORRECT_TYPE = 111;
const OPERATION_FORBIDDEN = 119;
const SCRIPT_FAILED = 141;
const VALIDATION_ERROR = 142;
const INVALID_SESSION_TOKEN = 209;

/** What the doctor tries to save. It must be refused. */
const PLAINTEXT = 'The doctor asks: is plaintext refused?';

interface LoggedIn {
  identity: string;
  sessionToken: string;
}

/** Checks what anybody can see of a deployed app. */
export async function* checkDeployed(app: ParseApp): Findings {
  const { status, body } = await app.call('POST', '/functions/virgil-jwt', {});
  yield ok('server', `${app.server} answers`);
  if (body.code === INVALID_SESSION_TOKEN) yield ok('virgil-jwt', 'refuses a call without a session');
  else if (status === 200) {
    yield fault(
      'virgil-jwt',
      'answers a call without a session: what runs there is not this package. npm run deploy.',
    );
  } else if (body.code === SCRIPT_FAILED) yield fault('virgil-jwt', 'is not there: npm run deploy.');
  else
    yield fault('virgil-jwt', `gives no answer of its own (${inShort({ status, body })}): npm run deploy.`);

  // A query creates no class, and is refused for want of the class only where clients may not create it.
  const unknownClass = `Doctor${randomBytes(8).toString('hex')}`;
  const query = await app.call('GET', `/classes/${unknownClass}?limit=1`);
  yield query.body.code === OPERATION_FORBIDDEN
    ? ok('class creation', 'clients may not create classes')
    : fault(
        'class creation',
        'clients may create classes, which no guard looks at: set allowClientClassCreation to false.',
      );
  yield await checkPublicConfig(app);
}

async function checkPublicConfig(app: ParseApp): Promise<Finding> {
  const check = 'Parse.Config';
  const answer = await app.call<{ params: Record<string, unknown> }>('GET', '/config');
  const { params } = answer.body;
  if (!params) return skipped(check, `the server does not show it (${inShort(answer)}).`);
  const credentials = [...VIRGIL_VARIABLES, ...NEXMO_VARIABLES, NEXMO_API_URL];
  const shown = credentials.filter((name) => params[name] !== undefined);
  return shown.length > 0
    ? fault(
        check,
        `the public can read ${shown.join(', ')}: make new ones, and tick "Requires master key" for them in the dashboard.`,
      )
    : ok(check, 'shows no credential to the public');
}

/** Checks what a user gets of a deployed app, and deletes what it made: the session, and a row that was accepted. */
export async function* checkAsUser(
  app: ParseApp,
  policy: Policy,
  user: { username: string; password: string },
  environment: Environment,
): Findings {
  const { status, body } = await app.call<{ objectId: string; sessionToken: string }>('POST', '/login', user);
  if (!body.objectId || !body.sessionToken) {
    yield fault(
      'log in',
      body.code === OBJECT_NOT_FOUND
        ? 'no such user, or another password: check DOCTOR_USER and DOCTOR_PASSWORD, or what you typed.'
        : `the server does not let this user log in (${inShort({ status, body })}).`,
    );
    return;
  }
  const { objectId: identity, sessionToken } = body;
  yield ok('log in', 'the user has a session');
  try {
    yield* checkToken(app, policy, { identity, sessionToken }, environment);
    if (policy.virgil.guardUserIds) yield await checkUserId(app, { identity, sessionToken });
    for (const [className, classPolicy] of Object.entries(policy.classes)) {
      if (classPolicy.encrypted.length > 0) {
        yield* checkGuard(app, className, classPolicy, { identity, sessionToken });
      }
    }
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

async function* checkToken(
  app: ParseApp,
  policy: Policy,
  { identity, sessionToken }: LoggedIn,
  environment: Environment,
): Findings {
  const check = 'token';
  const answer = await app.call<{ result: IssuedToken }>(
    'POST',
    '/functions/virgil-jwt',
    {},
    { sessionToken },
  );
  const issued = answer.body.result;
  if (typeof issued?.token !== 'string') {
    yield fault(
      check,
      answer.body.code === SCRIPT_FAILED
        ? 'virgil-jwt is not there, or not configured: set the VIRGIL_ variables on the server; its log names the one at fault.'
        : `virgil-jwt gives no token (${inShort(answer)}).`,
    );
    return;
  }
  let jwt: Jwt;
  try {
    jwt = Jwt.fromString(issued.token);
  } catch {
    yield fault(check, 'virgil-jwt gives something that is no JWT: npm run deploy.');
    return;
  }
  const session = await app.call<{ expiresAt: { iso: string } }>('GET', '/sessions/me', undefined, {
    sessionToken,
  });
  const sessionEnd = session.body.expiresAt
    ? Date.parse(session.body.expiresAt.iso)
    : Number.POSITIVE_INFINITY;
  const faults = claimFaults(jwt, { identity, sessionEnd, tokenTtlSeconds: policy.virgil.tokenTtlSeconds });
  if (issued.identity !== identity) faults.push("identity is not the user's objectId");
  if (Date.parse(issued.expiresAt) !== jwt.body.exp * 1000) faults.push('expiresAt is not the time in exp');
  yield faults.length > 0
    ? fault(check, `${faults.join('; ')}.`)
    : ok(check, 'header, issuer, identity, times: all as they should be');
  yield await checkSignature(jwt, environment);
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
  const answer = await app.call('PUT', `/users/${identity}`, change, { sessionToken });
  if (answer.body.code === OPERATION_FORBIDDEN) return ok(check, 'nobody may change theirs');
  return answer.body.code === INCORRECT_TYPE
    ? fault(check, 'are not guarded on the server, as the policy says they are: npm run deploy.')
    : skipped(check, `the server does not tell whether they are guarded (${inShort(answer)}).`);
}

/** Saves plaintext, as a client with a mistake would. */
async function* checkGuard(
  app: ParseApp,
  className: string,
  { encrypted, sender }: ClassPolicy,
  { identity, sessionToken }: LoggedIn,
): Findings {
  const check = `${className} guard`;
  const row = {
    ...Object.fromEntries(encrypted.map((field) => [field, PLAINTEXT])),
    ...(sender && { [sender]: identity }),
    ACL: { [identity]: { read: true, write: true } },
  };
  const save = await app.call<{ objectId: string }>('POST', `/classes/${className}`, row, { sessionToken });
  const { objectId, code } = save.body;
  if (objectId) {
    const deletion = await app.call('DELETE', `/classes/${className}/${objectId}`, undefined, {
      sessionToken,
    });
    yield fault(check, `plaintext is accepted: npm run deploy, and see that no webhook replaces the guard.`);
    if (deletion.status !== 200) {
      yield fault(check, `the doctor may not delete its row ${objectId}: delete it in the dashboard.`);
    }
  } else if (code === VALIDATION_ERROR) yield ok(check, 'plaintext is refused');
  else if (code === OPERATION_FORBIDDEN) {
    yield fault(check, 'this user may not save here, or the class or a field is not there: npm run schema.');
  } else
    yield fault(
      check,
      `what it refuses is not plaintext (${inShort(save)}): npm run schema, npm run deploy.`,
    );
}
