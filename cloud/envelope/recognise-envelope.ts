import { EnvelopeError, notAnEnvelope } from './envelope-error';
import { type GroupMessage, readGroupMessage } from './group-message';
import { type MessageEnvelope, readMessageEnvelope } from './message-envelope';
import { type RatchetMessage, readRatchetMessage } from './ratchet-message';
import { hasReadableText } from './readable-text';

type Envelope = MessageEnvelope | GroupMessage | RatchetMessage;

// How the base64 of each kind begins: the tag octets of docs/formats.md.
const MESSAGE_START = /^M[A-P]/; // SEQUENCE
const RATCHET_MESSAGE_START = 'CAI'; // field 1, varint 2
const GROUP_MESSAGE_START = 'CA'; // field 1, varint
// Enough to tell text from base64: the first 64 characters, or all where there are fewer.
const BASE64_START = /^(?:[A-Za-z0-9+/]{64}|[A-Za-z0-9+/]+={0,2}$)/;

/**
 * Tells E3Kit's ciphertext from everything else, by form alone: no key is needed and nothing is decrypted.
 *
 * @param payload what a client wants to save: standard base64 (RFC 4648 section 4, padded) of a message envelope, a
 *   group message or a ratchet message, docs/formats.md
 * @param options.allowLegacyEncrypt accept what is unsigned, and what the deprecated `encrypt()` makes, whose signature
 *   anyone can read
 * @returns what the envelope's header tells anyone who holds it
 * @throws EnvelopeError whose message is the reason, such as `not base64`
 */
export function recogniseEnvelope(payload: string, options: { allowLegacyEncrypt: boolean }): Envelope {
  const isMessage = MESSAGE_START.test(payload);
  // Most of what is not an envelope is refused here, before a byte is decoded.
  if (!isMessage && !payload.startsWith(GROUP_MESSAGE_START)) {
    throw BASE64_START.test(payload) ? notAnEnvelope() : new EnvelopeError('not base64');
  }
  const bytes = Buffer.from(payload, 'base64');
  if (bytes.toString('base64') !== payload) throw new EnvelopeError('not base64');

  const envelope = isMessage
    ? readMessageEnvelope(bytes, options.allowLegacyEncrypt)
    : payload.startsWith(RATCHET_MESSAGE_START)
      ? readRatchetMessage(bytes)
      : readGroupMessage(bytes);
  const { ciphertextOffset } = envelope;
  // The header too: its keys, salts and signatures are as random as ciphertext, and text could hide in their place.
  if (hasReadableText(bytes, ciphertextOffset, bytes.length) || hasReadableText(bytes, 0, ciphertextOffset)) {
    throw new EnvelopeError('readable text in disguise');
  }
  return envelope;
}
