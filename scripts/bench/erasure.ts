import { POLICY } from './bench-server';
import { serve } from './card-service';
import type { PolicyOption } from './over-http';

/** How many other calls are made for one deletion. */
const CALLS_FOR_ONE = 5;

export const ERASING_POLICY = { ...POLICY, virgil: { ...POLICY.virgil, eraseDeletedUsers: true } };

/** Stands in for Virgil Cloud, where every identity has one card, until it is asked for again: by then that is revoked. */
export function serveErasures() {
  const asked = new Set<string>();
  return serve(({ identities }) => {
    const [identity] = (identities as string[] | undefined) ?? [];
    if (identity === undefined) return {}; // to revoke a card, or to reset a value
    if (asked.has(identity)) return [];
    asked.add(identity);
    const card = { identity, public_key: 'aKey' };
    return [{ content_snapshot: Buffer.from(JSON.stringify(card)).toString('base64') }];
  });
}

/** A user who deletes the account: the answer waits until Virgil Cloud has erased it too. */
export const erasureOption: PolicyOption = {
  measure: 'deletion of a user, `eraseDeletedUsers` on',
  against: 'off',
  policy: ERASING_POLICY,
  async start() {
    const { url, stop } = await serveErasures();
    return {
      environment: { VIRGIL_API_URL: url },
      async calls(server, count) {
        const users = await server.newUsers(Math.ceil(count / CALLS_FOR_ONE));
        return users.map(({ userId, sessionToken }) => ({
          method: 'DELETE',
          path: `/users/${userId}`,
          sessionToken,
          body: {},
        }));
      },
      stop,
    };
  },
};
