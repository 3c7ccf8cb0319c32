import { createHash, type KeyObject } from 'node:crypto';
import { signOffThread } from './sign-off-thread';

// SEQUENCE { SEQUENCE { OID sha512, NULL }, OCTET STRING (64) }, docs/formats.md "Virgil JWT".
const SIGNATURE_PREFIX = Buffer.from('3051300d060960864801650304020305000440', 'hex');

/**
 * Signs as `virgil-crypto` does, byte for byte: Ed25519 (RFC 8032) over the SHA-512 digest of the text's UTF-8, wrapped in
 * DER.
 *
 * @param appKey an Ed25519 private key
 */
export async function virgilSignature(text: string, appKey: KeyObject): Promise<Buffer> {
  const digest = createHash('sha512').update(text).digest();
  return Buffer.concat([SIGNATURE_PREFIX, await signOffThread(null, digest, appKey)]);
}
