import { ServiceError } from '../json-request';
import { cardReader, type Entry, type KeyIds } from './card-reader';
import type { Card } from './cards';
import type { Want } from './fair-queue';

/** A fault, and the identity whose cards alone decide it; without one, the cards of all decide it. */
export interface Verdict<Fault> {
  fault: Fault;
  of?: string;
}

/** Finds fault by what is known so far: the key IDs are undefined for an identity whose cards have not been read yet. */
export type Judge<Fault> = (keyIdsOf: (identity: string) => KeyIds | undefined) => Verdict<Fault> | undefined;

const FRESH_MS = 300_000;
const PATIENCE_MS = 3_000;

/**
 * Judges by who has which keys. What was read within 300 seconds counts, and however old, while Virgil Cloud fails.
 * @param search gives all cards of at most 50 identities
 * @param now in milliseconds
 * @returns judges by the cards of these identities, for a caller: as soon as there is a fault, nothing more is asked for. A
 *   fault counts only if the cards that decide it were read after the call began, so that nobody's new card is a fault.
 *   Rejects where an identity that decides could not be read, or not within 3 seconds
 */
export function cardDirectory(
  search: (identities: string[]) => Promise<Card[]>,
  now = () => performance.now(),
): <Fault>(caller: string, identities: string[], judge: Judge<Fault>) => Promise<Fault | undefined> {
  const reader = cardReader(search, now);

  return async (caller, identities, judge) => {
    const startedAt = now();
    const known = new Map<string, Entry>();
    for (const identity of identities) {
      const entry = reader.remembered(identity);
      if (entry) known.set(identity, entry);
    }
    const failed = new Map<string, unknown>();
    const waiting = new Map<string, { want: Want<Entry>; end: Promise<void> }>();
    let patience: Patience | undefined;

    function waitFor(identity: string): void {
      let end = () => {};
      const ended = new Promise<void>((done) => {
        end = done;
      });
      const keep =
        <Value>(map: Map<string, Value>) =>
        (value: Value) => {
          map.set(identity, value);
          waiting.delete(identity);
          end();
        };
      const want = { caller, identity, settle: keep(known), fail: keep(failed) };
      waiting.set(identity, { want, end: ended });
      reader.want(want);
    }

    try {
      for (;;) {
        const verdict = judge((identity) => known.get(identity)?.keyIds);
        const since = verdict ? startedAt : startedAt - FRESH_MS;
        const deciding = verdict?.of === undefined ? identities : [verdict.of];
        const isUnread = (identity: string) => !((known.get(identity)?.readAt as number) >= since);
        const unread = new Set(deciding.filter(isUnread));
        if (unread.size === 0) return verdict?.fault;

        const mayBeOld = !verdict && [...unread].every((identity) => known.has(identity));
        const open = patience?.isOver ? [] : [...unread].filter((identity) => !failed.has(identity));
        if (open.length === 0) {
          if (mayBeOld) return;
          throw [...unread].map((identity) => failed.get(identity)).find(Boolean) ?? LATE;
        }
        for (const [identity, { want }] of waiting) {
          if (unread.has(identity)) continue;
          reader.withdraw(want);
          waiting.delete(identity);
        }
        for (const identity of open) if (!waiting.has(identity)) waitFor(identity);
        if (mayBeOld && reader.isAway()) {
          // What is remembered counts; in the background it is read anew.
          waiting.clear();
          return;
        }
        if (waiting.size === 0) continue;
        patience ??= new Patience();
        await Promise.race([patience.end, ...[...waiting.values()].map(({ end }) => end)]);
      }
    } finally {
      patience?.stop();
      for (const { want } of waiting.values()) reader.withdraw(want);
    }
  };
}

const LATE = new ServiceError('POST /card/v5/actions/search was not answered within 3 s.');

/** Ends after 3 seconds. */
class Patience {
  isOver = false;
  private timer: NodeJS.Timeout | undefined;
  readonly end = new Promise<void>((end) => {
    this.timer = setTimeout(() => {
      this.isOver = true;
      end();
    }, PATIENCE_MS);
  });

  stop(): void {
    clearTimeout(this.timer);
  }
}
