import { createHash } from 'node:crypto';
import { ServiceError } from '../json-request';
import { type Card, currentCards, MAX_SEARCHED } from './cards';
import { type Lane, lane, type Want } from './lane';

/** The key IDs of an identity's cards, in hex, and whether that card is current. */
export type KeyIds = ReadonlyMap<string, boolean>;

/** What a search has found of one identity, and when it began. */
interface Entry {
  readAt: number;
  keyIds: KeyIds;
}

/** A fault, and the one identity whose cards decide it. Without that, the cards of all decide it. */
export interface Verdict<Fault> {
  fault: Fault;
  of?: string;
}

/** Finds fault by what is known so far: the key IDs are undefined for an identity whose cards have not been read yet. */
export type Judge<Fault> = (keyIdsOf: (identity: string) => KeyIds | undefined) => Verdict<Fault> | undefined;

const REMEMBERED_MS = 300_000;
const MAX_REMEMBERED = 10_000;
const PAUSE_MS = 5_000;
const PATIENCE_MS = 3_000;
const MAX_REQUESTS = 16;
const NEVER = Number.NEGATIVE_INFINITY;

/**
 * Who has which keys. One search runs at a time, and what is asked while it runs is queued for the next, in which each caller
 * has a fair share. After a failure Virgil Cloud is left alone for 5 seconds, and what is remembered counts then, however old.
 * Where Virgil Cloud rejects a search, half of it is searched at a time, until the identity at fault is found; that one is
 * searched alone for 300 seconds, while others go on.
 * @param search gives all cards of at most 50 identities
 * @param now in milliseconds
 * @returns judges by the cards of these identities, on behalf of a caller; as soon as there is a fault, nothing more is asked. A
 *   fault counts only if the cards that decide it were read after the call began, so that nobody's new card is a fault. Rejects
 *   with what `search` throws, or after 3 seconds, where the verdict depends on an identity that could not be read
 */
export function cardDirectory(
  search: (identities: string[]) => Promise<Card[]>,
  now = () => performance.now(),
): <Fault>(caller: string, identities: string[], judge: Judge<Fault>) => Promise<Fault | undefined> {
  // An identity without a card is not in it.
  const remembered = new Map<string, Entry>();
  /** Identities that Virgil Cloud has rejected a search for, and until when they are searched alone. */
  const faulty = new Map<string, number>();
  let failedAt = NEVER;
  let reason: unknown;
  const together = lane(MAX_SEARCHED, searchBatch);
  const alone = lane(1, searchBatch);
  const laneOf = (identity: string): Lane<Entry> => ((faulty.get(identity) ?? NEVER) > now() ? alone : together);

  /** Searches a batch, or its halves, and settles what is wanted of it; what is left after 16 requests is queued again. */
  async function searchBatch(batch: Map<string, Want<Entry>[]>): Promise<void> {
    const groups = [[...batch.keys()]];
    const each = (identities: string[], act: (want: Want<Entry>, identity: string) => void) => {
      for (const identity of identities) for (const want of batch.get(identity) ?? []) act(want, identity);
    };
    for (let requests = 0; requests < MAX_REQUESTS; requests++) {
      const group = groups.pop();
      if (!group) return;
      if (now() - failedAt < PAUSE_MS) {
        each(group, (want) => want.fail(reason));
        continue;
      }
      try {
        const found = await readCards(group);
        each(group, (want, identity) => want.settle(found.get(identity) as Entry));
      } catch (error) {
        const isOfRequest = error instanceof ServiceError && error.isOfRequest;
        if (isOfRequest && group.length > 1) {
          const half = Math.ceil(group.length / 2);
          groups.push(group.slice(half), group.slice(0, half));
          continue;
        }
        if (isOfRequest) remember(faulty, group[0] as string, now() + REMEMBERED_MS);
        else [failedAt, reason] = [now(), error];
        each(group, (want) => want.fail(error));
      }
    }
    each(groups.flat(), (want, identity) => laneOf(identity).add(want));
  }

  async function readCards(identities: string[]): Promise<Map<string, Entry>> {
    const readAt = now();
    const cards = await search(identities);
    failedAt = NEVER;
    const cardsOf = new Map<string, Card[]>(identities.map((identity) => [identity, []]));
    for (const card of cards) cardsOf.get(card.identity)?.push(card);
    const found = new Map<string, Entry>();
    for (const [identity, chain] of cardsOf) {
      const entry = { readAt, keyIds: keyIdsOf(chain) };
      found.set(identity, entry);
      faulty.delete(identity);
      if (chain.length > 0) remember(remembered, identity, entry);
      else remembered.delete(identity);
    }
    return found;
  }

  return async (caller, identities, judge) => {
    const startedAt = now();
    const known = new Map<string, Entry>();
    for (const identity of identities) {
      const entry = remembered.get(identity);
      if (entry) known.set(identity, entry);
    }
    const failed = new Map<string, unknown>();
    const queued = new Map<string, Want<Entry>>();
    let isLate = false;
    let timer: NodeJS.Timeout | undefined;
    let wake = () => {};
    try {
      for (;;) {
        const verdict = judge((identity) => known.get(identity)?.keyIds);
        const since = verdict ? startedAt : startedAt - REMEMBERED_MS;
        const isRead = (identity: string) => (known.get(identity)?.readAt ?? NEVER) >= since;
        const decisive = verdict?.of === undefined ? identities : [verdict.of];
        const unread = new Set(decisive.filter((identity) => !isRead(identity)));
        if (unread.size === 0) return verdict?.fault;

        const isKnown = [...unread].every((identity) => known.has(identity));
        const left = [...unread].filter((identity) => !isLate && !failed.has(identity));
        if (left.length === 0) {
          if (!verdict && isKnown) return;
          throw [...unread].map((identity) => failed.get(identity)).find(Boolean) ?? LATE;
        }
        for (const [identity, want] of queued) if (!unread.has(identity)) want.withdraw();
        for (const identity of left) {
          if (queued.has(identity)) continue;
          const want = laneOf(identity).want(caller, identity);
          queued.set(identity, want);
          want.answer.then(
            (entry) => known.set(identity, entry),
            (error) => failed.set(identity, error),
          );
          want.answer.then(() => wake(), () => wake()).finally(() => queued.delete(identity));
        }
        // Nobody waits for a Virgil Cloud that fails, where all is remembered: it is asked in the background.
        if (!verdict && isKnown && failedAt > NEVER) {
          queued.clear();
          return;
        }
        await new Promise<void>((awake) => {
          wake = awake;
          timer ??= setTimeout(() => {
            isLate = true;
            wake();
          }, PATIENCE_MS);
        });
      }
    } finally {
      clearTimeout(timer);
      for (const want of queued.values()) want.withdraw();
    }
  };
}
