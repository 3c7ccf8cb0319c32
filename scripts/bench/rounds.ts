/** What of two things was measured, as the ratio of the first to the second. */
export interface Ratio {
  median: number;
  /** Of the rounds' ratios: the first and the third quartile. */
  spread: [number, number];
}

/** Does its work once and returns its figure: a rate or a time. */
type Measured = () => Promise<number> | number;

/**
 * Measures several things in interleaved rounds, A B C A B C …, so that the machine's moods hit all alike.
 * The first rounds warm up and do not count.
 *
 * @param say tells of each round that begins
 * @returns for each name the figures of the counted rounds
 */
export async function interleave<Name extends string>(
  things: Record<Name, Measured>,
  rounds: number,
  say: (round: number) => void = () => {},
): Promise<Record<Name, number[]>> {
  const names = Object.keys(things) as Name[];
  const figures = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, number[]>;
  const warmUp = Math.ceil(rounds / 5);
  for (let round = -warmUp; round < rounds; round++) {
    say(Math.max(0, round + 1));
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

/** Microseconds that one call takes, over enough calls to fill a few milliseconds. */
export function timer(work: () => unknown, calls: number): () => number {
  return () => {
    const start = process.hrtime.bigint();
    for (let call = 0; call < calls; call++) work();
    return Number(process.hrtime.bigint() - start) / 1000 / calls;
  };
}
