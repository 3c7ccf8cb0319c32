import { SEQUENCE } from './der';
import { EnvelopeError, notAnEnvelope } from './envelope-error';
import { type GroupMessage, readGroupMessage } from './group-message';
import { type MessageEnvelope, readMessageEnvelope } from './message-envelope';
import { type RatchetMessage, readRatchetMessage } from './ratchet-message';
import { hasReadableText } from './readable-text';

export type Envelope = MessageEnvelope | GroupMessage | RatchetMessage;
type Options = { allowLegacyEncrypt: boolean };

// How the base64 of an envelope begins, docs/formats.md: SEQUENCE; or field 1, varint.
const ENVELOPE_START = /^(?:M[A-P]|CA)/;
const RATCHET_VERSION = 2;
// Enough to tell text from base64: the first 64 characters, or all where there are fewer.
const BASE64_START = /^(?:[A-Za-z0-9+/]{64}|[A-Za-z0-9+/]+={0,2}$)/;

/**
 * Tells E3Kit's ciphertext from everything else, by form alone: no key is needed and nothing is decrypted.
 * @param payload what a client wants to save: standard base64 (RFC 4648 section 4, padded) of a message envelope, a
 *   group message or a ratchet message, docs/formats.md; of a file, its bytes
 * @param options.allowLegacyEncrypt accept what is unsigned, and what the deprecated `encrypt()` makes, whose signature
 *   anyone can read
 * @returns what the envelope's header tells anyone who holds it
 * @throws EnvelopeError whose message is the reason, such as `not base64`
 */
export function recogniseEnvelope(payload: string | Uint8Array, options: Options): Envelope {
  const bytes = typeof payload === 'string' ? decode(payload) : payload;
  const envelope =
    bytes[0] === SEQUENCE
      ? readMessageEnvelope(bytes, options.allowLegacyEncrypt)
      : bytes[1] === RATCHET_VERSION
        ? readRatchetMessage(bytes)
        : readGroupMessage(bytes);
  const { ciphertextOffset } = envelope;
  // The header too: its keys, salts and signatures are as random as ciphertext, and text could hide in their place.
  if (hasReadableText(bytes, ciphertextOffset, bytes.length) || hasReadableText(bytes, 0, ciphertextOffset)) {
    throw new EnvelopeError('readable text in disguise');
  }
  return envelope;
}

function decode(payload: string): Uint8Array {
  // Most of what is not an envelope is refused here, before a byte is decoded.
  if (!ENVELOPE_START.test(payload)) {
    throw BASE64_START.test(payload) ? notAnEnvelope() : new EnvelopeError('not base64');
  }
  const bytes = Buffer.from(payload, 'base64');
  if (bytes.toString('base64') !== payload) throw new EnvelopeError('not base64');
  return bytes;
}

/** What an encrypted field holds; or why it may not hold that: a reason that repeats none of it. */
export function envelopeIn(value: unknown, options: Options): Envelope | string {
  if (value === undefined || value === null) return 'missing';
  return typeof value === 'string' ? envelopeOrReason(value, options) : 'not a string';
}

/** As `recogniseEnvelope`, whose EnvelopeError becomes its message. */
export function envelopeOrReason(payload: string | Uint8Array, options: Options): Envelope | string {
  try {
    return recogniseEnvelope(payload, options);
  } catch (error) {
    if (error instanceof EnvelopeError) return error.message;
    throw error;
  }
}
