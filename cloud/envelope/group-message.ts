import { EnvelopeError, notAnEnvelope } from './envelope-error';
import { GCM_TAG_BYTES } from './message-envelope';
import { ProtobufReader } from './protobuf';

const SESSION_ID_BYTES = 32;
const SALT_BYTES = 32;
const ED25519_SIGNATURE_BYTES = 64;

export interface GroupMessage {
  kind: 'group message';
  /** The ID of the group's session. */
  sessionId: Uint8Array;
  /** Where the ciphertext starts. */
  ciphertextOffset: number;
}

/**
 * Reads an E3Kit group message (docs/formats.md, "Group message"): each field once, in order, and nothing else.
 * @param bytes the decoded payload
 * @throws EnvelopeError
 */
export function readGroupMessage(bytes: Uint8Array): GroupMessage {
  const message = new ProtobufReader(bytes);
  if (message.uint32(1) !== 0) throw notAnEnvelope();
  if (message.hasBytes(2)) throw new EnvelopeError('a group ticket, which holds the key of the group');
  const regularInfo = message.message(3);
  message.finish();

  const header = regularInfo.message(1);
  const sessionId = header.fixed(1, SESSION_ID_BYTES);
  header.uint32(2); // epoch
  header.fixed(3, SALT_BYTES);
  header.finish();

  regularInfo.fixed(2, ED25519_SIGNATURE_BYTES);
  const ciphertext = regularInfo.bytes(3);
  regularInfo.finish();
  if (ciphertext.length < GCM_TAG_BYTES) throw notAnEnvelope();
  return { kind: 'group message', sessionId, ciphertextOffset: bytes.length - ciphertext.length };
}
