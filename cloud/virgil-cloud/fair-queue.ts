/** One identity that a caller waits for. */
export interface Want<Answer> {
  /** Who waits: callers take turns. */
  caller: string;
  identity: string;
  settle(answer: Answer): void;
  fail(reason: unknown): void;
}

export interface FairQueue<Answer> {
  /** Queues a want, or fails it where the caller has too many in the queue. */
  add(want: Want<Answer>): void;
  /** Takes a want out of the queue, unless it is being served. */
  remove(want: Want<Answer>): void;
}

// Identities: those of ten saves for a hundred readers each.
const MAX_QUEUED_BY_ONE = 1000;

/**
 * Serves what is wanted in batches, one after another. A batch takes one identity of each caller in turn, so a caller who
 * wants many does not delay another who wants few.
 * @param maxIdentities how many identities a batch may hold
 * @param serve settles or fails each want of a batch, or queues it again. Never rejects
 */
export function fairQueue<Answer>(
  maxIdentities: number,
  serve: (batch: Want<Answer>[]) => Promise<void>,
): FairQueue<Answer> {
  /** What each caller wants, by identity. */
  const queued = new Map<string, Map<string, Set<Want<Answer>>>>();
  let isServing = false;

  function nextBatch(): Want<Answer>[] {
    const batch: Want<Answer>[] = [];
    const identities = new Set<string>();
    // A caller who wants more goes to the end of the map, where this loop comes by again.
    for (const [caller, byIdentity] of queued) {
      if (identities.size === maxIdentities) break;
      const [[identity, wants]] = byIdentity as unknown as [[string, Set<Want<Answer>>]];
      batch.push(...wants);
      identities.add(identity);
      byIdentity.delete(identity);
      queued.delete(caller);
      if (byIdentity.size > 0) queued.set(caller, byIdentity);
    }
    return batch;
  }

  async function serveAll(): Promise<void> {
    isServing = true;
    // The first batch holds all that one save wants.
    await undefined;
    while (queued.size > 0) await serve(nextBatch());
    isServing = false;
  }

  return {
    add(want) {
      const { caller, identity } = want;
      const byIdentity = queued.get(caller) ?? new Map<string, Set<Want<Answer>>>();
      if (byIdentity.size >= MAX_QUEUED_BY_ONE) {
        want.fail(new Error('This caller has too many look-ups in the queue.'));
        return;
      }
      const wants = byIdentity.get(identity) ?? new Set();
      queued.set(caller, byIdentity.set(identity, wants.add(want)));
      if (!isServing) void serveAll();
    },
    remove(want) {
      const byIdentity = queued.get(want.caller);
      const wants = byIdentity?.get(want.identity);
      if (!wants?.delete(want) || wants.size > 0) return;
      byIdentity?.delete(want.identity);
      if (byIdentity?.size === 0) queued.delete(want.caller);
    },
  };
}
