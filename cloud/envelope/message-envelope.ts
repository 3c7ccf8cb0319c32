import { context, DerReader, NULL, OCTET_STRING, type Oid, SEQUENCE, SET, UTF8_STRING } from './der';
import { EnvelopeError, notAnEnvelope } from './envelope-error';

// Object identifiers, as content octets.
const ENVELOPED_DATA: Oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03]; // 1.2.840.113549.1.7.3
const DATA: Oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01]; // 1.2.840.113549.1.7.1
const AES256_GCM: Oid = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e]; // 2.16.840.1.101.3.4.1.46
const RANDOM_PADDING: Oid = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xac, 0x1b, 0x01, 0x03]; // 1.3.6.1.4.1.54811.1.3
const PRIME256V1: Oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]; // 1.2.840.10045.3.1.7
const KEY_ALGORITHMS: readonly Oid[] = [
  [0x2b, 0x65, 0x70], // Ed25519 1.3.101.112
  [0x2b, 0x65, 0x6e], // X25519 1.3.101.110
  [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], // elliptic curve 1.2.840.10045.2.1
  [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], // RSA 1.2.840.113549.1.1.1
  [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xac, 0x1b, 0x01, 0x01], // Virgil compound key 1.3.6.1.4.1.54811.1.1
  [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xac, 0x1b, 0x01, 0x02], // Virgil hybrid key 1.3.6.1.4.1.54811.1.2
  [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xac, 0x1b, 0x02, 0x01], // Falcon 1.3.6.1.4.1.54811.2.1
  [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xac, 0x1b, 0x02, 0x02, 0x09], // Round5 1.3.6.1.4.1.54811.2.2.9
];
const HKDF_HASHES: readonly Oid[] = [0x1c, 0x1d, 0x1e].map((hash) => [
  ...[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x03], // RFC 8619: 1.2.840.113549.1.9.16.3.28 to .30
  hash,
]);
const SHA2: readonly Oid[] = [0x01, 0x02, 0x03, 0x04].map((hash) => [
  ...[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02], // NIST: 2.16.840.1.101.3.4.2.1 to .4
  hash,
]);

const MAX_VERSION = 3;
const CMS_VERSION = 2;
const GCM_NONCE_BYTES = 12;
// The longest known is a post-quantum or an RSA-8192 key's: about 1 KB.
const MAX_ENCRYPTED_KEY_BYTES = 4096;
// Post-quantum signatures run to a few kilobytes.
const MAX_SIGNATURE_BYTES = 8192;
/** Authentication tag of AES-GCM, NIST SP 800-38D: no ciphertext is shorter. */
export const GCM_TAG_BYTES = 16;

const LEGACY_SIGNATURE = 'VIRGIL-DATA-SIGNATURE';
const LEGACY_SIGNER_ID = 'VIRGIL-DATA-SIGNER-ID';

export interface MessageEnvelope {
  kind: 'message';
  /** The key ID of each recipient. */
  recipients: Uint8Array[];
  /** Signed inside the ciphertext, as `authEncrypt` does. */
  signedInside: boolean;
  /** Where the ciphertext starts. */
  ciphertextOffset: number;
}

/**
 * Reads the DER header of an E3Kit message (formats.md, "Message envelope"; CMS EnvelopedData, RFC 5652 section 6).
 *
 * @param bytes the decoded payload: header, then ciphertext
 * @param allowLegacyEncrypt whether the signature that the deprecated `encrypt()` leaves in the clear may be there
 * @throws EnvelopeError
 */
export function readMessageEnvelope(bytes: Uint8Array, allowLegacyEncrypt: boolean): MessageEnvelope {
  const payload = new DerReader(bytes);
  const header = payload.enter(SEQUENCE);
  if (header.integer() > MAX_VERSION) throw notAnEnvelope();

  const contentInfo = header.enter(SEQUENCE);
  contentInfo.oid(ENVELOPED_DATA);
  const content = contentInfo.enter(context(0));
  contentInfo.finish();
  const recipients = readEnvelopedData(content.enter(SEQUENCE));
  content.finish();

  if (header.has(context(0))) readCustomParameters(header.enter(context(0)), allowLegacyEncrypt);
  if (header.has(context(1))) readCipherKdf(header.enter(context(1)));
  const signedInside = header.has(context(2)) && readFooterInfo(header.enter(context(2)));
  if (header.has(context(3))) readPadding(header.enter(context(3)));
  header.finish();

  return { kind: 'message', recipients, signedInside, ciphertextOffset: payload.position };
}

function readEnvelopedData(envelopedData: DerReader): Uint8Array[] {
  if (envelopedData.integer() !== CMS_VERSION) throw notAnEnvelope();
  const recipientInfos = envelopedData.enter(SET);
  if (recipientInfos.atEnd) throw new EnvelopeError('no recipients');
  const recipients: Uint8Array[] = [];
  while (!recipientInfos.atEnd) recipients.push(readKeyTransRecipientInfo(recipientInfos.enter(SEQUENCE)));

  const encryptedContentInfo = envelopedData.enter(SEQUENCE);
  encryptedContentInfo.oid(DATA);
  const contentEncryptionAlgorithm = encryptedContentInfo.enter(SEQUENCE);
  contentEncryptionAlgorithm.oid(AES256_GCM);
  if (contentEncryptionAlgorithm.read(OCTET_STRING).length !== GCM_NONCE_BYTES) throw notAnEnvelope();
  contentEncryptionAlgorithm.finish();
  encryptedContentInfo.finish();
  envelopedData.finish();
  return recipients;
}

/** KeyTransRecipientInfo, RFC 5652 section 6.2.1, with a subject key identifier: returns the key ID. */
function readKeyTransRecipientInfo(recipientInfo: DerReader): Uint8Array {
  const version = recipientInfo.integer();
  if (version !== 0 && version !== CMS_VERSION) throw notAnEnvelope();
  const recipientIdentifier = recipientInfo.enter(context(0));
  const keyId = recipientIdentifier.read(OCTET_STRING);
  recipientIdentifier.finish();
  requireKeyId(keyId);
  readKeyAlgorithm(recipientInfo.enter(SEQUENCE), 2);
  const encryptedKey = recipientInfo.read(OCTET_STRING);
  if (encryptedKey.length === 0 || encryptedKey.length > MAX_ENCRYPTED_KEY_BYTES) throw notAnEnvelope();
  recipientInfo.finish();
  return keyId;
}

/** The first 8 bytes of SHA-512 of the public key; old libraries wrote the 32 bytes of SHA-256. */
function requireKeyId(keyId: Uint8Array): void {
  if (keyId.length !== 8 && keyId.length !== 32) throw notAnEnvelope();
}

/** AlgorithmIdentifier of a key. A compound key is made of two, each of which may be a hybrid of two more. */
function readKeyAlgorithm(algorithm: DerReader, nesting: number): void {
  algorithm.oid(...KEY_ALGORITHMS);
  if (algorithm.has(NULL)) {
    if (algorithm.read(NULL).length !== 0) throw notAnEnvelope();
  } else if (algorithm.has(SEQUENCE)) {
    if (nesting === 0) throw notAnEnvelope();
    const parts = algorithm.enter(SEQUENCE);
    readKeyAlgorithm(parts.enter(SEQUENCE), nesting - 1);
    readKeyAlgorithm(parts.enter(SEQUENCE), nesting - 1);
    parts.finish();
  } else if (!algorithm.atEnd) {
    algorithm.oid(PRIME256V1);
  }
  algorithm.finish();
}

/**
 * Custom parameters are readable by anyone and decryption ignores them, so a whole message could travel here.
 * Only the two of the deprecated `encrypt()` are ever let through.
 */
function readCustomParameters(explicit: DerReader, allowLegacyEncrypt: boolean): void {
  const parameters = explicit.enter(SET);
  explicit.finish();
  const names = new Set<string>();
  while (!parameters.atEnd) {
    const keyValue = parameters.enter(SEQUENCE);
    const name = Buffer.from(keyValue.read(UTF8_STRING)).toString('latin1');
    if ((name !== LEGACY_SIGNATURE && name !== LEGACY_SIGNER_ID) || names.has(name)) {
      throw new EnvelopeError('custom parameters, which anyone can read');
    }
    names.add(name);
    const data = keyValue.enter(context(2));
    const value = data.read(OCTET_STRING);
    data.finish();
    keyValue.finish();
    if (name === LEGACY_SIGNER_ID) requireKeyId(value);
    else readSignature(value);
  }
  if (names.size !== 2) throw notAnEnvelope();
  if (!allowLegacyEncrypt) throw new EnvelopeError('made by the deprecated encrypt()');
}

/** A Virgil signature: SEQUENCE { hash AlgorithmIdentifier, OCTET STRING }. */
function readSignature(bytes: Uint8Array): void {
  const outer = new DerReader(bytes);
  const signature = outer.enter(SEQUENCE);
  outer.finish();
  readHashAlgorithm(signature.enter(SEQUENCE));
  const { length } = signature.read(OCTET_STRING);
  if (length === 0 || length > MAX_SIGNATURE_BYTES) throw notAnEnvelope();
  signature.finish();
}

function readHashAlgorithm(algorithm: DerReader): void {
  algorithm.oid(...SHA2);
  if (algorithm.read(NULL).length !== 0) throw notAnEnvelope();
  algorithm.finish();
}

function readCipherKdf(explicit: DerReader): void {
  const algorithm = explicit.enter(SEQUENCE);
  explicit.finish();
  algorithm.oid(...HKDF_HASHES);
  algorithm.finish();
}

/** VirgilFooterInfo: returns whether the plaintext was signed before it was encrypted. */
function readFooterInfo(explicit: DerReader): boolean {
  const footerInfo = explicit.enter(SEQUENCE);
  explicit.finish();
  if (footerInfo.integer() !== 0) throw notAnEnvelope();
  footerInfo.integer(); // dataSize, of the plaintext with its padding
  const signed = footerInfo.has(context(0));
  if (signed) {
    const explicitSignedDataInfo = footerInfo.enter(context(0));
    const signedDataInfo = explicitSignedDataInfo.enter(SEQUENCE);
    explicitSignedDataInfo.finish();
    if (signedDataInfo.integer() !== 0) throw notAnEnvelope();
    readHashAlgorithm(signedDataInfo.enter(SEQUENCE));
    signedDataInfo.finish();
  }
  footerInfo.finish();
  return signed;
}

function readPadding(explicit: DerReader): void {
  const algorithm = explicit.enter(SEQUENCE);
  explicit.finish();
  algorithm.oid(RANDOM_PADDING);
  algorithm.finish();
}
