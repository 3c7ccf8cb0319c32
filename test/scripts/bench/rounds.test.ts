import { interleave, ratioOf, verdict } from '../../../scripts/bench/rounds';

test('rounds are interleaved to and fro, and the first ones warm up without counting', async () => {
  const calls: string[] = [];
  const figures = await interleave({ a: () => calls.push('a'), b: async () => calls.push('b') }, 10);
  expect(calls.join('')).toBe('baab'.repeat(6));
  expect(figures.a).toEqual([6, 7, 10, 11, 14, 15, 18, 19, 22, 23]);
  expect(figures.b).toHaveLength(10);
});

test('a ratio is taken round by round: its median, and the quartiles as its spread', () => {
  const figures = [2, 4, 90, 8, 1];
  const against = [1, 1, 30, 1, 1];
  expect(ratioOf(figures, against)).toEqual({ median: 3, spread: [2, 4] });
});

test.each([
  ['met', 0.9, [0.8, 0.95], { atLeast: 0.88 }],
  ['noise', 0.86, [0.8, 0.95], { atLeast: 0.88 }],
  ['short', 0.86, [0.8, 0.87], { atLeast: 0.88 }],
  ['met', 1.2, [1.1, 1.4], { atMost: 1.3 }],
  ['noise', 1.35, [1.3, 1.5], { atMost: 1.3 }],
  ['short', 1.35, [1.31, 1.5], { atMost: 1.3 }],
] as const)(
  'a target is %s by a median of %d with quartiles %j, where it is %j',
  (judged, median, [low, high], target) => {
    expect(verdict({ median, spread: [low, high] }, target)).toBe(judged);
  },
);
