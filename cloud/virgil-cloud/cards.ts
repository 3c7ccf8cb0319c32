import { createHash } from 'node:crypto';
import { ServiceError } from '../json-request';
import { askVirgilCloud, type Limits, type VirgilCaller } from './request';

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
/** More than anybody rotates a key. */
const MAX_CARDS_OF_ONE = 100;
const MAX_UNREADABLE = 100;

/**
 * The cards of these identities, each identity's whole chain, in no order. Signatures are not checked: a card tells here
 * whose key is said to be, and nothing is encrypted for it.
 * @param identities at most 50
 * @throws ServiceError, of status 413 where there are more than 100 cards for each identity
 */
export async function searchCards(caller: VirgilCaller, identities: string[]): Promise<Card[]> {
  const found = await search(caller, identities);
  if (found.length > MAX_CARDS_OF_ONE * identities.length) {
    throw new ServiceError(`POST ${SEARCH} was answered with ${found.length} cards.`, 413);
  }
  return readCards(found);
}

/** All cards of one identity, however many, in an answer of up to 64 MB. @throws ServiceError */
export async function searchAllCards(caller: VirgilCaller, identity: string): Promise<Card[]> {
  return readCards(await search(caller, [identity], { timeoutMs: 9000, maxAnswerBytes: 64 * 1024 * 1024 }));
}

async function search(caller: VirgilCaller, identities: string[], limits?: Limits): Promise<unknown[]> {
  const found = await askVirgilCloud(caller, SEARCH, { identities }, limits);
  // The live service may answer `null` where there are no cards.
  if (found === null) return [];
  if (!Array.isArray(found)) throw new ServiceError(`POST ${SEARCH} was answered with no list of cards.`);
  return found;
}

/** Those that no other card supersedes. */
export function currentCards(cards: Card[]): Card[] {
  const superseded = new Set(cards.map(({ previousCardId }) => previousCardId));
  return cards.filter(({ id }) => !superseded.has(id));
}

/** @param models untrusted: those that are not `{ content_snapshot }`, the base64 of the JSON of a card, are left out */
function readCards(models: unknown[]): Card[] {
  const cards: Card[] = [];
  let unreadable = 0;
  for (const model of models) {
    const snapshot = textIn(model, 'content_snapshot');
    if (snapshot === undefined) continue;
    const bytes = Buffer.from(snapshot, 'base64');
    const content = parsed(bytes);
    const [identity, publicKey] = [textIn(content, 'identity'), textIn(content, 'public_key')];
    if (identity !== undefined && publicKey !== undefined) {
      cards.push({
        id: createHash('sha512').update(bytes).digest('hex').slice(0, 64),
        identity,
        previousCardId: textIn(content, 'previous_card_id'),
        publicKey: Buffer.from(publicKey, 'base64'),
      });
    } else if (++unreadable > MAX_UNREADABLE) {
      throw new ServiceError(
        `POST ${SEARCH} was answered with more than ${MAX_UNREADABLE} cards that cannot be read.`,
        413,
      );
    }
  }
  return cards;
}

/** A member of an untrusted value, if it is a string. */
function textIn(value: unknown, member: string): string | undefined {
  if (typeof value !== 'object' || value === null) return;
  const text = (value as Record<string, unknown>)[member];
  return typeof text === 'string' ? text : undefined;
}

function parsed(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString());
  } catch {
    return undefined;
  }
}
