import fc from 'fast-check';
import { KeyPairType, type VirgilCrypto, type VirgilKeyPair } from 'virgil-crypto';
import { EnvelopeError } from '../../../cloud/envelope/envelope-error';
import { readMessageEnvelope } from '../../../cloud/envelope/message-envelope';
import {
  at,
  CHANGES,
  change,
  type DerNode,
  leaf,
  node,
  paths,
  putTogether,
  takeApart,
} from '../../support/der-tree';
import { loadVirgilCrypto } from '../../support/virgil-crypto';
import messagesOfOtherSdks from './messages-of-other-sdks.json';

fc.configureGlobal({ seed: 20_261_128 });

// What other SDKs make has another structure: of ECIES those with GCM, and two kinds of post-quantum key.
const otherSdks = messagesOfOtherSdks.map(({ sdk, key, base64 }) => {
  return [`${key}, ${sdk}`, Buffer.from(base64, 'base64')] as const;
});
const { ED25519, CURVE25519, SECP256R1, RSA_2048, CURVE25519_ED25519, CURVE25519_ROUND5_ED25519_FALCON } =
  KeyPairType;
const eciesTypes = [ED25519, CURVE25519, SECP256R1, CURVE25519_ED25519];
const structuredTypes = [...eciesTypes, CURVE25519_ROUND5_ED25519_FALCON];
const kinds = [...structuredTypes, ...otherSdks.map(([name]) => name)];

let crypto: VirgilCrypto;
let alice: VirgilKeyPair;
const bobs = new Map<string, VirgilKeyPair>();
const messages = new Map<string, Uint8Array>(otherSdks);

beforeAll(async () => {
  // The library prints why it aborts.
  for (const method of ['log', 'error'] as const) jest.spyOn(console, method).mockImplementation();
  crypto = await loadVirgilCrypto();
  alice = crypto.generateKeys();
  for (const type of [...structuredTypes, RSA_2048]) {
    const bob = crypto.generateKeys(type);
    bobs.set(type, bob);
    messages.set(type, crypto.signAndEncrypt('hello', alice.privateKey, bob.publicKey, true));
  }
});

const messageFor = (kind: string) => messages.get(kind) as Uint8Array;

function isAccepted(message: Uint8Array): boolean {
  try {
    readMessageEnvelope(message, true);
    return true;
  } catch (error) {
    if (error instanceof EnvelopeError) return false;
    throw error;
  }
}

/** Whether the library aborts, which ends the app where it is not WASM. */
function aborts(message: Uint8Array, type: string): boolean {
  try {
    crypto.decryptAndVerify(message, (bobs.get(type) as VirgilKeyPair).privateKey, alice.publicKey);
    return false;
  } catch (error) {
    return (error as Error).name === 'RuntimeError';
  }
}

/** What ends the recipient's entry, taken apart. */
interface Entry {
  keyAlgorithm: DerNode;
  encryptedKey: DerNode;
  /** Behind the value, in the same OCTET STRING. */
  rest: Buffer;
}

function entryOf(header: DerNode): Entry {
  const [, , keyAlgorithm, octetString] = at(header, 1, 1, 0, 1, 0).content as [
    DerNode,
    DerNode,
    DerNode,
    DerNode,
  ];
  const { root, rest } = takeApart(octetString.content as Buffer);
  return { keyAlgorithm, encryptedKey: root, rest };
}

/** The message after its entry was changed, with all lengths right. */
function changed(message: Uint8Array, apply: (entry: Entry) => void): Buffer {
  const { root, rest: ciphertext } = takeApart(message);
  const entry = entryOf(root);
  apply(entry);
  const { keyAlgorithm, encryptedKey, rest } = entry;
  const content = Buffer.concat([putTogether(encryptedKey), rest]);
  (at(root, 1, 1, 0, 1, 0).content as DerNode[]).splice(2, 2, keyAlgorithm, { tag: 0x04, content });
  return Buffer.concat([putTogether(root), ciphertext]);
}

const octets = (length: number) => leaf(0x04, 'ee'.repeat(length));
const oid = (hex: string) => leaf(0x06, hex);
const algorithm = (hex: string, ...parameters: DerNode[]) => node(0x30, oid(hex), ...parameters);
const NULL = leaf(0x05, '');
const NULL_WITH_CONTENT = leaf(0x05, '0102');
const put = (path: number[], value: DerNode) => (entry: Entry) => {
  Object.assign(at(entry.encryptedKey, ...path), value);
};

// Where the values of ECIES stand.
const VERSION = [0];
const CURVE = [1, 0, 0];
const EPHEMERAL_KEY = [1, 1];
const KDF = [2, 0];
const KDF_HASH = [2, 1, 0];
const KDF_HASH_NULL = [2, 1, 1];
const HMAC_HASH = [3, 0, 0];
const HMAC_HASH_NULL = [3, 0, 1];
const MAC = [3, 1];
const CIPHER = [4, 0, 0];
const NONCE = [4, 0, 1];
const CONTENT = [4, 1];
const SHA256 = '608648016503040201';
const SHA512 = '608648016503040203';
const AES256_CBC = '60864801650304012a';
const AES256_GCM = '60864801650304012e';

describe('accepts', () => {
  test.each(kinds)('what libraries make for a key of the kind %s', (kind) => {
    expect(isAccepted(messageFor(kind))).toBe(true);
  });

  test.each([256, 384, 512, 1024])('%i octets for an RSA key', (length) => {
    expect(isAccepted(withRsa(length))).toBe(true);
  });

  test('the NULL that old libraries wrote behind Ed25519', () => {
    const withNull = ({ keyAlgorithm }: Entry) => (keyAlgorithm.content as DerNode[]).push(NULL);
    expect(isAccepted(changed(messageFor(ED25519), withNull))).toBe(true);
    expect(isAccepted(changed(messageFor(CURVE25519), withNull))).toBe(false);
  });

  test.each(kinds)('all octets where they are random: %s', (kind) => {
    const [message, another] = [messageFor(kind), differentIn(kind)];
    const random = [...message.keys()].filter((i) => message[i] !== another[i]);
    for (const octet of [0x00, 0x7f, 0xff]) {
      const other = Buffer.from(message);
      for (const i of random) other[i] = octet;
      expect(isAccepted(other)).toBe(true);
    }
  });
});

/** The message with other octets in each value of its encrypted key that is random. */
function differentIn(kind: string): Buffer {
  return changed(messageFor(kind), (entry) => {
    const invert = ({ tag, content }: DerNode): void => {
      if (!Buffer.isBuffer(content)) content.forEach(invert);
      else if (tag === 0x04)
        for (const i of content.keys()) content.writeUInt8(content.readUInt8(i) ^ 0xff, i);
      else if (tag === 0x03) {
        const form = content.length === 66 ? 2 : 1; // behind the unused bits, and a P-256 point's form
        for (let i = form; i < content.length; i++) content.writeUInt8(content.readUInt8(i) ^ 0xff, i);
      }
    };
    invert(entry.encryptedKey);
    invert({ tag: 0x04, content: entry.rest });
  });
}

function withRsa(length: number, ...parameters: DerNode[]): Buffer {
  const { root, rest } = takeApart(messageFor(ED25519));
  const keyAlgorithm = algorithm('2a864886f70d010101', ...(parameters.length ? parameters : [NULL]));
  (at(root, 1, 1, 0, 1, 0).content as DerNode[]).splice(2, 2, keyAlgorithm, octets(length));
  return Buffer.concat([putTogether(root), rest]);
}

describe('refuses', () => {
  /** What is put where. */
  type Case = [name: string, path: number[], value: DerNode];

  test.each<Case>([
    ['another version', VERSION, leaf(0x02, '01')],
    ['a curve that the key is not on', CURVE, oid('2b6571')],
    ['an empty ephemeral key', EPHEMERAL_KEY, leaf(0x03, '')],
    ['an ephemeral key of 31 octets', EPHEMERAL_KEY, leaf(0x03, `00${'ee'.repeat(31)}`)],
    ['an ephemeral key of 33 octets', EPHEMERAL_KEY, leaf(0x03, `00${'ee'.repeat(33)}`)],
    ['an ephemeral key with unused bits', EPHEMERAL_KEY, leaf(0x03, `01${'ee'.repeat(32)}`)],
    ['KDF1', KDF, oid('28818c71020501')],
    ['HKDF', KDF, oid('2a864886f70d010910031d')],
    ['KDF2 with SHA-256', KDF_HASH, oid(SHA256)],
    ['KDF2 with a hash that is a cipher', KDF_HASH, oid(AES256_CBC)],
    ["a KDF's NULL with a content", KDF_HASH_NULL, NULL_WITH_CONTENT],
    ['HMAC with SHA-512', HMAC_HASH, oid(SHA512)],
    ['HMAC with a cipher', HMAC_HASH, oid(AES256_CBC)],
    ["HMAC's NULL with a content", HMAC_HASH_NULL, NULL_WITH_CONTENT],
    ...[0, 47, 49].map((length) => [`a MAC of ${length} octets`, MAC, octets(length)] as Case),
    ['AES-128', CIPHER, oid('608648016503040102')],
    ['a cipher that is a hash', CIPHER, oid(SHA256)],
    ['GCM with the nonce of CBC', CIPHER, oid(AES256_GCM)],
    ...[0, 12, 15, 17].map((length) => [`a CBC nonce of ${length} octets`, NONCE, octets(length)] as Case),
    ...[0, 32, 47, 49, 64].map(
      (length) => [`an encrypted content of ${length} octets`, CONTENT, octets(length)] as Case,
    ),
  ])('%s', (_name, path, value) => {
    expect(isAccepted(changed(messageFor(ED25519), put(path, value)))).toBe(false);
  });

  test('CBC with the nonce of GCM', () => {
    const gcm = messageFor(
      otherSdks.map(([name]) => name).find((name) => name.startsWith(ED25519)) as string,
    );
    expect(isAccepted(changed(gcm, () => {}))).toBe(true);
    expect(isAccepted(changed(gcm, put(CIPHER, oid(AES256_CBC))))).toBe(false);
  });

  test.each(['02', '03', '00', '05'])('a point of P-256 that is not uncompressed, %s', (form) => {
    const point = (of: string) => put(EPHEMERAL_KEY, leaf(0x03, `00${of}${'ee'.repeat(64)}`));
    expect(isAccepted(changed(messageFor(SECP256R1), point('04')))).toBe(true);
    expect(isAccepted(changed(messageFor(SECP256R1), point(form)))).toBe(false);
    const short = put(EPHEMERAL_KEY, leaf(0x03, `00${form}${'ee'.repeat(32)}`));
    expect(isAccepted(changed(messageFor(SECP256R1), short))).toBe(false);
  });

  test.each([0, 1, 128, 226, 255, 257, 640, 1023, 1025])('%i octets for an RSA key', (length) => {
    expect(isAccepted(withRsa(length))).toBe(false);
  });

  test('an RSA key whose NULL has a content', () => {
    expect(isAccepted(withRsa(256, NULL_WITH_CONTENT))).toBe(false);
  });

  const hybrids = kinds.filter((kind) => /ROUND5|MLKEM/.test(kind));

  test.each(hybrids)('%s with another hash, another cipher, and keys of another length', (kind) => {
    const refused = (apply: (entry: Entry) => void) => !isAccepted(changed(messageFor(kind), apply));
    expect(refused(put([1], oid(SHA256)))).toBe(true);
    expect(refused(put([1], oid(AES256_GCM)))).toBe(true);
    expect(refused(put([2], oid(AES256_CBC)))).toBe(true);
    expect(refused(put([2], oid(SHA512)))).toBe(true);
    for (const length of [0, 31, 33]) expect(refused(put([3], octets(length)))).toBe(true);
    for (const length of [0, 619, 621, 1087, 1089, 1284, 1286]) {
      expect(refused(put([4], octets(length)))).toBe(true);
    }
    for (const length of [0, 15, 16, 47, 49]) {
      const cut = (entry: Entry) => Object.assign(entry, { rest: Buffer.alloc(length, 0xee) });
      expect(refused(cut)).toBe(true);
    }
  });

  test('kinds of keys that no SDK makes', () => {
    const CURVES = ['2b6570', '2b656e'];
    const FALCON = '2b0601040183ac1b0201';
    const KEMS = ['2b0601040183ac1b020208', '2b0601040183ac1b020209', '608648016503040402'];
    const of = (id: string) => (a: DerNode, b: DerNode) => algorithm(id, node(0x30, a, b));
    const [compound, hybrid] = [of('2b0601040183ac1b0101'), of('2b0601040183ac1b0102')];
    const [ed25519, x25519] = CURVES.map((id) => algorithm(id)) as [DerNode, DerNode];
    const keyAlgorithms = [
      ...[FALCON, ...KEMS, '608648016503040401', '2b6571'].map((id) => algorithm(id)),
      algorithm('2a8648ce3d0201', oid('2b8104000a')), // secp256k1
      algorithm('2a8648ce3d0201'),
      compound(ed25519, x25519),
      compound(x25519, x25519),
      compound(compound(x25519, ed25519), ed25519),
      compound(algorithm('2a864886f70d010101', NULL), ed25519), // nothing would look into its octets
      hybrid(x25519, algorithm(KEMS[0] as string)),
      ...CURVES.map((id) => algorithm(id, NULL_WITH_CONTENT)),
      ...CURVES.map((id) => algorithm(id, NULL, NULL)),
      ...CURVES.map((id) => algorithm(id, leaf(0x04, '68656c6c6f'))),
    ];
    for (const kind of kinds) {
      for (const keyAlgorithm of keyAlgorithms) {
        const other = changed(messageFor(kind), (entry) => Object.assign(entry, { keyAlgorithm }));
        expect(isAccepted(other)).toBe(false);
      }
    }
  });

  test('a key of one kind in the place of another', () => {
    const kindOf = (kind: string) =>
      putTogether(entryOf(takeApart(messageFor(kind)).root).keyAlgorithm).toString('hex');
    for (const one of kinds) {
      for (const another of kinds) {
        const { keyAlgorithm } = entryOf(takeApart(messageFor(another)).root);
        const mixed = changed(messageFor(one), (entry) => Object.assign(entry, { keyAlgorithm }));
        // A compound key of curves is encrypted for as its X25519 key is.
        expect([one, another, isAccepted(mixed)]).toEqual([one, another, sameStructure(one, another)]);
      }
    }
    function sameStructure(one: string, another: string): boolean {
      const structure = (kind: string) =>
        kindOf(kind) === kindOf(CURVE25519_ED25519) ? kindOf(CURVE25519) : kindOf(kind);
      return structure(one) === structure(another);
    }
  });

  // Their octets differ in the random ones alone, so no other change may be accepted.
  test.each(kinds)('any change of a value, with all lengths right: %s', (kind) => {
    const message = messageFor(kind);
    const tree = entryOf(takeApart(message).root);
    const accepted: string[] = [];
    for (const which of ['keyAlgorithm', 'encryptedKey'] as const) {
      for (const path of paths(tree[which])) {
        for (const [name, apply] of Object.entries(CHANGES)) {
          const other = changed(message, (entry) => change(entry[which], path, apply));
          if (!other.equals(message) && isAccepted(other))
            accepted.push(`${which} ${path.join('.')}: ${name}`);
        }
      }
    }
    // The NULL of old libraries.
    expect(accepted).toEqual(kind.startsWith(ED25519) ? ['keyAlgorithm 0: NULL behind it'] : []);
  });
});

describe('the library aborts on nothing that is accepted', () => {
  /** The messages that are accepted after one bit of the header was changed, of all bits each `step`th. */
  function accepted(message: Uint8Array, step: number): Buffer[] {
    const { ciphertextOffset } = readMessageEnvelope(message, true);
    const changes: Buffer[] = [];
    for (let bit = 0; bit < 8 * ciphertextOffset; bit += step) {
      const other = Buffer.from(message);
      other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
      if (isAccepted(other)) changes.push(other);
    }
    return changes;
  }

  test('as it does where a NULL has a content, a nonce is short, or the encrypted content is empty', () => {
    for (const [path, value] of [
      [HMAC_HASH_NULL, NULL_WITH_CONTENT],
      [NONCE, octets(15)],
      [CONTENT, octets(0)],
    ] as const) {
      const message = changed(messageFor(ED25519), put(path, value));
      expect(aborts(message, ED25519)).toBe(true);
      expect(isAccepted(message)).toBe(false);
    }
  });

  test.each([
    [ED25519, 1],
    [CURVE25519, 1],
    [CURVE25519_ED25519, 1],
    [SECP256R1, 9], // decryption is slow with this and those below
    [CURVE25519_ROUND5_ED25519_FALCON, 9],
    [RSA_2048, 41],
  ])('after one bit of the header was changed: %s', (type, step) => {
    const changes = accepted(messageFor(type), step);
    expect(changes.length).toBeGreaterThan(50);
    expect(changes.filter((message) => aborts(message, type))).toEqual([]);
  });

  test('after values of the entry were changed at random', () => {
    const content = fc.oneof(
      fc
        .constantFrom(SHA256, SHA512, AES256_CBC, AES256_GCM, '00', '01', '')
        .map((hex) => Buffer.from(hex, 'hex')),
      fc.uint8Array({ maxLength: 70 }).map((bytes) => Buffer.from(bytes)),
    );
    const step = fc.record({
      place: fc.nat(),
      name: fc.constantFrom('content', ...Object.keys(CHANGES)),
      content,
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...structuredTypes),
        fc.constantFrom('keyAlgorithm' as const, 'encryptedKey' as const, 'encryptedKey' as const),
        fc.array(step, { minLength: 1, maxLength: 3 }),
        (type, which, steps) => {
          const message = changed(messageFor(type), (entry) => {
            for (const { place, name, content } of steps) {
              const all = paths(entry[which]);
              const path = all[place % all.length];
              if (!path) continue;
              const apply = CHANGES[name] ?? ((part: DerNode) => Object.assign(part, { content }));
              change(entry[which], path, apply);
            }
          });
          return !isAccepted(message) || !aborts(message, type);
        },
      ),
      { numRuns: 10_000 },
    );
  });
});
