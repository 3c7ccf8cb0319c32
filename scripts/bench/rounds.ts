/** What of two things was measured, as the ratio of the first to the second. */
export interface Ratio {
  median: number;
  /** Of the rounds' ratios: the first and the third quartile. */
  spread: [number, number];
}

/**
 * Measures several things in interleaved rounds, A B C C B A …, so that the machine's moods and what the one before has
 * left behind hit all alike. The first rounds warm up and do not count.
 *
 * @param things each does its work once, and returns its figure: a rate, a time, or several
 * @param say tells of each round that begins
 * @param warmUp how many rounds do not count
 * @returns for each name the figures of the counted rounds
 */
export async function interleave<Name extends string, Figure>(
  things: Record<Name, () => Promise<Figure> | Figure>,
  rounds: number,
  say: (round: number) => void = () => {},
  warmUp = Math.ceil(rounds / 5),
): Promise<Record<Name, Figure[]>> {
  const names = Object.keys(things) as Name[];
  const figures = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Figure[]>;
  for (let round = -warmUp; round < rounds; round++) {
    say(Math.max(0, round + 1));
    names.reverse();
    for (const name of names) {
      const figure = await things[name]();
      if (round >= 0) figures[name].push(figure);
    }
  }
  return figures;
}

export function ratioOf(figures: number[], against: number[]): Ratio {
  const ratios = figures.map((figure, round) => figure / (against[round] as number)).sort((a, b) => a - b);
  const at = (quantile: number) => ratios[Math.round(quantile * (ratios.length - 1))] as number;
  return { median: at(0.5), spread: [at(0.25), at(0.75)] };
}

export function median(figures: number[]): number {
  return ratioOf(
    figures,
    figures.map(() => 1),
  ).median;
}

/** What a ratio is to be: at least this, or at most. */
export type Target = { atLeast: number } | { atMost: number };

/**
 * Whether it is as it was to be. Where the median is not, but a quartile of the rounds is, this machine cannot tell: that is
 * its noise.
 */
export function verdict({ median, spread }: Ratio, target: Target): 'met' | 'short' | 'noise' {
  const isMet = (value: number) => ('atLeast' in target ? value >= target.atLeast : value <= target.atMost);
  if (isMet(median)) return 'met';
  return spread.some(isMet) ? 'noise' : 'short';
}

/** Microseconds that one call takes, over enough calls to fill a few milliseconds. */
export function timer(work: () => unknown, calls: number): () => number {
  return () => {
    const start = process.hrtime.bigint();
    for (let call = 0; call < calls; call++) work();
    return Number(process.hrtime.bigint() - start) / 1000 / calls;
  };
}
