import type { VirgilCrypto } from 'virgil-crypto';

/** Makes what E3Kit's `authEncrypt` makes, in base64. */
export function envelopeMaker(crypto: VirgilCrypto): (message?: string) => string {
  const { privateKey, publicKey } = crypto.generateKeys();
  return (message = 'hello') =>
    crypto.signAndEncrypt(message, privateKey, [publicKey], true).toString('base64');
}
