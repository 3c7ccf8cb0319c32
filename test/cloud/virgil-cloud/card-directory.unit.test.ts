import { createHash } from 'node:crypto';
import { ServiceError } from '../../../cloud/json-request';
import { cardDirectory } from '../../../cloud/virgil-cloud/card-directory';
import type { Card } from '../../../cloud/virgil-cloud/cards';

const LIFETIME = 300_000;
const PAUSE = 5_000;
const AWAY = new ServiceError('is away');
const TOO_LARGE = new ServiceError('was answered with more than 4 bytes', 413);

/** A card of this identity, whose public key is a text. */
const card = (identity: string, key: string, previousCardId?: string): Card => ({
  id: `card of ${key}`,
  identity,
  previousCardId,
  publicKey: Buffer.from(key),
});
const keyId = (key: string) => createHash('sha512').update(key).digest('hex').slice(0, 16);

function setUp() {
  const cloud = {
    /** What is published. */
    cards: ['alice', 'bob', 'carol'].map((identity) => card(identity, `${identity} 1`)),
    now: 0,
    error: undefined as Error | undefined,
    /** A search for one of these is rejected. */
    faulty: new Set<string>(),
    /** Holds each search up until it is called. */
    held: undefined as (() => void)[] | undefined,
    searches: [] as string[][],
  };
  const judge = cardDirectory(
    async (identities) => {
      cloud.searches.push(identities);
      const { error, cards } = cloud;
      if (cloud.held) await new Promise<void>((go) => cloud.held?.push(go));
      if (error) throw error;
      if (identities.some((identity) => cloud.faulty.has(identity))) throw TOO_LARGE;
      return cards.filter(({ identity }) => identities.includes(identity));
    },
    () => cloud.now,
  );
  return {
    cloud,
    /** Whether each has the key as a current one: `ok`, or whom it is wrong of; or the error. */
    async ask(keys: Record<string, string>, caller = 'a caller'): Promise<string> {
      try {
        const wrong = await judge(caller, Object.keys(keys), (keyIdsOf) => {
          const of = Object.keys(keys).find((identity) => {
            const known = keyIdsOf(identity);
            return known && known.get(keyId(keys[identity] as string)) !== true;
          });
          return of === undefined ? undefined : { fault: of, of };
        });
        return wrong ?? 'ok';
      } catch (error) {
        return (error as Error).message;
      }
    },
    /** Publishes another key, after a moment. */
    rotate(identity: string, from: string, to: string) {
      cloud.cards.push(card(identity, to, `card of ${from}`));
      cloud.now += 1;
    },
  };
}

const settle = () => new Promise(setImmediate);

test('what is known of each identity is its key IDs, of 8 bytes and of 32, and whether their card is current', async () => {
  const judge = cardDirectory(async () => [
    card('alice', 'new', 'card of old'),
    card('alice', 'old', 'card of oldest'),
    card('alice', 'oldest'),
    card('bob', 'a key'),
    card('bob', '', 'card of a key'),
    card('carol', 'again', 'card of again'),
    card('carol', 'again'),
  ]);
  const seen: Record<string, object> = {};
  await judge('a caller', ['alice', 'bob', 'carol', 'dave'], (keyIdsOf) => {
    for (const identity of ['alice', 'bob', 'carol', 'dave'])
      seen[identity] = Object.fromEntries(keyIdsOf(identity) ?? []);
    return undefined;
  });
  const both = (key: string, isCurrent: boolean) => ({
    [keyId(key)]: isCurrent,
    [createHash('sha256').update(key).digest('hex')]: isCurrent,
  });
  expect(seen).toEqual({
    alice: { ...both('new', true), ...both('old', false), ...both('oldest', false) },
    bob: both('a key', false), // revoked
    carol: both('again', false),
    dave: {},
  });
});

test('a card that names a card of somebody else as its predecessor supersedes nothing', async () => {
  const { cloud, ask } = setUp();
  cloud.cards.push(card('eve', 'a key of eve', 'card of bob 1'));
  expect(await ask({ bob: 'bob 1', eve: 'a key of eve' })).toBe('ok');
});

test('what is remembered is not asked for again within 300 s, and then it is', async () => {
  const { cloud, ask } = setUp();
  await ask({ alice: 'alice 1', bob: 'bob 1' });
  cloud.now = LIFETIME;
  expect(await ask({ alice: 'alice 1', bob: 'bob 1' })).toBe('ok');
  expect(cloud.searches).toEqual([['alice', 'bob']]);
  cloud.now = LIFETIME + 1;
  await ask({ alice: 'alice 1' });
  expect(cloud.searches).toEqual([['alice', 'bob'], ['alice']]);
});

test('a new key is good at once: what was remembered is read again before it is at fault', async () => {
  const { cloud, ask, rotate } = setUp();
  await ask({ alice: 'alice 1', bob: 'bob 1' });
  rotate('bob', 'bob 1', 'bob 2');
  expect(await ask({ alice: 'alice 1', bob: 'bob 2' })).toBe('ok');
  expect(cloud.searches).toHaveLength(2);
});

test('a former key is at fault at once where nothing is remembered, and after one search', async () => {
  const { cloud, ask, rotate } = setUp();
  rotate('bob', 'bob 1', 'bob 2');
  expect(await ask({ bob: 'bob 1' })).toBe('bob');
  expect(cloud.searches).toHaveLength(1);
});

test('a former key is at fault within 300 s where it is remembered', async () => {
  const { cloud, ask, rotate } = setUp();
  await ask({ bob: 'bob 1' });
  rotate('bob', 'bob 1', 'bob 2');
  cloud.now = LIFETIME;
  expect(await ask({ bob: 'bob 1' })).toBe('ok');
  cloud.now = LIFETIME + 1;
  expect(await ask({ bob: 'bob 1' })).toBe('bob');
});

test('a search that began before the question is not taken for the answer to it', async () => {
  const { cloud, ask, rotate } = setUp();
  cloud.held = [];
  const first = ask({ bob: 'bob 1' });
  await settle();
  const old = cloud.cards;
  cloud.cards = [...old];
  rotate('bob', 'bob 1', 'bob 2');
  const second = ask({ bob: 'bob 2' });
  cloud.held[0]?.();
  cloud.held = undefined;
  expect([await first, await second]).toEqual(['ok', 'ok']);
});

test('that somebody has no card is not remembered', async () => {
  const { cloud, ask } = setUp();
  expect(await ask({ dave: 'dave 1' })).toBe('dave');
  cloud.cards.push(card('dave', 'dave 1'));
  expect(await ask({ dave: 'dave 1' })).toBe('ok');
  cloud.cards = [];
  cloud.now = LIFETIME + 1;
  expect(await ask({ dave: 'dave 1' })).toBe('dave');
  expect(cloud.searches).toHaveLength(3);
});

test('what is asked while a search runs goes together into the next: a thousand at once are two searches', async () => {
  const { cloud, ask } = setUp();
  const keys = { alice: 'alice 1', bob: 'bob 1', carol: 'carol 1' };
  cloud.held = [];
  const first = ask(keys);
  await settle();
  const others = Array.from({ length: 999 }, () => ask(keys));
  await settle();
  const [go] = cloud.held;
  cloud.held = undefined;
  go?.();
  expect(new Set(await Promise.all([first, ...others]))).toEqual(new Set(['ok']));
  expect(cloud.searches).toHaveLength(2);
});

test('a search is for at most 50', async () => {
  const { cloud, ask } = setUp();
  cloud.cards = Array.from({ length: 120 }, (_, i) => card(`user${i}`, `user${i}`));
  expect(await ask(Object.fromEntries(cloud.cards.map(({ identity }) => [identity, identity])))).toBe('ok');
  expect(cloud.searches.map(({ length }) => length)).toEqual([50, 50, 20]);
});

test('at most 10,000 are remembered: the one that was read first is forgotten', async () => {
  const { cloud, ask } = setUp();
  await ask({ alice: 'alice 1' });
  await ask({ bob: 'bob 1' });
  cloud.now = LIFETIME + 1;
  await ask({ alice: 'alice 1' }); // read again, and so later than bob
  const others = Array.from({ length: 9_999 }, (_, i) => `user${i}`);
  cloud.cards.push(...others.map((identity) => card(identity, identity)));
  await ask(Object.fromEntries(others.map((identity) => [identity, identity])));
  cloud.searches.length = 0;
  await ask({ alice: 'alice 1' });
  expect(cloud.searches).toEqual([]);
  await ask({ bob: 'bob 1' });
  expect(cloud.searches).toEqual([['bob']]);
});

describe('a Virgil Cloud that fails', () => {
  test('is left alone for 5 s, by those too who have waited', async () => {
    const { cloud, ask } = setUp();
    cloud.error = AWAY;
    cloud.held = [];
    const first = ask({ alice: 'alice 1' });
    await settle();
    const second = ask({ bob: 'bob 1' });
    cloud.now = 3_000;
    cloud.held[0]?.();
    expect([await first, await second]).toEqual(['is away', 'is away']);
    cloud.held = cloud.error = undefined;
    cloud.now = 3_000 + PAUSE - 1;
    expect(await ask({ alice: 'alice 1' })).toBe('is away');
    expect(cloud.searches).toHaveLength(1);
    cloud.now = 3_000 + PAUSE;
    expect(await ask({ alice: 'alice 1' })).toBe('ok');
  });

  test('is asked for the rest of a hundred no more', async () => {
    const { cloud, ask } = setUp();
    cloud.error = AWAY;
    await ask(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`user${i}`, 'a key'])));
    expect(cloud.searches).toHaveLength(1);
  });

  test('what is remembered counts, however old; and where it is at fault, nobody can tell', async () => {
    const { cloud, ask } = setUp();
    await ask({ alice: 'alice 1', bob: 'bob 1' });
    cloud.now = 10 * LIFETIME;
    cloud.error = AWAY;
    expect(await ask({ alice: 'alice 1', bob: 'bob 1' })).toBe('ok');
    expect(await ask({ bob: 'bob 2' })).toBe('is away');
    expect(await ask({ alice: 'alice 1', carol: 'carol 1' })).toBe('is away');
  });

  test('nobody waits for it where all is remembered: it is asked in the background', async () => {
    const { cloud, ask, rotate } = setUp();
    await ask({ bob: 'bob 1' });
    cloud.now = 2 * LIFETIME;
    cloud.error = AWAY;
    await ask({ bob: 'bob 1' });
    rotate('bob', 'bob 1', 'bob 2');
    cloud.now += PAUSE;
    cloud.error = undefined;
    cloud.held = [];
    expect(await ask({ bob: 'bob 1' })).toBe('ok'); // while the search is held up
    expect(cloud.searches).toHaveLength(3);
    cloud.held[0]?.();
    cloud.held = undefined;
    await settle();
    cloud.now += 1;
    expect(await ask({ bob: 'bob 1' })).toBe('bob');
    expect(cloud.searches).toHaveLength(4);
  });

  test.each([401, 403, 429])(
    'by %i, which any search would be answered, is left alone too',
    async (status) => {
      const { cloud, ask } = setUp();
      await ask({ alice: 'alice 1' });
      cloud.now = LIFETIME + 1;
      cloud.error = new ServiceError('rejected', status);
      expect(await ask({ bob: 'bob 1', carol: 'carol 1' })).toBe('rejected');
      expect(await ask({ alice: 'alice 1' })).toBe('ok');
      expect(cloud.searches).toHaveLength(2);
      cloud.error = undefined;
      cloud.now += PAUSE;
      expect(await ask({ bob: 'bob 1' })).toBe('ok');
    },
  );

  test('nobody waits for longer than 3 s: after that, what is remembered counts', async () => {
    const { cloud, ask } = setUp();
    await ask({ bob: 'bob 1' });
    cloud.now = LIFETIME + 1;
    cloud.held = [];
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    try {
      let isOver = false;
      const asked = [ask({ bob: 'bob 1' }), ask({ bob: 'bob 1', alice: 'alice 1' }), ask({ bob: 'bob 2' })];
      const all = Promise.all(asked).finally(() => {
        isOver = true;
      });
      await settle();
      jest.advanceTimersByTime(2_999);
      await settle();
      expect(isOver).toBe(false);
      jest.advanceTimersByTime(1);
      const late = 'POST /card/v5/actions/search was not answered within 3 s.';
      expect(await all).toEqual(['ok', late, late]);
    } finally {
      jest.useRealTimers();
      cloud.held[0]?.();
    }
  });
});

describe('an identity that Virgil Cloud rejects a search for', () => {
  const people = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`user${i}`, `user${i}`]));
  const publish = (cloud: ReturnType<typeof setUp>['cloud'], count: number) => {
    cloud.cards = Object.keys(people(count)).map((identity) => card(identity, identity));
  };

  test.each([0, 24, 25, 49])(
    'is found among fifty by 13 searches, and fails nobody else: number %i',
    async (n) => {
      const { cloud, ask } = setUp();
      publish(cloud, 50);
      cloud.faulty.add(`user${n}`);
      const all = ask(people(50));
      expect(await all).toBe(TOO_LARGE.message);
      expect(cloud.searches.length).toBeLessThanOrEqual(13);
      const { [`user${n}`]: _faulty, ...others } = people(50);
      expect(await ask(others)).toBe('ok');
      expect(cloud.searches.length).toBeLessThanOrEqual(13); // they were read
    },
  );

  test('is found although there are ten: a batch takes at most 16 searches, the rest goes into the next', async () => {
    const { cloud, ask } = setUp();
    publish(cloud, 50);
    for (let n = 0; n < 50; n += 5) cloud.faulty.add(`user${n}`);
    const others = Object.fromEntries(
      Object.entries(people(50)).filter(([identity]) => !cloud.faulty.has(identity)),
    );
    expect(await ask(people(50))).toBe(TOO_LARGE.message);
    expect(cloud.searches.length).toBeLessThanOrEqual(80);
    cloud.searches.length = 0;
    expect(await ask(others)).toBe('ok');
    expect(cloud.searches).toEqual([]); // they were read
  });

  test('is searched alone for 300 s, and then with others again', async () => {
    const { cloud, ask } = setUp();
    cloud.faulty.add('eve');
    expect(await ask({ eve: 'a key', alice: 'alice 1' })).toBe(TOO_LARGE.message);
    cloud.now = LIFETIME - 1;
    cloud.searches.length = 0;
    await ask({ eve: 'a key', bob: 'bob 1' });
    expect(new Set(cloud.searches)).toEqual(new Set([['bob'], ['eve']]));
    cloud.faulty.clear();
    cloud.now += LIFETIME;
    cloud.searches.length = 0;
    expect(await ask({ eve: 'a key', carol: 'carol 1' })).toBe('eve'); // who has no card
    expect(cloud.searches).toEqual([['eve', 'carol']]);
  });

  test('does not delay others while it is searched', async () => {
    const { cloud, ask } = setUp();
    cloud.faulty.add('eve');
    await ask({ eve: 'a key' });
    cloud.held = [];
    const eve = ask({ eve: 'a key' });
    await settle();
    const alice = ask({ alice: 'alice 1' });
    await settle();
    expect(cloud.searches.slice(-2)).toEqual([['eve'], ['alice']]);
    cloud.held[1]?.();
    expect(await alice).toBe('ok');
    cloud.held[0]?.();
    expect(await eve).toBe(TOO_LARGE.message);
  });
});

describe('one caller does not delay another', () => {
  const madeUp = (n: number) =>
    Object.fromEntries(Array.from({ length: 99 }, (_, i) => [`nobody${n}-${i}`, 'a key']));

  test('a save is answered as soon as its own identities are read, or one of them is at fault', async () => {
    const { cloud, ask } = setUp();
    cloud.held = [];
    const attack = Array.from({ length: 10 }, (_, n) => ask(madeUp(n), 'mallory'));
    await settle();
    const alice = ask({ alice: 'alice 1', bob: 'bob 1' }, 'alice');
    await settle();
    cloud.held.shift()?.(); // the search that was under way
    await settle();
    expect(cloud.searches[1]).toContain('alice');
    expect(cloud.searches[1]).toContain('bob');
    cloud.held.shift()?.();
    expect(await alice).toBe('ok');
    while (cloud.held.length > 0) {
      cloud.held.shift()?.();
      await settle();
    }
    for (const [n, answer] of (await Promise.all(attack)).entries()) expect(answer).toMatch(`nobody${n}-`);
    // One identity at fault is enough: 10 saves of 99 made-up readers would be 20 searches.
    expect(cloud.searches.length).toBeLessThan(20);
  });

  test('two hundred callers at once have their turns', async () => {
    const { cloud, ask } = setUp();
    cloud.held = [];
    const attack = Array.from({ length: 200 }, (_, n) => ask(madeUp(n), `mallory ${n}`));
    await settle();
    const alice = ask({ alice: 'alice 1' }, 'alice');
    let searches = 0;
    let answer: string | undefined;
    alice.then((verdict) => {
      answer = verdict;
    });
    for (; answer === undefined && searches < 20; searches++) {
      await settle();
      cloud.held.shift()?.();
      await settle();
    }
    expect(answer).toBe('ok');
    expect(searches).toBeLessThanOrEqual(6);
    cloud.held = undefined;
    void attack;
  });

  test('a caller may have a thousand identities in the queue', async () => {
    const { cloud, ask } = setUp();
    cloud.held = [];
    const many = Object.fromEntries(Array.from({ length: 1050 }, (_, i) => [`nobody${i}`, 'a key']));
    const first = ask({ alice: 'alice 1' }, 'mallory');
    await settle();
    const over = ask(many, 'mallory');
    const bob = ask({ bob: 'bob 1' }, 'bob');
    await settle();
    const [go] = cloud.held;
    cloud.held = undefined;
    go?.();
    expect([await first, await bob]).toEqual(['ok', 'ok']);
    expect(await over).toMatch(/^nobody\d+$/);
    expect(cloud.searches.flat().length).toBeLessThan(150);
  });
});
