/** The request of a Cloud Function, as far as Parse Server 5 to 9 agree on it. */
export interface FunctionRequest {
  user?: Parse.User;
  params: Record<string, unknown>;
  log: { error(message: string): void };
  /** Of this request alone. Parse Server 8 and later. */
  config?: { logLevels: Record<string, string> };
}

/** Who is calling, and until when. */
export interface Session {
  /** The user's `objectId`. */
  identity: string;
  /** Milliseconds since 1970. Infinity where the session has no end. */
  expiresAt: number;
}

const SESSION_TOKEN = /^r:[\w-]{1,128}$/;

// The longest a token may live. An end that is nearer is read again each time: `extendSessionOnUse` may have moved it.
const MAX_TOKEN_LIFETIME_MS = 86_400_000;
const MAX_REMEMBERED_SESSIONS = 10_000;
const rememberedEnds = new Map<string, number>();

/**
 * The one answer to "who is calling?": the session comes in the header, in the parameter `sessionToken`, or in both when
 * they agree. A header session was checked by Parse Server before we are called; a parameter session is looked up, with
 * its user, every time.
 *
 * Takes session tokens out of `request.params`, and keeps the result of this call out of Parse Server's log.
 *
 * @throws Parse.Error 209 for no session, or one that is malformed, unknown, expired, revoked or of a deleted user
 */
export async function authenticate(request: FunctionRequest): Promise<Session> {
  const { sessionToken: parameter } = request.params;
  // By whatever name it comes: a client that mistypes the parameter's is told 209, and Parse Server logs the parameters.
  for (const [name, value] of Object.entries(request.params)) {
    if (name === 'sessionToken' || (typeof value === 'string' && SESSION_TOKEN.test(value)))
      delete request.params[name];
  }
  if (request.config) {
    request.config.logLevels = { ...request.config.logLevels, cloudFunctionSuccess: 'silent' };
  }

  const header = request.user?.getSessionToken();
  if (parameter !== undefined && parameter !== null) {
    if (typeof parameter !== 'string' || !SESSION_TOKEN.test(parameter)) throw invalidSession();
    if (request.user && parameter !== header) throw invalidSession();
    return lookUp(parameter);
  }
  if (!request.user?.id || !header) throw invalidSession();
  return { identity: request.user.id, expiresAt: await endOfHeaderSession(header) };
}

/**
 * How long a token issued for this session may live.
 *
 * @param ttlSeconds the policy's lifetime, in seconds
 * @returns milliseconds, at most the policy's and never past the session's end
 * @throws Parse.Error 209 when the session has less than a second left
 */
export function tokenLifetime(session: Session, ttlSeconds: number): number {
  const lifetime = Math.min(ttlSeconds * 1000, session.expiresAt - Date.now());
  if (lifetime < 1000) throw invalidSession();
  return lifetime;
}

/** The error for every session that is not good, whatever is wrong with it. */
export function invalidSession(): Parse.Error {
  return new Parse.Error(
    Parse.Error.INVALID_SESSION_TOKEN,
    'No valid session: log in, and call with its session token.',
  );
}

async function lookUp(sessionToken: string): Promise<Session> {
  const query = sessionQuery(sessionToken).select('expiresAt', 'user').include('user');
  const row = await query.first({ useMasterKey: true });
  const user = row?.get('user') as Parse.User | undefined;
  // The row outlives a deleted user: it then points at nobody.
  if (!row || !user?.id || !user.createdAt) throw invalidSession();
  return { identity: user.id, expiresAt: endOf(row) };
}

async function endOfHeaderSession(sessionToken: string): Promise<number> {
  const remembered = rememberedEnds.get(sessionToken);
  if (remembered !== undefined && remembered - Date.now() > MAX_TOKEN_LIFETIME_MS) return remembered;
  const row = await sessionQuery(sessionToken).select('expiresAt').first({ useMasterKey: true });
  if (!row) throw invalidSession();
  const expiresAt = endOf(row);
  rememberedEnds.set(sessionToken, expiresAt);
  if (rememberedEnds.size > MAX_REMEMBERED_SESSIONS) {
    rememberedEnds.delete(rememberedEnds.keys().next().value as string);
  }
  return expiresAt;
}

function sessionQuery(sessionToken: string): Parse.Query {
  return new Parse.Query('_Session').equalTo('sessionToken', sessionToken);
}

function endOf(session: Parse.Object): number {
  const expiresAt = session.get('expiresAt') as Date | undefined;
  const end = expiresAt ? expiresAt.getTime() : Number.POSITIVE_INFINITY;
  if (end <= Date.now()) throw invalidSession();
  return end;
}
