import type { VirgilCrypto } from 'virgil-crypto';
import { at, putTogether, takeApart } from './der-tree';

/** Makes what E3Kit's `authEncrypt` makes, in base64. */
export function envelopeMaker(crypto: VirgilCrypto): (message?: string) => string {
  const { privateKey, publicKey } = crypto.generateKeys();
  return (message = 'hello') =>
    crypto.signAndEncrypt(message, privateKey, [publicKey], true).toString('base64');
}

/** The same envelope, but that libraries abort on it: a NULL in its first encrypted key has a content. */
export function abortingEnvelope(envelope: Uint8Array): Buffer {
  const { root, rest } = takeApart(envelope);
  const encryptedKey = at(root, 1, 1, 0, 1, 0, 3);
  const { root: ecies } = takeApart(encryptedKey.content as Buffer);
  at(ecies, 3, 0, 1).content = Buffer.from([1, 2]);
  encryptedKey.content = putTogether(ecies);
  return Buffer.concat([putTogether(root), rest]);
}
