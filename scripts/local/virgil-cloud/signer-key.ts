import { DerReader, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE } from '../../../cloud/envelope/der';

const BIT_STRING = 0x03;
const COMPOUND_KEY = Buffer.from('2b0601040183ac1b0101', 'hex'); // 1.3.6.1.4.1.54811.1.1

/**
 * The key that checks a card's signature. A compound key has one for that beside the one for encryption, which may be of a
 * kind that our library does not know: what SDKs call Round5 has been three in turn, beside the same keys for signatures.
 *
 * @param publicKey a SubjectPublicKeyInfo, RFC 5280 section 4.1
 * @returns that of the signer's key alone; a key that is not compound as it came
 * @throws EnvelopeError for what is no such key
 */
export function signerKey(publicKey: Buffer): Buffer {
  const der = new DerReader(publicKey);
  der.open(SEQUENCE);
  const algorithm = new DerReader(der.read(SEQUENCE));
  if (!COMPOUND_KEY.equals(algorithm.read(OBJECT_IDENTIFIER))) return publicKey;
  algorithm.open(SEQUENCE);
  algorithm.skip(SEQUENCE);
  const signerAlgorithm = algorithm.read(SEQUENCE);
  const keys = new DerReader(der.read(BIT_STRING).subarray(1)); // behind the number of unused bits
  keys.open(SEQUENCE);
  keys.skip(OCTET_STRING);
  const bits = Buffer.concat([Buffer.of(0), keys.read(OCTET_STRING)]);
  return write(SEQUENCE, Buffer.concat([write(SEQUENCE, signerAlgorithm), write(BIT_STRING, bits)]));
}

/** A DER value with a content of up to 65535 octets, X.690 section 10.1: a post-quantum key has a few thousand. */
function write(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const octets = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length];
  return Buffer.concat([Buffer.of(tag, ...octets), content]);
}
