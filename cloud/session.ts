import type { PlainType } from './policy';
import type { IssuedToken } from './tokens/jwt';

/** The request of a Cloud Function, as far as Parse Server 5 to 9 agree on it. */
export interface FunctionRequest {
  user?: Parse.User;
  params: Record<string, unknown>;
  log: { error(message: string): void };
  /** Of this request, or of the batch that it is part of. Parse Server 8 and later. */
  config?: {
    logLevels: Record<string, string>;
    version?: string;
    /** Internal, so that nothing may rely on it: a user by a session token, from 9.10 on with the end of that session. */
    cacheController?: { user?: { get?(sessionToken: string): Promise<{ expiresAt?: unknown } | null> } };
  };
}

/** Who is calling, and until when. */
export interface Session {
  identity: string;
  /** Milliseconds since 1970. Infinity where the session has no end. */
  expiresAt: number;
}

const IDENTIFIER = /^[\w.@-]{1,64}$/;
export const SESSION_TOKEN = /^r:[\w-]{1,128}$/;
// Parse Server 9.10 and later.
const CACHES_SESSION_END = /^(?:9\.[1-9]\d|[1-9]\d+)\./;
// The longest a token may live. An end that is nearer is read again each time: `extendSessionOnUse` may have moved it.
const MAX_TOKEN_LIFETIME_MS = 86_400_000;
const MAX_REMEMBERED_SESSIONS = 10_000;
/** When a header session ends, and when that was read, as performance.now() has it. */
const rememberedEnds = new Map<string, { expiresAt: number; readAt: number }>();

/**
 * The one answer to "who is calling?": the session comes in the header, in the parameter `sessionToken`, or in both when
 * they agree. Parse Server has checked one that came in the header; one that came as a parameter alone is looked up, with
 * its user, every time.
 * Empties `request.params`, which Parse Server logs: a client may have put the session anywhere in it.
 * @param tokenTtlSeconds lifetime of the function's tokens: a session that is shortened in the database is outlived by
 *   twice that at most
 * @throws Parse.Error 209 for no session, or one that is malformed, unknown, expired, revoked or of a deleted user; 141
 *   for a user whose ID is no identity
 */
export async function authenticate(request: FunctionRequest, tokenTtlSeconds: number): Promise<Session> {
  const { sessionToken: parameter } = request.params;
  for (const name of Object.keys(request.params)) delete request.params[name];

  const { user } = request;
  const header = user?.getSessionToken();
  if (parameter !== undefined && parameter !== null) {
    if (typeof parameter !== 'string' || !SESSION_TOKEN.test(parameter)) throw invalidSession();
    if (!user) return lookUp(parameter);
    if (parameter !== header) throw invalidSession();
  }
  if (!user?.id || !header) throw invalidSession();
  const identity = identityOf(user.id);
  return { identity, expiresAt: await endOfHeader(request, header, tokenTtlSeconds) };
}

/**
 * Answers the call of a function that issues tokens: for the caller, never longer than the session, and not into the log.
 * @throws Parse.Error of `authenticate`, `credentials` and `tokenLifetime`
 */
export async function issueForCaller<Credentials>(
  request: FunctionRequest,
  tokenTtlSeconds: number,
  credentials: (request: FunctionRequest) => Promise<Credentials>,
  issue: (credentials: Credentials, identity: string, lifetime: number) => Promise<IssuedToken>,
): Promise<IssuedToken> {
  const session = await authenticate(request, tokenTtlSeconds);
  const application = await credentials(request);
  const issued = await issue(application, session.identity, tokenLifetime(session, tokenTtlSeconds));
  await keepResultOutOfLog(request);
  tokenLifetime(session, tokenTtlSeconds); // It may have ended while we waited.
  return issued;
}

/**
 * Keeps what the function is about to return out of Parse Server's log: to be called last. A batch shares `config`, so
 * the silence lasts for a turn of the event loop in which nothing else runs: Parse Server logs when our promise resolves,
 * in the microtasks that follow, and `nextTick` comes after those.
 */
export async function keepResultOutOfLog({ config }: FunctionRequest): Promise<void> {
  if (!config) return;
  await new Promise(setImmediate);
  const { logLevels } = config;
  config.logLevels = { ...logLevels, cloudFunctionSuccess: 'silent' };
  process.nextTick(() => {
    config.logLevels = logLevels;
  });
}

/**
 * How long a token issued for this session may live.
 * @param ttlSeconds the policy's lifetime, in seconds
 * @returns milliseconds, at most the policy's and never past the session's end
 * @throws Parse.Error 209 when the session has less than a second left
 */
export function tokenLifetime(session: Session, ttlSeconds: number): number {
  const lifetime = Math.min(ttlSeconds * 1000, session.expiresAt - Date.now());
  if (lifetime < 1000) throw invalidSession();
  return lifetime;
}

/** Whether this can be an identity: the `objectId` of a user, Parse Server's own or one that the app has made up. */
export function isIdentifier(value: unknown): value is string {
  return typeof value === 'string' && IDENTIFIER.test(value);
}

/**
 * The identity that a plain field of this type holds, as a string or as a Pointer to a user; undefined for anything else: "*"
 * and "role:…" are nobody's objectId, and an ACL made of one would let the public in.
 */
export function identityIn(value: unknown, type: PlainType | undefined): string | undefined {
  const isUser = value instanceof Parse.Object && value.className === '_User';
  const id = type?.includes('Pointer<_User>') ? isUser && value.id : value;
  return isIdentifier(id) ? id : undefined;
}

/** The error for every session that is not good, whatever is wrong with it. */
export function invalidSession(): Parse.Error {
  const message = 'No valid session: log in, and call with its session token.';
  return new Parse.Error(Parse.Error.INVALID_SESSION_TOKEN, message);
}

async function lookUp(sessionToken: string): Promise<Session> {
  const query = sessionQuery(sessionToken).select('expiresAt', 'user').include('user');
  const row = await query.first({ useMasterKey: true });
  const user = row?.get('user') as Parse.User | undefined;
  // The row outlives a deleted user: it then points at nobody.
  if (!row || !user?.id || !user.createdAt) throw invalidSession();
  return { identity: identityOf(user.id), expiresAt: endOf(row) };
}

/** Not 209 for such a user: clients would log in for ever. */
function identityOf(userId: string): string {
  if (isIdentifier(userId)) return userId;
  throw new Parse.Error(Parse.Error.SCRIPT_FAILED, "This user's ID cannot be an identity.");
}

async function endOfHeader(request: FunctionRequest, sessionToken: string, ttlSeconds: number): Promise<number> {
  const isFar = (end: number) => end - Date.now() > MAX_TOKEN_LIFETIME_MS;
  const remembered = rememberedEnds.get(sessionToken);
  const isFresh = remembered && performance.now() - remembered.readAt < 2000 * ttlSeconds;
  if (isFresh && isFar(remembered.expiresAt)) return remembered.expiresAt;
  const cached = await cachedEnd(request, sessionToken);
  if (isFar(cached)) return cached;
  const row = await sessionQuery(sessionToken).select('expiresAt').first({ useMasterKey: true });
  if (!row) throw invalidSession();
  const expiresAt = endOf(row);
  rememberedEnds.set(sessionToken, { expiresAt, readAt: performance.now() });
  if (rememberedEnds.size > MAX_REMEMBERED_SESSIONS) {
    rememberedEnds.delete(rememberedEnds.keys().next().value as string);
  }
  return expiresAt;
}

/** The end of a session that Parse Server has in its cache, as fresh as its word that the session is good; NaN for none. */
async function cachedEnd({ config }: FunctionRequest, sessionToken: string): Promise<number> {
  // Older servers cache the user alone, who may have a field of that name, and write into it what suits them.
  if (!CACHES_SESSION_END.test(config?.version ?? '')) return Number.NaN;
  const cached = await config?.cacheController?.user?.get?.(sessionToken);
  return typeof cached?.expiresAt === 'string' ? Date.parse(cached.expiresAt) : Number.NaN;
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
