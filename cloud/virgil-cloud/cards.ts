import { createHash } from 'node:crypto';
import { ServiceError } from '../json-request';
import { askVirgilCloud, type VirgilCaller } from './request';

/** A card of Virgil Cards Service, as far as the server needs it. */
export interface Card {
  /** Hex of the first 32 bytes of SHA-512 over the content snapshot. */
  id: string;
  identity: string;
  /** The card that this one supersedes. */
  previousCardId: string | undefined;
  /** DER. Empty where the card only says that its predecessor is revoked. */
  publicKey: Buffer;
}

const SEARCH = '/card/v5/actions/search';
/** Virgil's limit of identities a search. */
export const MAX_SEARCHED = 50;

/**
 * The cards of these identities, each identity's whole chain, in no order. Signatures are not checked: a card tells here
 * whose a key is said to be, and nothing is encrypted for it.
 * @param identities at most 50
 * @throws ServiceError
 */
export async function searchCards(caller: VirgilCaller, identities: string[]): Promise<Card[]> {
  const found = await askVirgilCloud(caller, SEARCH, { identities });
  // The live service may answer `null` for none.
  if (found === null) return [];
  if (!Array.isArray(found)) throw new ServiceError(`POST ${SEARCH} was answered with no list of cards.`);
  return found.flatMap((model) => readCard(model) ?? []);
}

/** Those that no other card supersedes. */
export function currentCards(cards: Card[]): Card[] {
  const superseded = new Set(cards.map(({ previousCardId }) => previousCardId));
  return cards.filter(({ id }) => !superseded.has(id));
}

/** @param model `{ content_snapshot }`, the base64 of a JSON; undefined where it is not */
function readCard(model: unknown): Card | undefined {
  try {
    const snapshot = Buffer.from((model as { content_snapshot: string }).content_snapshot, 'base64');
    const { identity, public_key, previous_card_id } = JSON.parse(snapshot.toString());
    return {
      id: createHash('sha512').update(snapshot).digest('hex').slice(0, 64),
      identity,
      previousCardId: previous_card_id,
      publicKey: Buffer.from(public_key, 'base64'),
    };
  } catch {
    return undefined;
  }
}
