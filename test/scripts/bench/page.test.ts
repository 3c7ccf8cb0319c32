import { readFileSync } from 'node:fs';
import type { Growth } from '../../../scripts/bench/growth';
import { pageWith, pictureOf } from '../../../scripts/bench/page';
import type { OnEngine } from '../../../scripts/bench/report';

const page = readFileSync('docs/performance.md', 'utf8');

/** What a call takes, at each step a millisecond more, and with us half of one more than that. */
const growth = (grows: string, call: string): Growth => ({
  grows,
  call,
  points: [100, 10_000].map((at, i) => {
    const cost = { cpuMs: i + 1, ms: i + 2, queries: i };
    return { at, withoutUs: cost, withUs: { ...cost, cpuMs: cost.cpuMs + 0.5 } };
  }),
});
const engines: OnEngine[] = ['PostgreSQL 99', 'MongoDB 99'].map((engine) => ({
  engine,
  rows: [
    {
      measure: 'a renewal',
      against: 'nothing',
      rate: { median: 0.8, spread: [0.7, 0.85] },
      rateTarget: { atLeast: 0.88 },
      cpu: { median: 1.4, spread: [1.2, 1.5] },
      cpuTarget: { atMost: 1.3 },
    },
    { measure: 'a save', against: 'another', rate: { median: 1, spread: [0.9, 1.1] } },
  ],
  queries: [{ call: 'a first call', withoutUs: 2, withUs: 3 }],
  growth: [
    growth('sessions, with the index', 'first call'),
    growth('sessions, with the index', 'renewal'),
    growth('sessions, with the index', 'by parameter'),
    growth('messages', 'save of a new message'),
    growth('recipients', 'save of a new message'),
    growth('KB', 'save of a new message'),
    growth('processes', 'renewal'),
    growth('processes', 'save of a new message'),
  ],
}));
const plain = [{ measure: 'a token', against: 'a signature', target: 'at most 1', result: '0.50' }];

test('what was measured takes the place of what is there, and nothing else', () => {
  const made = pageWith(page, 'a machine', plain, engines);
  for (const line of [
    'a machine; PostgreSQL 99, MongoDB 99.',
    '| a renewal | nothing | at least 0.88, CPU at most 1.3 | **0.80 (0.70 to 0.85)** | 1.40 (1.20 to 1.50), noise | **0.80 (0.70 to 0.85)** | 1.40 (1.20 to 1.50), noise |',
    '| a save | another |  | 1.00 (0.90 to 1.10) |  | 1.00 (0.90 to 1.10) |  |',
    '| a token | a signature | at most 1 | 0.50 |',
    '| a first call | 2 | 3 |',
    '| messages | 10,000 | save of a new message | 2.00 ms → 2.50 ms | 3.00 ms → 3.00 ms | 1 → 1 |',
    '| renewal | 33 min | 42 min | 33 min | 42 min |',
  ]) {
    expect(made.split('\n')).toContain(line);
  }
  expect(pageWith(made, 'a machine', plain, engines)).toBe(made);
  const prose = (text: string) => text.replace(/<!-- (\w+) -->.*?<!-- end of \1 -->/gs, '');
  expect(prose(made)).toBe(prose(page));
});

test('a page without a place for it is refused', () => {
  expect(() => pageWith('# Performance', 'a machine', plain, engines)).toThrow('<!-- machine -->');
});

test('in the picture each engine has a line with us, and a dashed one without, as high as the processor’s time', () => {
  const picture = pictureOf(engines);
  expect(picture.match(/<g /g)).toHaveLength(6);
  // From 0, 170 down, to 4, 34 down.
  const lines = [
    ...picture.matchAll(/<path d="M104 ([\d.]+)L224 ([\d.]+)"[^>]*?( stroke-dasharray[^>]*)?\/>/g),
  ];
  const [withUs, withoutUs] = lines;
  expect(lines).toHaveLength(24);
  expect(withUs?.slice(1)).toEqual(['119', '85', undefined]);
  expect(withoutUs?.slice(1)).toEqual(['136', '102', ' stroke-dasharray="4 4"']);
});
