import { recogniseEnvelope } from '../../../cloud/envelope/recognise-envelope';
import messages from './ratchet-messages.json';

// Real ones, made by Virgil's own library: one in two with what opens a channel.
const bytesOf = ({ base64 }: { base64: string }) => Buffer.from(base64, 'base64');
const recognise = (bytes: Uint8Array) =>
  recogniseEnvelope(Buffer.from(bytes).toString('base64'), { allowLegacyEncrypt: false });

/** A protobuf field, whose content is a number, bytes, or fields. */
interface Field {
  number: number;
  content: number | Buffer | Field[];
}

// The messages among the fields, by the numbers that lead to them.
const MESSAGES = ['2', '2.1', '3'];

function parse(bytes: Buffer, path: number[] = []): Field[] {
  const fields: Field[] = [];
  for (let i = 0; i < bytes.length; ) {
    const tag = bytes[i++] as number;
    const number = tag >> 3;
    let value = 0;
    for (let shift = 0; ; shift++) {
      const octet = bytes[i++] as number;
      value += (octet & 0x7f) * 128 ** shift;
      if (octet < 0x80) break;
    }
    if ((tag & 7) === 0) fields.push({ number, content: value });
    else {
      const content = bytes.subarray(i, i + value);
      i += value;
      const here = [...path, number];
      fields.push({ number, content: MESSAGES.includes(here.join('.')) ? parse(content, here) : content });
    }
  }
  return fields;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 128) | 0x80, ...varint(Math.floor(value / 128))];
}

function write(fields: Field[]): Buffer {
  return Buffer.concat(
    fields.map(({ number, content }) => {
      if (typeof content === 'number') return Buffer.from([number << 3, ...varint(content)]);
      const bytes = Array.isArray(content) ? write(content) : content;
      return Buffer.concat([Buffer.from([(number << 3) | 2, ...varint(bytes.length)]), bytes]);
    }),
  );
}

/** Every list of fields in a message, the outermost first. */
function listsIn(fields: Field[]): Field[][] {
  return [fields, ...fields.flatMap(({ content }) => (Array.isArray(content) ? listsIn(content) : []))];
}

/** A change of a list of fields after which it is no message any more; false where this one cannot be made. */
const mutations: Record<string, (list: Field[], at: number, by: number) => boolean> = {
  'a tag': (list, at, by) => {
    const field = list[at] as Field;
    field.number = 1 + ((field.number - 1 + by) % 15);
    return true;
  },
  'a field twice': (list, at) => {
    list.splice(at, 0, list[at] as Field);
    return true;
  },
  'a field missing': (list, at) => {
    const [{ number }] = list.splice(at, 1) as [Field];
    // The two that may be missing: what opens a channel, and the one-time key in it.
    return !(number === 3 && list.length === 2 && Array.isArray(list[1]?.content)) && number !== 5;
  },
  'another order': (list, at) => {
    if (at === 0) return false;
    list.splice(at - 1, 0, ...list.splice(at, 1));
    return true;
  },
  'a field more': (list, at, by) => {
    list.splice(at + 1, 0, { number: 6 + (by % 10), content: Buffer.alloc(by % 40, 0xa7) });
    return true;
  },
  'another length': (list, at, by) => {
    const field = list[at] as Field;
    if (!Buffer.isBuffer(field.content) || by % 160 === 0) return false;
    const longer = Buffer.concat([field.content, Buffer.alloc(by, 0xa7)]);
    field.content = by % 2 ? longer : field.content.subarray(0, Math.max(0, field.content.length - by));
    return by % 2 === 1 || (by % 160 !== 0 && field.content.length !== longer.length - by);
  },
  'another kind': (list, at) => {
    const field = list[at] as Field;
    field.content = typeof field.content === 'number' ? Buffer.from([field.content]) : 1;
    return true;
  },
};

test('all real ones are recognised, and where their ciphertext is', () => {
  expect(messages).toHaveLength(16);
  for (const message of messages) {
    const bytes = bytesOf(message);
    expect(write(parse(bytes)).equals(bytes)).toBe(true);
    const envelope = recognise(bytes);
    expect(envelope.kind).toBe('ratchet message');
    const [, regular] = parse(bytes) as [Field, { content: Field[] }];
    const ciphertext = regular.content[1]?.content as Buffer;
    const { ciphertextOffset } = envelope;
    expect(bytes.subarray(ciphertextOffset, ciphertextOffset + ciphertext.length).equals(ciphertext)).toBe(
      true,
    );
  }
});

const [first] = messages as [(typeof messages)[0]];
const changed = (change: (fields: Field[]) => void): Buffer => {
  const fields = parse(bytesOf(first));
  change(fields);
  return write(fields);
};
const inside = (fields: Field[], ...path: number[]): Field =>
  path.reduce<Field>(
    (field, number) => (field.content as Field[]).find((one) => one.number === number) as Field,
    { number: 0, content: fields },
  );

test.each<[string, Buffer]>([
  ['of version 1, before the grammar of today', changed((fields) => (inside(fields, 1).content = 1))],
  ['of version 3', changed((fields) => (inside(fields, 1).content = 3))],
  ['that ends too early', bytesOf(first).subarray(0, -1)],
  ['with something behind it', Buffer.concat([bytesOf(first), Buffer.from([0])])],
  [
    'with no ciphertext but a tag',
    changed((fields) => (inside(fields, 2, 2).content = Buffer.alloc(16, 0xa7))),
  ],
  [
    'with ciphertext that is too long',
    changed((fields) => (inside(fields, 2, 2).content = noise(160 * 189 + 16))),
  ],
  ['with a counter over 32 bits', changed((fields) => (inside(fields, 2, 1, 1).content = 2 ** 32))],
  [
    'with post-quantum fields in the header',
    changed((fields) => (inside(fields, 2, 1).content as Field[]).push({ number: 4, content: noise(1184) })),
  ],
  [
    'with post-quantum fields in what opens the channel',
    changed((fields) => (inside(fields, 3).content as Field[]).push({ number: 6, content: noise(1184) })),
  ],
  [
    'with text for ciphertext',
    changed((fields) => (inside(fields, 2, 2).content = Buffer.from('a readable text '.repeat(11)))),
  ],
  [
    'with text for a key',
    changed((fields) => (inside(fields, 3, 2).content = Buffer.from('a readable text '.repeat(2)))),
  ],
])('one %s is refused', (_name, bytes) => {
  expect(() => recognise(bytes)).toThrow();
});

test('the longest there can be is recognised', () => {
  expect(recognise(changed((fields) => (inside(fields, 2, 2).content = noise(160 * 188 + 16)))).kind).toBe(
    'ratchet message',
  );
  expect(recognise(changed((fields) => (inside(fields, 2, 1, 1).content = 2 ** 32 - 1))).kind).toBe(
    'ratchet message',
  );
});

// Last, since it takes the longest. Bytes at random would prove nothing: most are a key or ciphertext, and as good as others.
test('10,000 changes of tags, lengths, order, count and end of each are refused', () => {
  const ways = Object.values(mutations);
  const ends = ways.length; // one way more
  let seed = 20_261_124;
  const below = (limit: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0; // Numerical Recipes' generator
    return Math.floor((seed / 2 ** 32) * limit);
  };
  const accepted: string[] = [];
  for (const message of messages) {
    const original = bytesOf(message);
    const withoutPrekey = write(parse(original).slice(0, 2)); // a message too
    for (let changes = 0; changes < 10_000; ) {
      const way = below(ways.length + 1);
      const by = 1 + below(400);
      const fields = parse(original);
      const lists = listsIn(fields);
      const list = lists[below(lists.length)] as Field[];
      if (way !== ends && !ways[way]?.(list, below(list.length), by)) continue;
      const bytes = way === ends ? withAnotherEnd(original, by) : write(fields);
      if (bytes.equals(original) || bytes.equals(withoutPrekey)) continue;
      changes++;
      if (isRecognised(bytes)) accepted.push(bytes.toString('base64'));
    }
  }
  expect(accepted).toEqual([]);
});

/** Shorter, or with something behind it. */
function withAnotherEnd(message: Buffer, by: number): Buffer {
  return by % 2 ? message.subarray(0, -by) : Buffer.concat([message, noise(by)]);
}

function isRecognised(bytes: Uint8Array): boolean {
  try {
    recognise(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Bytes without readable text in them. */
function noise(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 167 + (i >> 3)) & 0xff));
}
