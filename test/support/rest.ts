import type { BareParseServer } from '../../scripts/local/bare-parse-server';

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a server answers is what the test finds out
  body: any;
}

export interface Caller {
  sessionToken?: string;
  master?: boolean;
}

/** Bare REST calls, as `curl` makes them. */
export function restClient(server: Pick<BareParseServer, 'url' | 'appId' | 'masterKey'>) {
  async function call(method: string, path: string, body?: unknown, caller: Caller = {}): Promise<Answer> {
    const response = await fetch(server.url + path, {
      method,
      headers: {
        'Content-Type': 'application/json',
        'X-Parse-Application-Id': server.appId,
        'X-Parse-Revocable-Session': '1',
        ...(caller.sessionToken && { 'X-Parse-Session-Token': caller.sessionToken }),
        ...(caller.master && { 'X-Parse-Master-Key': server.masterKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }
  let users = 0;
  return {
    call,
    run: (name: string, params: unknown = {}, caller?: Caller) =>
      call('POST', `/functions/${name}`, params, caller),
    async signUp(): Promise<{ id: string; username: string; sessionToken: string }> {
      const username = `user-${++users}-${Math.random().toString(36).slice(2)}`;
      const { body } = await call('POST', '/users', { username, password: 'a password' });
      return { id: body.objectId, username, sessionToken: body.sessionToken };
    },
  };
}
