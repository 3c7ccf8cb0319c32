import { notAnEnvelope } from './envelope-error';
import { GCM_TAG_BYTES } from './message-envelope';
import { ProtobufReader } from './protobuf';

const VERSION = 2;
const CURVE25519_KEY_BYTES = 32;
const KEY_ID_BYTES = 8;
// The plaintext is padded to a multiple of this, and has a limit.
const PADDING_BYTES = 160;
const MAX_CIPHERTEXT_BYTES = 30_096;

export interface RatchetMessage {
  kind: 'ratchet message';
  /** Where the ciphertext starts; behind it comes what the first messages of a channel carry. */
  ciphertextOffset: number;
}

/**
 * Reads a Double Ratchet message, as E3Kit's `createRatchetChannel` makes them in Kotlin and Swift (docs/formats.md, "Ratchet
 * message"): each field once, in order, and nothing else.
 * @param bytes the decoded payload
 * @throws EnvelopeError
 */
export function readRatchetMessage(bytes: Uint8Array): RatchetMessage {
  const message = new ProtobufReader(bytes);
  if (message.uint32(1) !== VERSION) throw notAnEnvelope();
  const regular = message.message(2);
  if (message.hasBytes(3)) readPrekey(message.message(3));
  message.finish();

  const header = regular.message(1);
  header.uint32(1); // counter
  header.uint32(2); // previous chain's count
  header.fixed(3, CURVE25519_KEY_BYTES);
  header.finish();
  const ciphertext = regular.bytes(2);
  regular.finish();
  const padded = ciphertext.length - GCM_TAG_BYTES;
  if (padded <= 0 || padded % PADDING_BYTES !== 0 || ciphertext.length > MAX_CIPHERTEXT_BYTES) throw notAnEnvelope();
  return { kind: 'ratchet message', ciphertextOffset: ciphertext.byteOffset - bytes.byteOffset };
}

/** What opens a channel: it is sent along until the first answer. */
function readPrekey(prekey: ProtobufReader): void {
  prekey.fixed(1, KEY_ID_BYTES); // sender's identity key
  prekey.fixed(2, CURVE25519_KEY_BYTES); // sender's ephemeral key
  prekey.fixed(3, KEY_ID_BYTES); // receiver's identity key
  prekey.fixed(4, KEY_ID_BYTES); // receiver's long-term key
  if (prekey.hasBytes(5)) prekey.fixed(5, KEY_ID_BYTES); // receiver's one-time key
  prekey.finish();
}
