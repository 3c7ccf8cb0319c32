import { createHash } from 'node:crypto';
import type { ServiceError } from '../json-request';
import { type Card, currentCards, MAX_SEARCHED } from './cards';

/** The key IDs of an identity's cards, in hex, and whether that card is current. */
export type KeyIds = ReadonlyMap<string, boolean>;
type Found = Map<string, { readAt: number; keyIds: KeyIds }>;
/** Finds fault, or none, with what is known of each identity. */
type Judge<Fault> = (keyIdsOf: (identity: string) => KeyIds) => Fault | undefined;

const REMEMBERED_MS = 300_000;
const MAX_REMEMBERED = 10_000;
const PAUSE_MS = 5_000;
const NEVER = Number.NEGATIVE_INFINITY;

/**
 * Who has which keys. One search runs at a time, and what is asked while it runs goes together into the next. A Virgil Cloud
 * that fails is left alone for 5 seconds, and what is remembered counts then, however old; a refusal (4xx) is no failure, as
 * one user could bring it about for all.
 * @param search gives all cards of at most 50 identities
 * @param now in milliseconds
 * @returns judges by the cards of these identities: where it finds fault, once more by what is read after the call began,
 *   so that nobody's new card is a fault. Rejects with what `search` throws, where the verdict hangs on it
 */
export function cardDirectory(
  search: (identities: string[]) => Promise<Card[]>,
  now = () => performance.now(),
): <Fault>(identities: string[], judge: Judge<Fault>) => Promise<Fault | undefined> {
  // Who has no card is not in it.
  const remembered: Found = new Map();
  const asked = new Set<string>();
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<Found> | undefined;
  let failedAt = NEVER;
  let reason: unknown;

  async function searchAsked(): Promise<Found> {
    const left = [...asked];
    asked.clear();
    running = next as Promise<Found>;
    next = undefined;
    const found: Found = new Map();
    while (left.length > 0 && now() - failedAt >= PAUSE_MS) {
      const readAt = now();
      const identities = left.splice(0, MAX_SEARCHED);
      try {
        const cards = await search(identities);
        failedAt = NEVER;
        for (const identity of identities) {
          const entry = { readAt, keyIds: keyIdsOf(cards.filter((card) => card.identity === identity)) };
          found.set(identity, entry);
          remembered.delete(identity);
          if (entry.keyIds.size > 0) remembered.set(identity, entry);
          const [oldest = ''] = remembered.keys();
          if (remembered.size > MAX_REMEMBERED) remembered.delete(oldest);
        }
      } catch (error) {
        const { status = 0 } = error as ServiceError;
        failedAt = status >= 400 && status < 500 ? NEVER : now();
        reason = error;
      }
    }
    return found;
  }

  return async (identities, judge) => {
    const startedAt = now();
    const known: Found = new Map();
    for (const identity of identities) {
      const entry = remembered.get(identity);
      if (entry) known.set(identity, entry);
    }
    const read = async (since: number) => {
      const unread = identities.filter((identity) => !((known.get(identity)?.readAt as number) >= since));
      if (unread.length === 0) return;
      for (const identity of unread) asked.add(identity);
      next ??= running.then(searchAsked);
      const mayBeOld = since < startedAt;
      // Nobody waits for a Virgil Cloud that fails, where all is remembered: it is asked in the background.
      if (mayBeOld && failedAt > NEVER && known.size === identities.length) return;
      const found = await next;
      for (const identity of unread) {
        const entry = found.get(identity);
        if (entry) known.set(identity, entry);
        else if (!mayBeOld || !known.has(identity)) throw reason;
      }
    };
    const verdict = () => judge((identity) => known.get(identity)?.keyIds as KeyIds);
    await read(startedAt - REMEMBERED_MS);
    if (!verdict()) return;
    await read(startedAt);
    return verdict();
  };
}

function keyIdsOf(cards: Card[]): KeyIds {
  const current = currentCards(cards);
  const keyIds = new Map<string, boolean>();
  // The current ones last, as a former card may have the same key. One without a key says that the card before is revoked.
  for (const card of [...cards, ...current].filter(({ publicKey }) => publicKey.length > 0)) {
    const hash = (algorithm: string) => createHash(algorithm).update(card.publicKey).digest('hex');
    // As libraries name it today and as old ones did: docs/formats.md, "Message envelope".
    for (const id of [hash('sha512').slice(0, 16), hash('sha256')]) keyIds.set(id, current.includes(card));
  }
  return keyIds;
}
