import { harmless, listed, shown } from '../../../scripts/command-line/shown';
import { ATTACK, obeyedIn } from '../../support/hostile-server';

const escapes = (...points: number[]) => points.map((point) => `\\u{${point.toString(16)}}`).join('');

test.each(['Message', '_User', 'role:admin', 'Pointer<_User>', 'public/logo.png', 'a-b@c.d'])(
  'a plain name is shown as it is: %s',
  (name) => expect(shown(name)).toBe(name),
);

test.each([
  ['spaces, so that it does not read as a sentence of ours', 'all is well', '"all is well"'],
  ['letters of other scripts', 'Ärzte 医師', '"Ärzte 医師"'],
  ['quotes and backslashes', 'a"b\\u{1b}', '"a\\"b\\\\u{1b}"'],
  ['nothing', '', '""'],
])('any other text is in quotes: %s', (_what, text, printed) => {
  expect(shown(text)).toBe(printed);
});

test.each([
  ['C0 controls and DEL', [0x00, 0x07, 0x08, 0x09, 0x0a, 0x0d, 0x1b, 0x7f]],
  ['C1 controls', [0x80, 0x85, 0x90, 0x9b, 0x9d]],
  [
    'bidi overrides, isolates and marks',
    [0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069, 0x200e, 0x200f, 0x061c],
  ],
  ['what has no width', [0x200b, 0x200c, 0x200d, 0x2060, 0xfeff, 0x00ad, 0x034f, 0xfe0f, 0xe0041]],
  ['fillers, and spaces that are not a common one', [0x115f, 0x3164, 0xffa0, 0x2800, 0x00a0, 0x2003, 0x3000]],
  ['line and paragraph separators', [0x2028, 0x2029]],
  ['lone surrogates, private and unassigned characters', [0xdfff, 0xd800, 0xe000, 0x0378, 0xfdd0]],
])('%s are escaped', (_what, points) => {
  const text = String.fromCodePoint(...points);
  expect(shown(`a${text}b`)).toBe(`"a${escapes(...points)}b"`);
  expect(harmless(`a${text}b`)).toBe(
    `a${text.replace(/[^\n\t]/gu, (one) => escapes(one.codePointAt(0) as number))}b`,
  );
});

test('a text is cut at its hundredth character', () => {
  expect(shown('x'.repeat(100))).toBe('x'.repeat(100));
  expect(shown('x'.repeat(101))).toBe(`"${'x'.repeat(100)}…"`);
  expect(shown('x'.repeat(101), 101)).toBe('x'.repeat(101));
  expect(shown('\x1b'.repeat(1e6)).length).toBeLessThan(1000);
});

test('of many names the first twenty are listed', () => {
  const names = Array.from({ length: 21 }, (_, i) => `n${i}`);
  expect(listed(names.slice(0, 20))).toMatch(/, n19$/);
  expect(listed(names)).toMatch(/, n19 and 1 more$/);
});

test.each([[null], [7], [undefined], [[ATTACK]], [{ toString: () => ATTACK }]])(
  'what is no text is named by its type: %p',
  (value) => expect(shown(value)).toMatch(/^a value of type \w+$/),
);

test('our own lines stay apart, and nothing else is left for a terminal', () => {
  expect(harmless('one\n\ttwo')).toBe('one\n\ttwo');
  expect(obeyedIn(harmless(ATTACK.replace('\n', '')))).toBeUndefined();
});
