import { notAnEnvelope } from './envelope-error';
import type { OctetPattern } from './octet-pattern';

// Identifier octets, X.690 section 8.1.2.
const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
export const OBJECT_IDENTIFIER = 0x06;
export const UTF8_STRING = 0x0c;
export const SEQUENCE = 0x30;
export const SET = 0x31;
/** `[number]`, constructed: an explicit context-specific tag. */
export const context = (number: number) => 0xa0 | number;

/** An object identifier as the content octets of its encoding, X.690 section 8.19. */
export type Oid = ArrayLike<number>;

/**
 * Reads DER (X.690) front to back: definite lengths in their shortest form, nothing past the end, nothing left over.
 * Whatever is malformed throws `EnvelopeError`.
 * A constructed value is entered by `const outer = der.open(tag)` and left by `der.close(outer)`: one reader serves all
 * values, since an envelope may have hundreds of recipients. Where a second tag is named, that value must be all that the
 * first one holds, as behind an explicit tag.
 */
export class DerReader {
  position = 0;
  private end: number;

  constructor(private readonly bytes: Uint8Array) {
    this.end = bytes.length;
  }

  /** Whether nothing is left of the value that was opened last. */
  get atEnd(): boolean {
    return this.position === this.end;
  }

  /** Whether the next value has this tag. */
  has(tag: number): boolean {
    return this.position < this.end && this.bytes[this.position] === tag;
  }

  /** Enters the next value, which must have this tag. Returns what `close` needs. */
  open(tag: number, inside?: number): number {
    const outer = this.end;
    this.end = this.headers(tag, inside);
    return outer;
  }

  /** Leaves the value that was opened last, of which nothing may be left. */
  close(outer: number): void {
    if (!this.atEnd) throw notAnEnvelope();
    this.end = outer;
  }

  /** Passes over the next value, which must have this tag. Returns the length of the content. */
  skip(tag: number, inside?: number): number {
    const contentEnd = this.headers(tag, inside);
    const length = contentEnd - this.position;
    this.position = contentEnd;
    return length;
  }

  /** The content octets of the next value, which must have this tag. */
  read(tag: number): Uint8Array {
    const length = this.skip(tag);
    return this.bytes.subarray(this.position - length, this.position);
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
  oid(allowed: readonly Oid[]): void {
    const length = this.skip(OBJECT_IDENTIFIER);
    const start = this.position - length;
    for (const oid of allowed) {
      if (oid.length !== length) continue;
      // From the end, where those of a family differ.
      let left = length;
      while (left > 0 && this.bytes[start + left - 1] === oid[left - 1]) left--;
      if (left === 0) return;
    }
    throw notAnEnvelope();
  }

  /** Passes over all that is left of the value that was opened last, which must fit one of these. */
  rest(allowed: readonly OctetPattern[]): void {
    const length = this.end - this.position;
    for (const pattern of allowed) {
      if (pattern.length === length && pattern.fits(this.bytes, this.position)) {
        this.position = this.end;
        return;
      }
    }
    throw notAnEnvelope();
  }

  private headers(tag: number, inside: number | undefined): number {
    const contentEnd = this.header(tag);
    if (inside !== undefined && this.header(inside) !== contentEnd) throw notAnEnvelope();
    return contentEnd;
  }

  /** Reads identifier and length octets (X.690 sections 8.1.2, 10.1) and returns where the content ends. */
  private header(tag: number): number {
    const { bytes } = this;
    let position = this.position + 2;
    if (bytes[position - 2] !== tag) throw notAnEnvelope();
    let length = bytes[position - 1] as number;
    if (length > 0x7f) {
      const octets = length & 0x7f;
      // The shortest form has no leading zero, and is not used below 128.
      if (octets > 3 || bytes[position] === 0) throw notAnEnvelope();
      length = 0;
      for (let i = 0; i < octets; i++) length = (length << 8) | (bytes[position++] as number);
      if (length < 0x80) throw notAnEnvelope();
    }
    // A length octet beyond the last byte reads as undefined, whose sum is NaN: no comparison with it holds.
    const contentEnd = position + length;
    if (!(contentEnd <= this.end)) throw notAnEnvelope();
    this.position = position;
    return contentEnd;
  }
}
