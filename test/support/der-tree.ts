/** A DER value, to be taken apart, changed, and put together again with all lengths right. */
export interface DerNode {
  tag: number;
  /** Of a constructed value its parts, of a primitive one its content octets. */
  content: DerNode[] | Buffer;
}

export const node = (tag: number, ...parts: DerNode[]): DerNode => ({ tag, content: parts });
export const leaf = (tag: number, hex: string): DerNode => ({ tag, content: Buffer.from(hex, 'hex') });

/** Takes apart the DER value at the start of these bytes. */
export function takeApart(bytes: Uint8Array): { root: DerNode; rest: Buffer } {
  const buffer = Buffer.from(bytes);
  const { root, end } = read(buffer, 0);
  return { root, rest: buffer.subarray(end) };
}

function read(bytes: Buffer, start: number): { root: DerNode; end: number } {
  const tag = bytes.readUInt8(start);
  const first = bytes.readUInt8(start + 1);
  const lengthOctets = first > 0x7f ? first & 0x7f : 0;
  const contentStart = start + 2 + lengthOctets;
  const end = contentStart + (lengthOctets ? bytes.readUIntBE(start + 2, lengthOctets) : first);
  if ((tag & 0x20) === 0) return { root: { tag, content: bytes.subarray(contentStart, end) }, end };
  const parts: DerNode[] = [];
  for (let position = contentStart; position < end; ) {
    const part = read(bytes, position);
    parts.push(part.root);
    position = part.end;
  }
  return { root: { tag, content: parts }, end };
}

export function putTogether({ tag, content }: DerNode): Buffer {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.concat(content.map(putTogether));
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(bytes.length)]), bytes]);
}

/** Length octets in their shortest form, X.690 section 10.1. */
function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length];
  const octets = Array.from(Buffer.from(length.toString(16).padStart(8, '0'), 'hex'));
  const shortest = octets.slice(octets.findIndex((octet) => octet !== 0));
  return [0x80 | shortest.length, ...shortest];
}

/** The value that is reached by these positions, each among the parts of the value before. */
export function at(root: DerNode, ...path: number[]): DerNode {
  let current = root;
  for (const position of path) {
    const part = (current.content as DerNode[])[position];
    if (!part) throw new Error(`nothing at ${path.join('.')}`);
    current = part;
  }
  return current;
}

/** The way to each value inside this one, for `at`. */
export function paths({ content }: DerNode, path: number[] = []): number[][] {
  if (Buffer.isBuffer(content)) return [];
  return content.flatMap((part, position) => {
    const way = [...path, position];
    return [way, ...paths(part, way)];
  });
}

type Change = (part: DerNode, position: number, parts: DerNode[]) => void;
const NULL = leaf(0x05, '');

/** What can be wrong with a value when all lengths are right. */
export const CHANGES: Record<string, Change> = {
  missing: (_part, position, parts) => parts.splice(position, 1),
  twice: (part, position, parts) => parts.splice(position, 0, part),
  'NULL before it': (_part, position, parts) => parts.splice(position, 0, NULL),
  'NULL behind it': (_part, position, parts) => parts.splice(position + 1, 0, NULL),
  'another tag': (part) => {
    part.tag = 0x1f;
  },
  empty: (part) => {
    part.content = Buffer.isBuffer(part.content) ? Buffer.alloc(0) : [];
  },
  more: (part) => {
    part.content = Buffer.isBuffer(part.content)
      ? Buffer.concat([part.content, Buffer.from([1])])
      : [...part.content, NULL];
  },
  less: (part) => {
    if (Buffer.isBuffer(part.content)) part.content = part.content.subarray(1);
  },
};

/** Changes the value at the end of this path in the way of `CHANGES`. */
export function change(root: DerNode, path: number[], apply: Change): void {
  const position = path.at(-1) as number;
  apply(at(root, ...path), position, at(root, ...path.slice(0, -1)).content as DerNode[]);
}
