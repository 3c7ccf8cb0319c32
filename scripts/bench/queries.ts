import { setTimeout as wait } from 'node:timers/promises';
import type { BenchServer } from './bench-server';
import { send } from './http-load';

/** What Parse Server's cache forgets after, and a little more. */
const CACHE_MS = 5_500;

/** How many queries the database has for one call. */
export interface Queries {
  call: string;
  /** The same call of an empty function (with the session in the header), or the same save of a class with an empty trigger. */
  withoutUs: number;
  withUs: number;
}

/**
 * Has the database count what it is asked during each call.
 *
 * @returns undefined where it cannot count: on PostgreSQL without `pg_stat_statements`, as PGlite is
 */
export async function countQueries(server: BenchServer): Promise<Queries[] | undefined> {
  if (!(await server.rows.countsStatements())) return undefined;
  const { url, appId, rows, sessionToken: cached, message } = server;
  async function call(
    path: string,
    sessionToken: string | undefined,
    body: object,
    method = 'POST',
  ): Promise<{ objectId?: string }> {
    const headers = {
      'X-Parse-Application-Id': appId,
      ...(sessionToken && { 'X-Parse-Session-Token': sessionToken }),
    };
    const answer = await send(url, { method, path, headers, body });
    if (!/"(token|objectId|updatedAt)":/.test(answer))
      throw new Error(`${path} answered ${answer.slice(0, 200)}`);
    return JSON.parse(answer);
  }
  async function count(run: () => Promise<unknown>): Promise<number> {
    await rows.countStatements();
    await run();
    return (await rows.countedStatements()).length;
  }

  const run = (name: string, sessionToken: string) => call(`/functions/${name}`, sessionToken, {});
  const firstCall = async (name: string) => {
    const [session] = (await server.newSessions(1)) as [string];
    return count(() => run(name, session));
  };
  const renewalAfter = (milliseconds: number) => async (name: string) => {
    const [session] = (await server.newSessions(1)) as [string];
    await run(name, session);
    await wait(milliseconds);
    return count(() => run(name, session));
  };
  const byParameter = async (name: string) => {
    if (name === 'empty') return firstCall(name); // it reads no parameter
    const [sessionToken] = (await server.newSessions(1)) as [string];
    return count(() => call(`/functions/${name}`, undefined, { sessionToken }));
  };
  // The save before it fills Parse Server's cache of sessions and roles.
  const create = async (className: string) => {
    await call(`/classes/${className}`, cached, message);
    return count(() => call(`/classes/${className}`, cached, message));
  };
  const update = async (className: string) => {
    const { objectId } = await call(`/classes/${className}`, cached, message);
    return count(() => call(`/classes/${className}/${objectId}`, cached, message, 'PUT'));
  };

  // What is done once a process, and once a class, is done before.
  for (const name of ['empty', 'virgil-jwt']) await run(name, cached);
  for (const name of ['Unguarded', 'Message']) await call(`/classes/${name}`, cached, message);
  const ofToken = async (what: string, measured: (name: string) => Promise<number>) => ({
    call: `\`virgil-jwt\`, ${what}`,
    withoutUs: await measured('empty'),
    withUs: await measured('virgil-jwt'),
  });
  const ofSave = async (what: string, measured: (className: string) => Promise<number>) => ({
    call: `guarded save of a ${what} message`,
    withoutUs: await measured('Unguarded'),
    withUs: await measured('Message'),
  });
  return [
    await ofToken('first call of a header session', firstCall),
    await ofToken('renewal', renewalAfter(0)),
    await ofToken('renewal when Parse Server has forgotten the session', renewalAfter(CACHE_MS)),
    await ofToken('parameter session', byParameter),
    await ofSave('new', create),
    await ofSave('changed', update),
  ];
}
