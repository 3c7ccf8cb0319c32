import fc from 'fast-check';
import {
  context,
  DerReader,
  NULL,
  OCTET_STRING,
  SEQUENCE,
  SET,
  UTF8_STRING,
} from '../../../cloud/envelope/der';
import { EnvelopeError } from '../../../cloud/envelope/envelope-error';
import { OctetPattern } from '../../../cloud/envelope/octet-pattern';
import { type DerNode, putTogether } from '../../support/der-tree';

// Without looking for a smaller counter-example, which takes minutes here.
fc.configureGlobal({ seed: 20_261_122, endOnFailure: true });

const reader = (...parts: (string | Uint8Array)[]) =>
  new DerReader(
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'hex') : part))),
  );
/** A value of so many zero octets, behind these identifier and length octets. */
const octets = (header: string, length: number) => reader(header, Buffer.alloc(length));

describe('length octets, X.690 sections 8.1.3 and 10.1', () => {
  test.each([
    ['0400', 0],
    ['0401', 1],
    ['047f', 0x7f],
    ['048180', 0x80],
    ['0481ff', 0xff],
    ['04820100', 0x100],
    ['0482ffff', 0xffff],
    ['0483010000', 0x10000],
    ['0483012345', 0x12345],
  ])('%s', (header, length) => {
    const der = octets(header, length);
    expect(der.skip(OCTET_STRING)).toBe(length);
    expect(der.atEnd).toBe(true);
  });

  test.each([
    ['that are not the shortest form: one octet for 127', '04817f', 0x7f],
    ['that are not the shortest form: one octet for 0', '048100', 0],
    ['with a leading zero', '04820080', 0x80],
    ['with a leading zero, of three', '0483000100', 0x100],
    ['of an indefinite length', '0480', 2],
    ['of four octets', '048401000000', 0x1000000],
    ['of the reserved form', '04ff', 300],
    ['that are missing', '04', 0],
    ['that are cut off', '0481', 0],
    ['that are cut off after one of two', '048201', 0],
    ['of more than is there', '0402', 1],
    ['of more than is there, in the long form', '048180', 0x7f],
  ])('refuses those %s', (_name, header, length) => {
    expect(() => octets(header, length).skip(OCTET_STRING)).toThrow(EnvelopeError);
    expect(() => octets(header, length).open(OCTET_STRING)).toThrow(EnvelopeError);
    expect(() => octets(header, length).read(OCTET_STRING)).toThrow(EnvelopeError);
  });

  test('refuses those that reach beyond the value that holds them, though not beyond the last byte', () => {
    for (const inner of ['0402', '048180']) {
      const der = reader('3003', inner.padEnd(6, '0'), Buffer.alloc(0x80));
      der.open(SEQUENCE);
      expect(() => der.skip(OCTET_STRING)).toThrow(EnvelopeError);
    }
    // The length octets themselves stand beyond it.
    const der = reader('3002', '0482', '0100', Buffer.alloc(0x100));
    der.open(SEQUENCE);
    expect(() => der.skip(OCTET_STRING)).toThrow(EnvelopeError);
  });
});

describe('tags', () => {
  test('every other tag is refused', () => {
    for (const tag of [0x02, 0x05, 0x0c, 0x24, 0x30, 0x84, 0xa0]) {
      const bytes = Buffer.from([tag, 0]);
      for (const method of ['open', 'skip', 'read'] as const) {
        expect(() => reader(bytes)[method](OCTET_STRING)).toThrow(EnvelopeError);
      }
    }
  });

  test('a value is what the standard numbers it', () => {
    expect([OCTET_STRING, NULL, UTF8_STRING, SEQUENCE, SET]).toEqual([4, 5, 12, 0x30, 0x31]);
    expect([context(0), context(3)]).toEqual([0xa0, 0xa3]);
  });

  test('the next value is looked for inside the value that was opened last', () => {
    const der = reader('3002', '0500', '0400');
    const outer = der.open(SEQUENCE);
    expect([der.has(NULL), der.has(OCTET_STRING), der.atEnd]).toEqual([true, false, false]);
    der.skip(NULL);
    expect([der.has(OCTET_STRING), der.atEnd]).toEqual([false, true]);
    expect(() => der.skip(OCTET_STRING)).toThrow(EnvelopeError);
    der.close(outer);
    expect([der.has(OCTET_STRING), der.atEnd]).toEqual([true, false]);
  });

  test('nothing may be left of a value that is closed', () => {
    const der = reader('3004', '0500', '0500');
    const outer = der.open(SEQUENCE);
    der.skip(NULL);
    expect(() => der.close(outer)).toThrow(EnvelopeError);
  });

  test('no bytes hold no value', () => {
    expect([reader().atEnd, reader().has(NULL)]).toEqual([true, false]);
    expect(() => reader().skip(NULL)).toThrow(EnvelopeError);
  });
});

describe('INTEGER, X.690 section 8.3', () => {
  test.each([
    ['020100', 0],
    ['02017f', 0x7f],
    ['02020080', 0x80],
    ['020200ff', 0xff],
    ['02020100', 0x100],
    ['02027fff', 0x7fff],
    ['0203008000', 0x8000],
    ['020601020304050a', 0x01020304050a],
    ['02067fffffffffff', 0x7fffffffffff],
  ])('%s', (hex, value) => {
    const der = reader(hex);
    expect(der.integer()).toBe(value);
    expect(der.atEnd).toBe(true);
  });

  test.each([
    ['without octets', '0200'],
    ['without octets, before other values', '02000101'],
    ['that is negative', '020180'],
    ['that is negative, in two octets', '0202ff7f'],
    ['not in its shortest form', '02020000'],
    ['not in its shortest form, 127', '0202007f'],
    ['of seven octets', '020701000000000000'],
    ['of seven octets, the first of them zero', '020700800000000000'],
    ['of another tag', '0a0100'],
  ])('refuses one %s', (_name, hex) => {
    expect(() => reader(hex).integer()).toThrow(EnvelopeError);
  });
});

describe('OBJECT IDENTIFIER, X.690 section 8.19', () => {
  const allowed = [
    [0x2b, 0x65, 0x70],
    [0x2a, 0x03],
  ];

  test.each(['06032b6570', '06022a03'])('%s is one of those allowed', (hex) => {
    const der = reader(hex);
    der.oid(allowed);
    expect(der.atEnd).toBe(true);
  });

  test.each([
    '0600',
    '06012b',
    '06022b65',
    '06032b656e',
    '06032b6670',
    '06032a6570',
    '06042b657000',
    '06022b03',
    '04032b6570',
  ])('%s is none', (hex) => {
    expect(() => reader(hex).oid(allowed)).toThrow(EnvelopeError);
  });
});

test('read gives the content octets', () => {
  const der = reader('0402beef', '0c0161');
  expect(Buffer.from(der.read(OCTET_STRING)).toString('hex')).toBe('beef');
  expect(Buffer.from(der.read(UTF8_STRING)).toString()).toBe('a');
});

describe('every value that DER can write', () => {
  const leaf = fc
    .oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ minLength: 120, maxLength: 140 }),
      fc.uint8Array({ minLength: 250, maxLength: 300 }),
    )
    .map((content): DerNode => ({ tag: OCTET_STRING, content: Buffer.from(content) }));
  const { tree } = fc.letrec<{ tree: DerNode }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('tree'), { maxLength: 5 }).map((content): DerNode => ({ tag: SEQUENCE, content })),
    ),
  }));

  test('is read back', () => {
    fc.assert(fc.property(tree, (root) => walk(new DerReader(putTogether(root)), root)));
  });

  test('is refused when it is cut off', () => {
    fc.assert(
      fc.property(tree, fc.nat(), (root, seed) => {
        const bytes = putTogether(root);
        const cut = bytes.subarray(0, seed % bytes.length);
        expect(() => walk(new DerReader(cut), root)).toThrow(EnvelopeError);
      }),
    );
  });

  /** Reads what this node describes, and nothing else. */
  function walk(der: DerReader, { tag, content }: DerNode): void {
    if (Buffer.isBuffer(content)) {
      expect(content.equals(der.read(tag))).toBe(true);
      return;
    }
    const outer = der.open(tag);
    for (const part of content) walk(der, part);
    der.close(outer);
  }
});

describe('the rest of a value', () => {
  const [short, long] = ['0401..02', '0402..0203'].map((hex) => new OctetPattern(hex));
  const rest = (...parts: string[]) => {
    const der = reader(...parts);
    const outer = der.open(SEQUENCE);
    der.skip(NULL);
    der.rest([short as OctetPattern, long as OctetPattern]);
    return { der, outer };
  };

  test('must fit one of the patterns, and is passed over', () => {
    for (const hex of ['3006', '3007']) {
      const { der, outer } = rest(hex, '0500', hex === '3006' ? '0401ff02' : '0402ff0203', '0500');
      der.close(outer);
      expect(der.skip(NULL)).toBe(0);
      expect(der.atEnd).toBe(true);
    }
  });

  test.each([
    ['that is shorter', '3005', '0500', '0401ff'],
    ['that is longer', '3008', '0500', '0402ff020304'],
    ['with another octet', '3006', '0500', '0401ff03'],
    ['that is missing', '3002', '0500'],
  ])('is refused, %s', (_name, ...parts) => {
    expect(() => rest(...parts)).toThrow(EnvelopeError);
  });
});
