import { EnvelopeError, notAnEnvelope } from './envelope-error';
import { GCM_TAG_BYTES } from './message-envelope';

// Tag octets: field number and wire type, protobuf encoding "Message Structure".
const varintField = (number: number) => number << 3;
const bytesField = (number: number) => (number << 3) | 2;

const SESSION_ID_BYTES = 32;
const SALT_BYTES = 32;
const ED25519_SIGNATURE_BYTES = 64;
const MAX_EPOCH = 0xffffffff;

export interface GroupMessage {
  kind: 'group message';
  /** The ID of the group's session. */
  sessionId: Uint8Array;
  /** Where the ciphertext starts. */
  ciphertextOffset: number;
}

/**
 * Reads an E3Kit group message (docs/formats.md, "Group message"): each field once, in order, and nothing else.
 *
 * @param bytes the decoded payload
 * @throws EnvelopeError
 */
export function readGroupMessage(bytes: Uint8Array): GroupMessage {
  const message = new ProtobufReader(bytes);
  if (message.varint(1) !== 0) throw notAnEnvelope();
  if (message.has(bytesField(2))) throw new EnvelopeError('a group ticket, which holds the key of the group');
  const regularInfo = message.message(3);
  message.finish();

  const header = regularInfo.message(1);
  const sessionId = header.bytes(1);
  const epoch = header.varint(2);
  const salt = header.bytes(3);
  header.finish();
  if (sessionId.length !== SESSION_ID_BYTES || epoch > MAX_EPOCH || salt.length !== SALT_BYTES) {
    throw notAnEnvelope();
  }

  if (regularInfo.bytes(2).length !== ED25519_SIGNATURE_BYTES) throw notAnEnvelope();
  const ciphertext = regularInfo.bytes(3);
  regularInfo.finish();
  if (ciphertext.length < GCM_TAG_BYTES) throw notAnEnvelope();
  return { kind: 'group message', sessionId, ciphertextOffset: bytes.length - ciphertext.length };
}

/** Reads protobuf fields in the order asked for: shortest varints, nothing past the end. */
class ProtobufReader {
  private position = 0;

  constructor(private readonly source: Uint8Array) {}

  has(tag: number): boolean {
    return this.source[this.position] === tag;
  }

  varint(field: number): number {
    this.tag(varintField(field));
    return this.number();
  }

  bytes(field: number): Uint8Array {
    this.tag(bytesField(field));
    const length = this.number();
    const start = this.position;
    this.position += length;
    if (this.position > this.source.length) throw notAnEnvelope();
    return this.source.subarray(start, this.position);
  }

  message(field: number): ProtobufReader {
    return new ProtobufReader(this.bytes(field));
  }

  finish(): void {
    if (this.position !== this.source.length) throw notAnEnvelope();
  }

  private tag(expected: number): void {
    if (!this.has(expected)) throw notAnEnvelope();
    this.position++;
  }

  private number(): number {
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
