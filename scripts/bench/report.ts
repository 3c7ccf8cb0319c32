import type { Growth, Point } from './growth';
import type { Row } from './over-http';
import type { Queries } from './queries';
import { type Ratio, type Target, verdict } from './rounds';

/** What was measured on one engine. */
export interface OnEngine {
  /** With its version. */
  engine: string;
  rows?: Row[];
  queries?: Queries[];
  growth?: Growth[];
}

/** What was measured without a server. */
export interface PlainRow {
  measure: string;
  against: string;
  target: string;
  result: string;
}

/** Short of its target is bold; what this machine's noise cannot tell from its target says so. */
export function written(ratio: Ratio, target?: Target): string {
  const text = `${ratio.median.toFixed(2)} (${ratio.spread.map((edge) => edge.toFixed(2)).join(' to ')})`;
  const judged = target && verdict(ratio, target);
  if (judged === 'short') return `**${text}**`;
  return judged === 'noise' ? `${text}, noise` : text;
}

export function inWords(target: Target): string {
  return 'atLeast' in target ? `at least ${target.atLeast}` : `at most ${target.atMost}`;
}

/** Ratios of each engine side by side: calls a second, and the processor's time. */
export function ratioTable(engines: OnEngine[]): string {
  const measured = engines.map(({ rows }) => rows ?? []);
  const [first = []] = measured;
  return table(
    ['measure', 'against', 'target', ...engines.flatMap(({ engine }) => [`${engine}: rate`, 'CPU'])],
    first.map(({ measure, against, rateTarget, cpuTarget }, i) => [
      measure,
      against,
      [rateTarget && inWords(rateTarget), cpuTarget && `CPU ${inWords(cpuTarget)}`]
        .filter(Boolean)
        .join(', '),
      ...measured.flatMap((rows) => {
        const { rate, cpu } = rows[i] as Row;
        return [written(rate, rateTarget), cpu ? written(cpu, cpuTarget) : ''];
      }),
    ]),
  );
}

export function plainTable(rows: PlainRow[]): string {
  return table(
    ['measure', 'against', 'target', 'result'],
    rows.map(({ measure, against, target, result }) => [measure, against, target, result]),
  );
}

export function queriesTable(queries: Queries[]): string {
  return table(
    ['call', 'queries without us', 'queries with us'],
    queries.map(({ call, withoutUs, withUs }) => [call, `${withoutUs}`, `${withUs}`]),
  );
}

/** Without us, then with us. */
export function growthTable(growth: Growth[]): string {
  const beside = (figure: (cost: Point['withUs']) => string, { withoutUs, withUs }: Point) =>
    `${figure(withoutUs)} → ${figure(withUs)}`;
  return table(
    ['what grows', 'to', 'call', 'CPU', 'time', 'queries'],
    growth.flatMap(({ grows, call, points }) =>
      points.map((point) => [
        grows,
        point.at.toLocaleString('en'),
        call,
        beside(({ cpuMs }) => milliseconds(cpuMs), point),
        beside(({ ms }) => milliseconds(ms), point),
        beside(({ queries }) => `${queries}`, point),
      ]),
    ),
  );
}

/** What a million of each call take of one core, among the most rows. */
export function millionsTable(engines: OnEngine[]): string {
  const last = (growth: Growth[] = [], grows: string, call: string) =>
    growth.find((one) => one.grows === grows && one.call === call)?.points.at(-1);
  const minutes = (point: Point | undefined) =>
    point ? [point.withoutUs, point.withUs].map(({ cpuMs }) => ((cpuMs * 1e6) / 60_000).toFixed(0)) : [];
  return table(
    ['a million times', ...engines.flatMap(({ engine }) => [`${engine}: without us`, 'with us'])],
    [
      ['sessions, with the index', 'renewal'],
      ['sessions, with the index', 'first call'],
      ['sessions, with the index', 'by parameter'],
      ['messages', 'save of a new message'],
    ].map(([grows = '', call = '']) => [
      call,
      ...engines.flatMap(({ growth }) => minutes(last(growth, grows, call)).map((value) => `${value} min`)),
    ]),
  );
}

const milliseconds = (value: number) => `${value.toPrecision(3)} ms`;

function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
