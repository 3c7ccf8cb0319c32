import { isOfRequest, ServiceError } from '../json-request';
import { currentCards, searchAllCards } from './cards';
import { askVirgilCloud, type VirgilCaller } from './request';

// Where E3Kit keeps key backups, groups, its unsafe channels and its ratchet channels: Keyknox, version 2.
const ROOTS = ['e3kit', 'group-sessions', 'unsafe-keys', 'ratchet-peer-to-peer'];
// An attempt ends within seconds, so that others are erased too.
const MAX_SEARCHES = 10;
const MAX_REVOCATIONS = 50;

/**
 * Revokes every card of the identity that asks, and wipes what Keyknox stores for it. Each step may be done twice.
 * @throws ServiceError; what was done until then stays done
 */
export async function eraseAtVirgil(caller: VirgilCaller, identity: string): Promise<void> {
  let left: unknown;
  try {
    await revokeCards(caller, identity);
  } catch (error) {
    if (!isOfRequest(error)) throw error;
    left = error;
  }
  await Promise.all([
    askVirgilCloud(caller, '/keyknox/v1/reset', {}),
    ...ROOTS.map((root) => askVirgilCloud(caller, '/keyknox/v2/reset', { root })),
  ]);
  if (left) throw left;
}

/** @throws ServiceError where not all can be revoked in one attempt: what is left is for the next */
async function revokeCards(caller: VirgilCaller, identity: string): Promise<void> {
  let revocations = 0;
  for (let searches = 0; searches < MAX_SEARCHES && revocations < MAX_REVOCATIONS; searches++) {
    const cards = currentCards(await searchAllCards(caller, identity));
    const published = cards.filter((card) => card.identity === identity && card.publicKey.length > 0);
    if (published.length === 0) return;
    for (const { id } of published.slice(0, MAX_REVOCATIONS - revocations)) {
      await askVirgilCloud(caller, `/card/v5/actions/revoke/${id}`, {});
      revocations++;
    }
  }
  throw new ServiceError('Virgil Cloud gives out more cards than one attempt revokes.', 413);
}
