import { notAnEnvelope } from './envelope-error';

// Identifier octets, X.690 section 8.1.2.
export const INTEGER = 0x02;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
export const OBJECT_IDENTIFIER = 0x06;
export const UTF8_STRING = 0x0c;
export const SEQUENCE = 0x30;
export const SET = 0x31;
/** `[number]`, constructed: an explicit context-specific tag. */
export const context = (number: number) => 0xa0 | number;

/** An object identifier as the content octets of its encoding, X.690 section 8.19. */
export type Oid = readonly number[];

/**
 * Reads DER (X.690) front to back: definite lengths in their shortest form, nothing past the end, and
 * nothing left over where the caller says `finish()`. Whatever is malformed throws `EnvelopeError`.
 */
export class DerReader {
  constructor(
    private readonly bytes: Uint8Array,
    public position = 0,
    private readonly end = bytes.length,
  ) {}

  get atEnd(): boolean {
    return this.position === this.end;
  }

  /** Whether the next value has this tag. */
  has(tag: number): boolean {
    return this.position < this.end && this.bytes[this.position] === tag;
  }

  /** A reader over the content of the next value, which must have this tag. */
  enter(tag: number): DerReader {
    const contentEnd = this.header(tag);
    const content = new DerReader(this.bytes, this.position, contentEnd);
    this.position = contentEnd;
    return content;
  }

  /** The content octets of the next value, which must have this tag. */
  read(tag: number): Uint8Array {
    const contentEnd = this.header(tag);
    const content = this.bytes.subarray(this.position, contentEnd);
    this.position = contentEnd;
    return content;
  }

  /** A non-negative INTEGER of at most 6 octets, in its shortest form. */
  integer(): number {
    const contentEnd = this.header(INTEGER);
    const length = contentEnd - this.position;
    const first = this.bytes[this.position] as number;
    if (length === 0 || length > 6 || first > 0x7f) throw notAnEnvelope();
    if (first === 0 && length > 1 && (this.bytes[this.position + 1] as number) < 0x80) throw notAnEnvelope();
    let value = 0;
    while (this.position < contentEnd) value = value * 256 + (this.bytes[this.position++] as number);
    return value;
  }

  /** The next OBJECT IDENTIFIER, which must be one of these. */
  oid(...allowed: readonly Oid[]): Oid {
    const contentEnd = this.header(OBJECT_IDENTIFIER);
    const start = this.position;
    this.position = contentEnd;
    for (const oid of allowed) {
      if (oid.length !== contentEnd - start) continue;
      let same = 0;
      while (same < oid.length && this.bytes[start + same] === oid[same]) same++;
      if (same === oid.length) return oid;
    }
    throw notAnEnvelope();
  }

  /** Refuses what is left over. */
  finish(): void {
    if (!this.atEnd) throw notAnEnvelope();
  }

  /** Reads identifier and length octets (X.690 sections 8.1.2, 10.1) and returns where the content ends. */
  private header(tag: number): number {
    if (!this.has(tag)) throw notAnEnvelope();
    let length = this.bytes[this.position + 1] as number;
    this.position += 2;
    if (length > 0x7f) {
      const octets = length & 0x7f;
      if (octets === 0 || octets > 3 || this.position + octets > this.end) throw notAnEnvelope();
      length = 0;
      for (let i = 0; i < octets; i++) length = length * 256 + (this.bytes[this.position++] as number);
      if (length < 0x80 || length < 256 ** (octets - 1)) throw notAnEnvelope();
    }
    // A length octet beyond the end reads as undefined, whose sum is NaN: no comparison with it holds.
    const contentEnd = this.position + length;
    if (!(contentEnd <= this.end)) throw notAnEnvelope();
    return contentEnd;
  }
}
