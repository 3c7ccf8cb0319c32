import { notAnEnvelope } from './envelope-error';

// Tag octets: field number and wire type, protobuf encoding "Message Structure".
const varintField = (number: number) => number << 3;
const bytesField = (number: number) => (number << 3) | 2;

const MAX_UINT32 = 0xffffffff;

/**
 * Reads protobuf fields in the order asked for, and nothing else: shortest varints, nothing past the end, nothing left
 * over. Whatever is malformed throws `EnvelopeError`.
 */
export class ProtobufReader {
  private position = 0;

  constructor(private readonly source: Uint8Array) {}

  /** Whether the next field is this one, of bytes. */
  hasBytes(field: number): boolean {
    return this.source[this.position] === bytesField(field);
  }

  uint32(field: number): number {
    this.tag(varintField(field));
    const value = this.varint();
    if (value > MAX_UINT32) throw notAnEnvelope();
    return value;
  }

  /** Content of any length. */
  bytes(field: number): Uint8Array {
    this.tag(bytesField(field));
    const length = this.varint();
    const start = this.position;
    this.position += length;
    if (this.position > this.source.length) throw notAnEnvelope();
    return this.source.subarray(start, this.position);
  }

  /** Content of just this length. */
  fixed(field: number, length: number): Uint8Array {
    const content = this.bytes(field);
    if (content.length !== length) throw notAnEnvelope();
    return content;
  }

  message(field: number): ProtobufReader {
    return new ProtobufReader(this.bytes(field));
  }

  finish(): void {
    if (this.position !== this.source.length) throw notAnEnvelope();
  }

  private tag(expected: number): void {
    if (this.source[this.position] !== expected) throw notAnEnvelope();
    this.position++;
  }

  private varint(): number {
    let value = 0;
    for (let shift = 0; shift < 5; shift++) {
      // Beyond the last byte there is undefined, which ends no number.
      const octet = this.source[this.position++] as number;
      value += (octet & 0x7f) * 128 ** shift;
      if (octet < 0x80) {
        if (octet === 0 && shift > 0) throw notAnEnvelope();
        return value;
      }
    }
    throw notAnEnvelope();
  }
}
