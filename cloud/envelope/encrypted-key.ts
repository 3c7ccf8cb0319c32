import { BIT_STRING, NULL, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE } from './der';
import { anyOctets, OctetPattern } from './octet-pattern';

// docs/formats.md, "Encrypted key". Libraries abort, and the app with them, where a NULL has a content,
// a nonce another length, and so on. Encrypted keys of one kind differ only in octets that look random,
// so each kind is a pattern, and the guard refuses whatever fits none of them.

/** A DER value, in hexadecimal. */
const value = (tag: number, ...contents: string[]): string => {
  const content = contents.join('');
  const length = content.length / 2;
  const start = length < 0x80 ? [tag] : length < 0x100 ? [tag, 0x81] : [tag, 0x82, length >> 8];
  return Buffer.from([...start, length]).toString('hex') + content;
};
const sequence = (...contents: string[]) => value(SEQUENCE, ...contents);
const octetString = (...contents: string[]) => value(OCTET_STRING, ...contents);
const oid = (octets: string) => value(OBJECT_IDENTIFIER, octets);
/** An algorithm of two others. */
const pairOf = (id: string) => (a: string, b: string) => id + sequence(sequence(a), sequence(b));

const VERSION_0 = '020100';
const ED25519 = oid('2b6570'); // 1.3.101.112
const X25519 = oid('2b656e'); // 1.3.101.110
const P256 = oid('2a8648ce3d0201') + oid('2a8648ce3d030107'); // 1.2.840.10045.2.1 and .3.1.7
const RSA = oid('2a864886f70d010101') + value(NULL); // 1.2.840.113549.1.1.1
const compoundKey = pairOf(oid('2b0601040183ac1b0101')); // Virgil's, 1.3.6.1.4.1.54811.1.1
const hybridKey = pairOf(oid('2b0601040183ac1b0102')); // .1.2
const FALCON = oid('2b0601040183ac1b0201'); // .2.1
const ROUND5_5KEM = oid('2b0601040183ac1b020208'); // .2.2.8, the Java SDK 7.1
const ROUND5_1CCA = oid('2b0601040183ac1b020209'); // .2.2.9, JavaScript
const ML_KEM_768 = oid('608648016503040402'); // 2.16.840.1.101.3.4.4.2, Python and Kotlin
const KDF2 = oid('28818c71020502'); // 1.0.18033.2.5.2
const SHA384 = sequence(oid('608648016503040202'), value(NULL)); // 2.16.840.1.101.3.4.2.2
const SHA512 = oid('608648016503040203'); // .2.3
const AES256_CBC = oid('60864801650304012a'); // 2.16.840.1.101.3.4.1.42
const AES256_GCM = oid('60864801650304012e'); // .1.46
const CBC = sequence(AES256_CBC, octetString(anyOctets(16)));
const GCM = sequence(AES256_GCM, octetString(anyOctets(12)));
/** The message's key: 32 octets, with CBC's padding or GCM's tag. */
const CONTENT = anyOctets(48);

/** How a recipient's entry ends: the kind of their key, and the message's key, encrypted for it. */
const entry = (keyAlgorithm: string, encryptedKey: string) =>
  new OctetPattern(sequence(keyAlgorithm) + octetString(encryptedKey));

/** ECIES, ISO/IEC 18033-2. Some of today's libraries use CBC, and some GCM. */
const eciesEntries = (keyAlgorithm: string, curve: string, ephemeralKey: string) =>
  [CBC, GCM].map((cipher) => {
    const originator = sequence(sequence(curve), value(BIT_STRING, '00', ephemeralKey));
    const kdf = sequence(KDF2, SHA384);
    const hmac = sequence(SHA384, octetString(anyOctets(48)));
    const encryptedContent = sequence(cipher, octetString(CONTENT));
    return entry(keyAlgorithm, sequence(VERSION_0, originator, kdf, hmac, encryptedContent));
  });

/** For a post-quantum key, which is made of four. */
const hybridEntry = (kem: string, encapsulatedBytes: number) => {
  const keyAlgorithm = compoundKey(hybridKey(X25519, kem), hybridKey(ED25519, FALCON));
  const encapsulated = octetString(anyOctets(32)) + octetString(anyOctets(encapsulatedBytes));
  return entry(keyAlgorithm, sequence(VERSION_0, SHA512, AES256_GCM, encapsulated) + CONTENT);
};

let entries: readonly OctetPattern[] | undefined;

/** How a recipient's entry may end, the commonest first. Made on the first call, not at load. */
export const encryptedKeys = (): readonly OctetPattern[] => {
  entries ??= [
    ...eciesEntries(ED25519, ED25519, anyOctets(32)),
    ...eciesEntries(ED25519 + value(NULL), ED25519, anyOctets(32)), // of old libraries
    ...eciesEntries(X25519, X25519, anyOctets(32)),
    ...eciesEntries(compoundKey(X25519, ED25519), X25519, anyOctets(32)),
    ...eciesEntries(P256, P256, `04${anyOctets(64)}`), // an uncompressed point
    ...[2048, 3072, 4096, 8192].map((bits) => entry(RSA, anyOctets(bits / 8))),
    hybridEntry(ROUND5_5KEM, 1285),
    hybridEntry(ROUND5_1CCA, 620),
    hybridEntry(ML_KEM_768, 1088),
  ];
  return entries;
};
