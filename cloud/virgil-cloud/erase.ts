import { ServiceError } from '../json-request';
import { currentCards, searchCards } from './cards';
import { askVirgilCloud, type VirgilCaller } from './request';

// Where E3Kit keeps key backups, groups, its unsafe channels and its ratchet channels: Keyknox, version 2.
const ROOTS = ['e3kit', 'group-sessions', 'unsafe-keys', 'ratchet-peer-to-peer'];
const MAX_SEARCHES = 10;

/**
 * Revokes every card of the identity that asks, and wipes what Keyknox stores for it. Each step may be done twice.
 * @throws ServiceError; what was done until then stays done
 */
export async function eraseAtVirgil(caller: VirgilCaller, identity: string): Promise<void> {
  await revokeCards(caller, identity);
  await Promise.all([
    askVirgilCloud(caller, '/keyknox/v1/reset', {}),
    ...ROOTS.map((root) => askVirgilCloud(caller, '/keyknox/v2/reset', { root })),
  ]);
}

async function revokeCards(caller: VirgilCaller, identity: string): Promise<void> {
  for (let searches = 0; searches < MAX_SEARCHES; searches++) {
    const cards = currentCards(await searchCards(caller, [identity]));
    const published = cards.filter(({ publicKey }) => publicKey.length > 0);
    if (published.length === 0) return;
    for (const { id } of published) await askVirgilCloud(caller, `/card/v5/actions/revoke/${id}`, {});
  }
  throw new ServiceError('Virgil Cloud goes on giving out cards after they were revoked.');
}
