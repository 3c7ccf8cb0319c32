import { chart, type Panel } from './chart';
import {
  growthTable,
  millionsTable,
  type OnEngine,
  type PlainRow,
  plainTable,
  queriesTable,
  ratioTable,
} from './report';

const PANELS = [
  ['sessions, with the index', 'first call', 'First call, by sessions'],
  ['messages', 'save of a new message', 'Save, by messages stored'],
  ['recipients', 'save of a new message', 'Save of 1 KB and more, by recipients'],
  ['KB', 'save of a new message', 'Save, by KB of payload'],
  ['processes', 'renewal', 'Renewal, by server processes'],
  ['processes', 'save of a new message', 'Save, by server processes'],
] as const;
const COLORS = ['#336791', '#12924f'];

/**
 * Puts what was measured into docs/performance.md, between the comments that name it.
 *
 * @param page its text
 * @param engines each with everything
 * @throws Error for a text without one of these comments
 */
export function pageWith(page: string, machine: string, plain: PlainRow[], engines: OnEngine[]): string {
  const growth = engines.map(({ engine, growth = [] }) => `${engine}:\n\n${growthTable(growth)}`);
  const parts: Record<string, string> = {
    machine: `${machine}; ${engines.map(({ engine }) => engine).join(', ')}.`,
    ratios: ratioTable(engines),
    plain: plainTable(plain),
    queries: engines.map(({ engine, queries = [] }) => `${engine}:\n\n${queriesTable(queries)}`).join('\n\n'),
    millions: millionsTable(engines),
    growth: growth.join('\n\n'),
  };
  return Object.entries(parts).reduce((text, [name, made]) => withPart(text, name, made), page);
}

/** docs/performance.svg: the processor's time of calls as things grow. */
export function pictureOf(engines: OnEngine[]): string {
  const sides = [
    { name: 'with us', of: 'withUs', isDashed: false },
    { name: 'without us', of: 'withoutUs', isDashed: true },
  ] as const;
  const panels = PANELS.map(([grows, call, title]): Panel => {
    const points = engines.map(
      ({ growth = [] }) => growth.find((one) => one.grows === grows && one.call === call)?.points ?? [],
    );
    return {
      title,
      steps: points[0]?.map(({ at }) => at.toLocaleString('en')) ?? [],
      lines: points.flatMap((ofEngine, i) =>
        sides.map(({ of, isDashed }) => ({
          color: COLORS[i] as string,
          isDashed,
          values: ofEngine.map((point) => point[of].cpuMs),
        })),
      ),
    };
  });
  const key = engines.flatMap(({ engine }, i) =>
    sides.map(({ name, isDashed }) => ({ name: `${engine}, ${name}`, color: COLORS[i] as string, isDashed })),
  );
  return chart("The processor's time of a call", panels, 'ms', key);
}

function withPart(text: string, name: string, made: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [before, after] = [text.split(begin)[0], text.split(end)[1]];
  if (before === undefined || after === undefined) throw new Error(`The page has no ${begin} … ${end}.`);
  return `${before}${begin}\n\n${made}\n\n${end}${after}`;
}
