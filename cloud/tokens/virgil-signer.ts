import { createHash, type KeyObject, sign } from 'node:crypto';
import type { JwtGenerator } from 'virgil-sdk';

type AccessTokenSigner = JwtGenerator['accessTokenSigner'];

// SEQUENCE { SEQUENCE { OID sha512, NULL }, OCTET STRING (64) }, formats.md "Virgil JWT".
const SIGNATURE_PREFIX = Buffer.from('3051300d060960864801650304020305000440', 'hex');

/**
 * Signs Virgil JWTs as `virgil-crypto` does, byte for byte: Ed25519 (RFC 8032) over the SHA-512 digest of the token,
 * wrapped in DER. Keys are `KeyObject`s of `node:crypto`.
 */
export const virgilSigner: AccessTokenSigner = {
  getAlgorithm: () => 'VEDS512',

  generateTokenSignature(token, appKey) {
    const digest = createHash('sha512').update(bytesOf(token)).digest();
    return Buffer.concat([SIGNATURE_PREFIX, sign(null, digest, appKey as unknown as KeyObject)]);
  },

  verifyTokenSignature() {
    throw new Error('The server issues tokens; Virgil Cloud verifies them.');
  },
};

type Data = Parameters<AccessTokenSigner['generateTokenSignature']>[0];

function bytesOf(data: Data): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  return 'encoding' in data ? Buffer.from(data.value, data.encoding) : data;
}
