import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { hasReadableText } from '../../../cloud/envelope/readable-text';

// Without looking for a smaller counter-example, which takes minutes here.
fc.configureGlobal({ seed: 20_261_122, endOnFailure: true });

/** What no text holds, in whatever encoding. */
const noise = (length: number) => Buffer.alloc(length, 0xff);
const isReadable = (...parts: Uint8Array[]) => {
  const bytes = Buffer.concat(parts);
  return hasReadableText(bytes, 0, bytes.length);
};

/** What a decoder makes of the bytes, but for a character that is cut at either end. */
function isPrintableUtf8(bytes: Buffer): boolean {
  let cut = 0;
  while (cut < 3 && ((bytes[cut] as number) & 0xc0) === 0x80) cut++;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(cut), { stream: true });
    return !/[^\t\n\r\P{Cc}]/u.test(text);
  } catch {
    return false;
  }
}

const scripts = {
  Cyrillic: 'Съешь же ещё этих мягких французских булок, да выпей чаю. ',
  Greek: 'Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. ',
  'accented Latin': 'Voix ambiguë d’un cœur qui, au zéphyr, préfère les jattes de kiwis. ',
  Vietnamese: 'Do bạch kim rất quý nên sẽ dùng để lắp vô xương. ',
  Hebrew: 'דג סקרן שט בים מאוכזב ולפתע מצא חברה. ',
  Arabic: 'نص حكيم له سر قاطع وذو شأن عظيم. ',
  Devanagari: 'ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण। ',
  Thai: 'เป็นมนุษย์สุดประเสริฐเลิศคุณค่า ',
  Chinese: '視野無限廣，窗外有藍天。',
  Korean: '다람쥐 헌 쳇바퀴에 타고파. ',
  emoji: '🎉🥳👩‍👩‍👧‍👦❤️🔥🫶',
  'ASCII with an apostrophe now and then': 'Don’t tell Bob, it’s only for Alice, isn’t it? ',
};

/** So many bytes of a text, cut where they end, in the middle of a character too. */
const cutOut = (text: string, length: number, skipped = 0) =>
  Buffer.from(text.repeat(length)).subarray(skipped, skipped + length);

describe('UTF-8', () => {
  describe.each(Object.entries(scripts))('%s', (_script, text) => {
    test('63 bytes are found wherever they stand, and wherever they are cut out', () => {
      for (let before = 0; before < 16; before++) {
        for (let skipped = 0; skipped < 16; skipped++) {
          expect(isReadable(noise(before), cutOut(text, 63, skipped), noise(40))).toBe(true);
        }
      }
    });

    test('32 to 62 bytes are found where there is nothing else', () => {
      for (let length = 32; length < 63; length++) expect(isReadable(cutOut(text, length))).toBe(true);
    });
  });

  test('is not looked for in less than 32 bytes, which are UTF-8 by chance too often', () => {
    expect(isReadable(cutOut(scripts.Cyrillic, 31))).toBe(false);
  });

  test('begins at every 16th byte from the start: 48 bytes are enough there', () => {
    const text = cutOut(scripts.Cyrillic, 48);
    for (let before = 0; before < 70; before++) {
      expect(isReadable(noise(before), text, noise(16))).toBe(before % 16 === 0);
      expect(isReadable(noise(before), text.subarray(0, 47), noise(16))).toBe(false);
    }
  });

  test('begins there among random bytes as well, and where other text breaks off', () => {
    const window = fc.constantFrom(...Object.values(scripts)).map((text) => cutOut(text, 48));
    const random = (length: fc.Arbitrary<number>) =>
      length.chain((exact) => fc.uint8Array({ minLength: exact, maxLength: exact }));
    const before = random(fc.nat(9).map((steps) => steps * 16));
    fc.assert(
      fc.property(before, window, random(fc.nat(100)), (...parts) => isReadable(...parts)),
      { numRuns: 3000 },
    );
    expect(isReadable(cutOut('д', 16), Buffer.of(0x80), cutOut('д', 47), noise(16))).toBe(true);
  });

  test('is found in 111 bytes wherever they stand, where there are more than 512 KB', () => {
    for (let before = 0; before < 110; before += 3) {
      const text = cutOut(scripts.Cyrillic, 111, before % 2);
      expect(isReadable(noise(before), text, noise(524_288))).toBe(true);
      expect(isReadable(noise(524_288 - before), text)).toBe(true);
      expect(isReadable(noise(before), text.subarray(0, 95), noise(524_288))).toBe(false);
    }
  });

  test('is looked for from start to end only', () => {
    const bytes = Buffer.concat([noise(64), cutOut(scripts.Cyrillic, 64), noise(64)]);
    expect(hasReadableText(bytes, 0, 111)).toBe(false);
    expect(hasReadableText(bytes, 0, 112)).toBe(true);
    expect(hasReadableText(bytes, 64, 96)).toBe(true);
    expect(hasReadableText(bytes, 63, 95)).toBe(false);
    expect(hasReadableText(bytes, 81, 192)).toBe(false);
    expect(hasReadableText(bytes, 80, 192)).toBe(true);
  });

  test('does not count with text before the start', () => {
    const bytes = cutOut('д', 112);
    expect(hasReadableText(bytes, 64, 112)).toBe(true);
    bytes.write('2dd0', 94, 'hex'); // a first byte with no second, just where a step ends
    expect(hasReadableText(bytes, 64, 112)).toBe(false);
  });

  test('is well-formed and printable as the Unicode standard has it', () => {
    const edges = [
      0x00, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xf0, 0xff,
    ];
    const tails = ['8080', '8041', '4141', 'bfc0', '807f'].map((hex) => Buffer.from(hex, 'hex'));
    const window = cutOut(scripts.Cyrillic.replace(/ /g, ''), 48);
    const wrong: string[] = [];
    for (const position of [22, 44]) {
      for (let first = 0; first < 256; first++) {
        for (const second of edges) {
          for (const tail of tails) {
            const bytes = Buffer.from(window);
            bytes.set([first, second, ...tail], position);
            if (isReadable(bytes) !== isPrintableUtf8(bytes)) wrong.push(bytes.toString('hex', position));
          }
        }
      }
    }
    expect(wrong.slice(0, 10)).toEqual([]);
  });

  test('begins with three bytes of a cut character at most', () => {
    const text = cutOut('д', 45);
    expect(isReadable(Buffer.alloc(3, 0xbf), text)).toBe(true);
    expect(isReadable(Buffer.alloc(4, 0xbf), text.subarray(0, 44))).toBe(false);
  });
});

describe('ASCII, UTF-16 and UTF-32', () => {
  const english = 'The quick brown fox jumps over it, and then it jumps over it again.';
  const utf32 = Buffer.concat(
    Array.from(english, (character) => Buffer.from([0, 0, 0, character.charCodeAt(0)])),
  );
  const encodings = {
    ASCII: Buffer.from(english),
    'UTF-16, little-endian': Buffer.from(english, 'utf16le'),
    'UTF-16, big-endian': Buffer.from(english, 'utf16le').swap16(),
    'UTF-32, big-endian': utf32,
  };

  test.each(Object.entries(encodings))(
    '%s: 32 bytes are found wherever they stand, and no fewer',
    (_name, text) => {
      for (let before = 0; before < 70; before++) {
        expect(isReadable(noise(before), text.subarray(0, 32), noise(40))).toBe(true);
        expect(isReadable(noise(before), text.subarray(0, 31), noise(40))).toBe(false);
        expect(isReadable(noise(40), text.subarray(0, 32), noise(before))).toBe(true);
      }
    },
  );

  test.each(Object.entries(encodings))(
    '%s: fewer bytes are found where there is nothing else',
    (_name, text) => {
      for (let length = 1; length < 32; length++) {
        expect(isReadable(text.subarray(0, length))).toBe(true);
        expect(isReadable(noise(1), text.subarray(0, length))).toBe(false);
        expect(isReadable(text.subarray(0, length), noise(1))).toBe(false);
      }
    },
  );

  describe.each([
    ['64 KB', 65_536, 32, 48],
    ['512 KB', 524_288, 48, 96],
  ])('where there are more than %s', (_size, limit, below, above) => {
    test.each(Object.entries(encodings))('%s: a longer run is found, and no shorter one', (_name, text) => {
      const around = (length: number, before: number, all: number) => {
        const hidden = Buffer.concat([text, text]).subarray(0, length);
        return [noise(before), hidden, noise(all - before - length)];
      };
      for (let before = 1; before < 110; before += 3) {
        expect(isReadable(...around(above, before, limit + 1))).toBe(true);
        expect(isReadable(...around(above - 1, before, limit + 1))).toBe(false);
      }
      expect(isReadable(...around(below, 1, limit))).toBe(true);
      expect(isReadable(...around(above, limit + 1 - above, limit + 1))).toBe(true);
    });
  });

  test('are looked for from start to end only', () => {
    const bytes = Buffer.concat([noise(40), encodings.ASCII.subarray(0, 32), noise(40)]);
    expect(hasReadableText(bytes, 40, 72)).toBe(true);
    expect(hasReadableText(bytes, 0, 71)).toBe(false);
    expect(hasReadableText(bytes, 41, 112)).toBe(false);
  });

  test('are of printable characters, tab, line feed, carriage return and zero', () => {
    const readable = Array.from({ length: 256 }, (_, octet) => octet).filter((octet) =>
      isReadable(noise(1), Buffer.alloc(32, octet)),
    );
    const printable = Array.from({ length: 0x7f - 0x20 }, (_, i) => 0x20 + i);
    expect(readable).toEqual([0, 0x09, 0x0a, 0x0d, ...printable]);
  });
});

test('every text of 63 bytes or more, among random bytes', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.string({ unit: 'grapheme', minLength: 63, maxLength: 200 }),
      fc.uint8Array({ maxLength: 100 }),
      (before, text, after) => {
        const printable = text.replace(/[^\t\n\r\P{Cc}]/gu, ' ');
        return isReadable(before, Buffer.from(printable), after);
      },
    ),
  );
});

test('text is found just where a look at every place finds it', () => {
  const isAscii = (octet: number) => /[\0\t\n\r -~]/.test(String.fromCharCode(octet));
  const hasText = (bytes: Buffer) => {
    const run = Math.min(32, bytes.length);
    const hasRun = bytes.some((_, i) => i + run <= bytes.length && bytes.subarray(i, i + run).every(isAscii));
    const window = Math.min(48, bytes.length);
    const hasWindow = bytes.some(
      (_, i) => i % 16 === 0 && i + window <= bytes.length && isPrintableUtf8(bytes.subarray(i, i + window)),
    );
    return hasRun || (window >= 32 && hasWindow);
  };
  const texts = [...Object.values(scripts), '\0', 'a\0'].map((text) => Buffer.from(text.repeat(100)));
  const pieces = fc.oneof(
    fc
      .tuple(fc.constantFrom(...texts), fc.nat(20), fc.integer({ min: 1, max: 70 }))
      .map(([text, from, length]) => text.subarray(from, from + length)),
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom(
      ...['80', '8080', 'c3', 'e280', 'f09f', 'ff', 'e08080', 'eda080'].map((hex) => Buffer.from(hex, 'hex')),
    ),
  );
  fc.assert(
    fc.property(fc.array(pieces, { minLength: 1, maxLength: 8 }), (parts) => {
      const bytes = Buffer.concat(parts);
      return bytes.length === 0 || isReadable(bytes) === hasText(bytes);
    }),
    { numRuns: 3000 },
  );
});

test('random bytes are never taken for text', () => {
  expect(isReadable(randomBytes(5_000_000))).toBe(false);
});
