import { context, DerReader, NULL, OCTET_STRING, type Oid, SEQUENCE, SET, UTF8_STRING } from './der';
import { encryptedKeys } from './encrypted-key';
import { EnvelopeError, notAnEnvelope } from './envelope-error';

const oids = (...octets: string[]): readonly Oid[] => octets.map((hex) => Buffer.from(hex, 'hex'));
const ENVELOPED_DATA = oids('2a864886f70d010703'); // 1.2.840.113549.1.7.3
const DATA = oids('2a864886f70d010701'); // 1.2.840.113549.1.7.1
const AES256_GCM = oids('60864801650304012e'); // 2.16.840.1.101.3.4.1.46
const RANDOM_PADDING = oids('2b0601040183ac1b0103'); // 1.3.6.1.4.1.54811.1.3
// SHA-256 to SHA-512 with HKDF, RFC 8619: 1.2.840.113549.1.9.16.3.28 to .30
const HKDF_HASHES = oids('2a864886f70d010910031c', '2a864886f70d010910031d', '2a864886f70d010910031e');
// SHA-256 to SHA-512 and SHA-224, NIST: 2.16.840.1.101.3.4.2.1 to .4
const SHA2 = oids('608648016503040201', '608648016503040202', '608648016503040203', '608648016503040204');

// The optional fields of the header, docs/formats.md "Message envelope".
const CUSTOM_PARAMETERS = context(0);
const CIPHER_KDF = context(1);
const FOOTER_INFO = context(2);
const PADDING = context(3);

const MAX_VERSION = 3;
const CMS_VERSION = 2;
const GCM_NONCE_BYTES = 12;
// More than any conversation has: a file has room for half a million.
const MAX_RECIPIENTS = 10_000;
// Post-quantum signatures run to a few kilobytes.
const MAX_SIGNATURE_BYTES = 8192;
// The footer holds a signature, of which none is shorter. Libraries abort on less than a tag there.
const LEAST_FOOTER_BYTES = 64;
/** Authentication tag of AES-GCM, NIST SP 800-38D: no ciphertext is shorter. */
export const GCM_TAG_BYTES = 16;

const LEGACY_SIGNATURE = 'VIRGIL-DATA-SIGNATURE';
const LEGACY_SIGNER_ID = 'VIRGIL-DATA-SIGNER-ID';

/** What the header of a message tells anyone who holds it. */
export class MessageEnvelope {
  readonly kind = 'message';

  constructor(
    private readonly bytes: Uint8Array,
    private readonly keyIds: readonly Span[],
    /** Signed inside the ciphertext, as `authEncrypt` does. */
    readonly signedInside: boolean,
    /** Where the ciphertext starts. */
    readonly ciphertextOffset: number,
  ) {}

  /** The key ID of each recipient: cut out only for those who ask, as there may be hundreds. */
  get recipients(): Uint8Array[] {
    return this.keyIds.map(({ start, end }) => this.bytes.subarray(start, end));
  }
}

/** Where something stands among the bytes. */
interface Span {
  start: number;
  end: number;
}

/**
 * Reads the DER header of an E3Kit message (docs/formats.md, "Message envelope"; CMS EnvelopedData, RFC 5652 section 6).
 * In all that follows, what `open` returns is named after the value that `close` returns to.
 * @param bytes the decoded payload: header, then ciphertext
 * @param allowLegacyEncrypt whether it may be unsigned, or signed in the clear as the deprecated `encrypt()` signs
 * @throws EnvelopeError
 */
export function readMessageEnvelope(bytes: Uint8Array, allowLegacyEncrypt: boolean): MessageEnvelope {
  const der = new DerReader(bytes);
  const payload = der.open(SEQUENCE);
  if (der.integer() > MAX_VERSION) throw notAnEnvelope();
  const keyIds = readContentInfo(der);
  if (der.has(CUSTOM_PARAMETERS)) readCustomParameters(der, allowLegacyEncrypt);
  // Signed inside, an envelope has both, otherwise neither: libraries abort on a footer without KDF.
  const signed = der.has(CIPHER_KDF);
  if (signed) readAlgorithm(der, CIPHER_KDF, HKDF_HASHES);
  const dataSize = signed ? readFooterInfo(der) : 0;
  if (der.has(PADDING)) readAlgorithm(der, PADDING, RANDOM_PADDING);
  der.close(payload);
  if (!signed && !allowLegacyEncrypt) throw new EnvelopeError('not signed inside, which authEncrypt() does');
  // AES-GCM ciphertext is as long as its plaintext, and the footer is encrypted behind it.
  const leastBytes = dataSize + GCM_TAG_BYTES + (signed ? LEAST_FOOTER_BYTES + GCM_TAG_BYTES : 0);
  if (bytes.length - der.position < leastBytes) throw new EnvelopeError('ciphertext cut short');
  return new MessageEnvelope(bytes, keyIds, signed, der.position);
}

/** ContentInfo of EnvelopedData, RFC 5652 sections 3 and 6.1: returns the recipients' key IDs. */
function readContentInfo(der: DerReader): Span[] {
  const header = der.open(SEQUENCE);
  der.oid(ENVELOPED_DATA);
  const contentInfo = der.open(context(0), SEQUENCE);
  if (der.integer() !== CMS_VERSION) throw notAnEnvelope();

  const envelopedData = der.open(SET);
  if (der.atEnd) throw new EnvelopeError('no recipients');
  const keyIds: Span[] = [];
  while (!der.atEnd && keyIds.length < MAX_RECIPIENTS) keyIds.push(readKeyTransRecipientInfo(der));
  der.close(envelopedData);

  // EncryptedContentInfo, whose content is not in it: it follows the header.
  der.open(SEQUENCE);
  der.oid(DATA);
  const encryptedContentInfo = der.open(SEQUENCE);
  der.oid(AES256_GCM);
  if (der.skip(OCTET_STRING) !== GCM_NONCE_BYTES) throw notAnEnvelope();
  der.close(encryptedContentInfo);
  der.close(envelopedData);
  der.close(contentInfo);
  der.close(header);
  return keyIds;
}

/** KeyTransRecipientInfo, RFC 5652 section 6.2.1, with a subject key identifier: returns the key ID. */
function readKeyTransRecipientInfo(der: DerReader): Span {
  const recipientInfos = der.open(SEQUENCE);
  const version = der.integer();
  if (version !== 0 && version !== CMS_VERSION) throw notAnEnvelope();
  const keyIdBytes = der.skip(context(0), OCTET_STRING);
  const end = der.position;
  requireKeyId(keyIdBytes);
  der.rest(encryptedKeys());
  der.close(recipientInfos);
  return { start: end - keyIdBytes, end };
}

/** The first 8 bytes of SHA-512 of the public key; old libraries wrote the 32 bytes of SHA-256. */
function requireKeyId(length: number): void {
  if (length !== 8 && length !== 32) throw notAnEnvelope();
}

/**
 * Custom parameters are readable by anyone and decryption ignores them, so a whole message could travel here.
 * Only those of the deprecated `encrypt()` are ever let through; `encryptFile()` leaves the signer's ID out.
 */
function readCustomParameters(der: DerReader, allowLegacyEncrypt: boolean): void {
  const header = der.open(CUSTOM_PARAMETERS, SET);
  const names = new Set<string>();
  while (!der.atEnd) {
    const parameters = der.open(SEQUENCE);
    const name = Buffer.from(der.read(UTF8_STRING)).toString('latin1');
    if ((name !== LEGACY_SIGNATURE && name !== LEGACY_SIGNER_ID) || names.has(name)) {
      throw new EnvelopeError('custom parameters, which anyone can read');
    }
    names.add(name);
    if (name === LEGACY_SIGNER_ID) requireKeyId(der.skip(context(2), OCTET_STRING));
    else readSignature(der);
    der.close(parameters);
  }
  if (!names.has(LEGACY_SIGNATURE)) throw notAnEnvelope();
  der.close(header);
  if (!allowLegacyEncrypt) throw new EnvelopeError('made by the deprecated encrypt()');
}

/** A Virgil signature, as a parameter: [2] OCTET STRING of SEQUENCE { hash AlgorithmIdentifier, OCTET STRING }. */
function readSignature(der: DerReader): void {
  const parameter = der.open(context(2));
  const keyValue = der.open(OCTET_STRING, SEQUENCE);
  readHashAlgorithm(der);
  const signatureBytes = der.skip(OCTET_STRING);
  if (signatureBytes === 0 || signatureBytes > MAX_SIGNATURE_BYTES) throw notAnEnvelope();
  der.close(keyValue);
  der.close(parameter);
}

function readHashAlgorithm(der: DerReader): void {
  const outer = der.open(SEQUENCE);
  der.oid(SHA2);
  if (der.skip(NULL) !== 0) throw notAnEnvelope();
  der.close(outer);
}

/** AlgorithmIdentifier without parameters, behind an explicit tag. */
function readAlgorithm(der: DerReader, tag: number, allowed: readonly Oid[]): void {
  const header = der.open(tag, SEQUENCE);
  der.oid(allowed);
  der.close(header);
}

/** VirgilFooterInfo: returns how many bytes the plaintext has with its padding. */
function readFooterInfo(der: DerReader): number {
  const header = der.open(FOOTER_INFO, SEQUENCE);
  if (der.integer() !== 0) throw notAnEnvelope();
  const dataSize = der.integer();
  const footerInfo = der.open(context(0), SEQUENCE);
  if (der.integer() !== 0) throw notAnEnvelope();
  readHashAlgorithm(der);
  der.close(footerInfo);
  der.close(header);
  return dataSize;
}
