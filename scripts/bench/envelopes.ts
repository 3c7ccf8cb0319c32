import type { VirgilCrypto } from 'virgil-crypto';

/**
 * Makes an envelope as E3Kit's `authEncrypt` does.
 *
 * @param size in bytes of base64; it comes as near as padding lets it, and no smaller than the header for its recipients
 */
export function envelopeOf(crypto: VirgilCrypto, size: number, recipients: number): string {
  const keys = Array.from({ length: recipients }, () => crypto.generateKeys());
  const envelope = (message: Buffer) =>
    crypto
      .signAndEncrypt(
        message,
        keys[0]?.privateKey as never,
        keys.map(({ publicKey }) => publicKey),
        true,
      )
      .toString('base64');
  const header = envelope(Buffer.alloc(0)).length;
  return envelope(Buffer.alloc(Math.max(0, ((size - header) * 3) / 4)));
}
