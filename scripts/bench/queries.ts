import type { BareParseServer } from '../local/bare-parse-server';
import type { BenchServer } from './bench-server';
import { ERASING_POLICY, serveErasures } from './erasure';
import { type Call, send } from './http-load';

/** How many queries the database has for one call. */
export interface Queries {
  call: string;
  withoutUs: number;
  withUs: number;
}

/**
 * Has the database count what it is asked during each call. Tokens are counted beside an empty function with the session in
 * the header, guarded saves beside those of a class with an empty trigger, and what is none of ours, while the options of the
 * policy are off, beside a server without the bundle.
 *
 * @returns undefined where it cannot count: on PostgreSQL without `pg_stat_statements`, as PGlite is
 */
export async function countQueries(server: BenchServer): Promise<Queries[] | undefined> {
  const { rows, sessionToken: cached } = server;
  if (!(await rows.countsStatements())) return undefined;
  const withoutBundle = await server.startAnother({ hasBundle: false });
  const virgil = await serveErasures();
  const erasing = await server.startAnother({
    policy: ERASING_POLICY,
    environment: { VIRGIL_API_URL: virgil.url },
  });
  try {
    const count = async (call: Call, at: BareParseServer = server) => {
      await rows.countStatements();
      await send(at, call);
      return (await rows.countedStatements()).length;
    };
    const run = (name: string, sessionToken: string | undefined, body = {}): Call => ({
      path: `/functions/${name}`,
      sessionToken,
      body,
    });

    const newSession = async () => (await server.newSessions(1))[0] as string;
    const firstCall = async (name: string) => count(run(name, await newSession()));
    const renewal = (bothWays: boolean, isForgotten: boolean) => async (name: string) => {
      const sessionToken = await newSession();
      const call = run(name, sessionToken, bothWays ? { sessionToken } : {});
      await send(server, call);
      if (isForgotten) await server.emptyCache();
      return count(call);
    };
    const byParameter = async (name: string) =>
      name === 'empty' // it reads no parameter
        ? firstCall(name)
        : count(run(name, undefined, { sessionToken: await newSession() }));
    // It fills Parse Server's cache of sessions and roles, for some seconds to come.
    const sendFirst = async (call: Call) => {
      await server.emptyCache();
      return send(server, call);
    };
    const message = server.message();
    const save = (className: string): Call => ({
      path: `/classes/${className}`,
      sessionToken: cached,
      body: message,
    });
    const create = async (className: string) => {
      await sendFirst(save(className));
      return count(save(className));
    };
    const update = async (className: string) => {
      const { path, ...call } = save(className);
      const { objectId } = JSON.parse(await sendFirst({ ...call, path }));
      return count({ ...call, method: 'PUT', path: `${path}/${objectId}` });
    };
    let users = 0;
    const ofUser =
      (method: string, body = {}) =>
      async (at: BareParseServer) => {
        const signUp = { path: '/users', body: { username: `user ${++users}`, password: 'a password' } };
        const { objectId, sessionToken } = JSON.parse(await send(at, signUp));
        await send(at, run('empty', sessionToken));
        return count({ method, path: `/users/${objectId}`, sessionToken, body }, at);
      };

    // What is done once a process, and once a class, is done before.
    for (const name of ['empty', 'virgil-jwt']) await send(server, run(name, cached));
    for (const name of ['Unguarded', 'Message']) await send(server, save(name));
    const changed = ofUser('PUT', { nickname: 'a name' });
    for (const at of [withoutBundle, server]) await changed(at);
    const deleted = ofUser('DELETE');
    await deleted(erasing);

    const beside =
      <Thing>(withoutUs: Thing, withUs: Thing) =>
      async (call: string, measured: (thing: Thing) => Promise<number>): Promise<Queries> => ({
        call,
        withoutUs: await measured(withoutUs),
        withUs: await measured(withUs),
      });
    const ofToken = beside('empty', 'virgil-jwt');
    const ofSave = beside('Unguarded', 'Message');
    const notOurs = beside(withoutBundle, server as BareParseServer);
    return [
      await ofToken('`virgil-jwt`, first call of a header session', firstCall),
      await ofToken('`virgil-jwt`, renewal', renewal(false, false)),
      await ofToken('`virgil-jwt`, renewal, the session as a parameter too', renewal(true, false)),
      await ofToken(
        '`virgil-jwt`, renewal when Parse Server has forgotten the session',
        renewal(false, true),
      ),
      await ofToken('`virgil-jwt`, parameter session', byParameter),
      await ofSave('guarded save of a new message', create),
      await ofSave('guarded save of a changed message', update),
      await notOurs('change of a user, every option off', changed),
      await notOurs('deletion of a user, every option off', deleted),
      await beside(withoutBundle, erasing)('deletion of a user, `eraseDeletedUsers` on', deleted),
    ];
  } finally {
    await withoutBundle.stop();
    await erasing.stop();
    virgil.stop();
  }
}
