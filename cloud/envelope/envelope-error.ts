/** Why a payload is not an E3Kit envelope. The message is the reason alone and never repeats the payload. */
export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError';
}

/** The reason for bytes that do not follow the envelope's grammar. */
export const notAnEnvelope = () => new EnvelopeError('not an E3Kit envelope');
