import { createHash } from 'node:crypto';
import { isOfRequest } from '../json-request';
import { type Card, currentCards, MAX_SEARCHED } from './cards';
import { type FairQueue, fairQueue, type Want } from './fair-queue';

/** The key IDs of an identity's cards, in hex, and whether that card is current. */
export type KeyIds = ReadonlyMap<string, boolean>;

/** What a search has found of one identity, and when that search began. */
export interface Entry {
  readAt: number;
  keyIds: KeyIds;
}

const REMEMBERED_MS = 300_000;
const MAX_REMEMBERED = 10_000;
const PAUSE_MS = 5_000;
const MAX_REQUESTS = 16;
const NEVER = Number.NEGATIVE_INFINITY;

/**
 * Reads the cards of identities, and remembers them. One search runs at a time, and what is wanted while it runs is queued for
 * the next. After an outage Virgil Cloud is left alone for 5 seconds. Where it rejects what was searched for, each half is
 * searched again, until the identity at fault is found: that one is searched alone for 300 seconds, while others go on.
 * @param search gives all cards of at most 50 identities
 * @param now in milliseconds
 */
export function cardReader(search: (identities: string[]) => Promise<Card[]>, now: () => number) {
  // An identity without a card is not in it.
  const remembered = new Map<string, Entry>();
  /** Until when an identity is searched alone. */
  const faulty = new Map<string, number>();
  let failedAt = NEVER;
  let outage: unknown;
  const together = fairQueue<Entry>(MAX_SEARCHED, serve);
  const alone = fairQueue<Entry>(1, serve);
  const queueOf = (identity: string): FairQueue<Entry> => ((faulty.get(identity) ?? NEVER) > now() ? alone : together);

  async function serve(batch: Want<Entry>[]): Promise<void> {
    const wantsOf = new Map<string, Want<Entry>[]>();
    for (const want of batch) {
      const wants = wantsOf.get(want.identity);
      if (wants) wants.push(want);
      else wantsOf.set(want.identity, [want]);
    }
    const each = (identities: string[], act: (want: Want<Entry>) => void) => {
      for (const identity of identities) wantsOf.get(identity)?.forEach(act);
    };
    const groups = [[...wantsOf.keys()]];
    for (let requests = 0; requests < MAX_REQUESTS; requests++) {
      const group = groups.pop();
      if (!group) return;
      const { found, error } = await read(group);
      if (found) {
        each(group, (want) => want.settle(found.get(want.identity) as Entry));
      } else if (group.length > 1 && isOfRequest(error)) {
        const half = Math.ceil(group.length / 2);
        groups.push(group.slice(half), group.slice(0, half));
      } else {
        if (isOfRequest(error)) keep(faulty, `${group}`, now() + REMEMBERED_MS);
        each(group, (want) => want.fail(error));
      }
    }
    each(groups.flat(), (want) => queueOf(want.identity).add(want));
  }

  async function read(identities: string[]): Promise<{ found?: Map<string, Entry>; error?: unknown }> {
    const readAt = now();
    if (readAt - failedAt < PAUSE_MS) return { error: outage };
    try {
      const found = byIdentity(identities, await search(identities), readAt);
      failedAt = NEVER;
      for (const [identity, entry] of found) {
        faulty.delete(identity);
        remembered.delete(identity);
        if (entry.keyIds.size > 0) keep(remembered, identity, entry);
      }
      return { found };
    } catch (error) {
      if (!isOfRequest(error)) [failedAt, outage] = [now(), error];
      return { error };
    }
  }

  return {
    remembered: (identity: string) => remembered.get(identity),
    /** Whether the last search has failed. */
    isAway: () => failedAt > NEVER,
    want: (want: Want<Entry>) => queueOf(want.identity).add(want),
    withdraw(want: Want<Entry>) {
      together.remove(want);
      alone.remove(want);
    },
  };
}

/** Puts an entry at the end of a map, which drops its first where it has too many. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest = ''] = map.keys();
  if (map.size > MAX_REMEMBERED) map.delete(oldest);
}

function byIdentity(identities: string[], cards: Card[], readAt: number): Map<string, Entry> {
  const chains = new Map<string, Card[]>(identities.map((identity) => [identity, []]));
  // A search may be answered with the card of anybody.
  for (const card of cards) chains.get(card.identity)?.push(card);
  return new Map([...chains].map(([identity, chain]) => [identity, { readAt, keyIds: keyIdsOf(chain) }]));
}

function keyIdsOf(cards: Card[]): KeyIds {
  const current = new Set(currentCards(cards));
  const keyIds = new Map<string, boolean>();
  // The current ones last, as a former card may have the same key. One without a key says that the card before is revoked.
  for (const card of [...cards, ...current]) {
    if (card.publicKey.length === 0) continue;
    const hash = (algorithm: string) => createHash(algorithm).update(card.publicKey).digest('hex');
    // As libraries name it today and as old ones did: docs/formats.md, "Message envelope".
    for (const id of [hash('sha512').slice(0, 16), hash('sha256')]) keyIds.set(id, current.has(card));
  }
  return keyIds;
}
