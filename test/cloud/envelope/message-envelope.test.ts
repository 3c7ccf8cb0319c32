import { KeyPairType, type VirgilCrypto } from 'virgil-crypto';
import { EnvelopeError } from '../../../cloud/envelope/envelope-error';
import { readMessageEnvelope } from '../../../cloud/envelope/message-envelope';
import { at, type DerNode, leaf, node, putTogether, takeApart } from '../../support/der-tree';
import { loadVirgilCrypto } from '../../support/virgil-crypto';
import postQuantumMessages from './post-quantum-messages.json';

const NOT_AN_ENVELOPE = 'not an E3Kit envelope';

let crypto: VirgilCrypto;
let alice: ReturnType<VirgilCrypto['generateKeys']>;

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  alice = crypto.generateKeys();
});

/** The reason for which these bytes are refused; undefined where they are accepted. */
function refusal(bytes: Uint8Array, allowLegacyEncrypt = false): string | undefined {
  try {
    readMessageEnvelope(bytes, allowLegacyEncrypt);
    return undefined;
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error;
    return error.message;
  }
}

const authEncrypt = (type = KeyPairType.ED25519) =>
  crypto.signAndEncrypt('hello', alice.privateKey, crypto.generateKeys(type).publicKey, true);

/** The reason for which an envelope is refused after its header was changed, with all lengths right. */
function refusalOf(change: (header: DerNode) => void, envelope: Uint8Array = authEncrypt(), legacy = false) {
  const { root, rest } = takeApart(envelope);
  change(root);
  return refusal(Buffer.concat([putTogether(root), rest]), legacy);
}

// Where the values of the header stand: each number is a position among the parts of the value before.
const VERSION = [0];
const CONTENT_TYPE = [1, 0];
const CMS_VERSION = [1, 1, 0, 0];
const RECIPIENTS = [1, 1, 0, 1];
const RECIPIENT_VERSION = [...RECIPIENTS, 0, 0];
const KEY_ID = [...RECIPIENTS, 0, 1, 0];
const KEY_ALGORITHM = [...RECIPIENTS, 0, 2];
const ENCRYPTED_KEY = [...RECIPIENTS, 0, 3];
const INNER_TYPE = [1, 1, 0, 2, 0];
const CIPHER = [1, 1, 0, 2, 1, 0];
const NONCE = [1, 1, 0, 2, 1, 1];
const KDF_HASH = [2, 0, 0];
const FOOTER_VERSION = [3, 0, 0];
const DATA_SIZE = [3, 0, 1];
const SIGNED_DATA_VERSION = [3, 0, 2, 0, 0];
const SIGNED_DATA_HASH = [3, 0, 2, 0, 1];
const PADDING = [4, 0, 0];

const integer = (value: number) => leaf(0x02, value.toString(16).padStart(2, '0'));
const octets = (length: number) => leaf(0x04, 'ee'.repeat(length));
const oid = (hex: string) => leaf(0x06, hex);
const NULL = leaf(0x05, '');
const put = (path: number[], value: DerNode) => (header: DerNode) => {
  Object.assign(at(header, ...path), value);
};

const ED25519 = '2b6570';
const CURVE = '2a8648ce3d0201';
const PRIME256V1 = '2a8648ce3d030107';
const COMPOUND = '2b0601040183ac1b0101';
const HYBRID = '2b0601040183ac1b0102';
const ROUND5 = '2b0601040183ac1b020209';
const FALCON = '2b0601040183ac1b0201';
const ML_KEM_768 = '608648016503040402';
const algorithm = (hex: string, ...parameters: DerNode[]) => node(0x30, oid(hex), ...parameters);

/** What is put where. */
type Case = [name: string, path: number[], value: DerNode];

describe('accepts', () => {
  test.each<Case>([
    ...[0, 1, 2, 3].map((version) => [`version ${version}`, VERSION, integer(version)] as Case),
    ...[0, 2].map(
      (version) => [`a recipient of version ${version}`, RECIPIENT_VERSION, integer(version)] as Case,
    ),
    ['a key ID of 32 octets', KEY_ID, octets(32)],
    ['an encrypted key of one octet', ENCRYPTED_KEY, octets(1)],
    ['an encrypted key of 4096 octets', ENCRYPTED_KEY, octets(4096)],
    ...['1c', '1d', '1e'].map(
      (hash) => [`HKDF with hash ${hash}`, KDF_HASH, oid(`2a864886f70d01091003${hash}`)] as Case,
    ),
    ...['01', '02', '03', '04'].map(
      (hash) =>
        [`a signature of hash ${hash}`, SIGNED_DATA_HASH, algorithm(`6086480165030402${hash}`, NULL)] as Case,
    ),
    ['an empty plaintext', DATA_SIZE, integer(0)],
    ['Ed25519', KEY_ALGORITHM, algorithm(ED25519)],
    ['X25519', KEY_ALGORITHM, algorithm('2b656e')],
    ['an elliptic curve', KEY_ALGORITHM, algorithm(CURVE, oid(PRIME256V1))],
    ['RSA', KEY_ALGORITHM, algorithm('2a864886f70d010101', NULL)],
    ['Falcon', KEY_ALGORITHM, algorithm(FALCON)],
    ['Round5', KEY_ALGORITHM, algorithm(ROUND5)],
    ['ML-KEM-768', KEY_ALGORITHM, algorithm(ML_KEM_768)],
    [
      'a compound key of two',
      KEY_ALGORITHM,
      algorithm(COMPOUND, node(0x30, algorithm(ED25519), algorithm('2b656e'))),
    ],
    [
      'a compound key of two hybrids',
      KEY_ALGORITHM,
      algorithm(
        COMPOUND,
        node(
          0x30,
          algorithm(HYBRID, node(0x30, algorithm(ED25519), algorithm(ROUND5))),
          algorithm(HYBRID, node(0x30, algorithm(ED25519), algorithm(ROUND5))),
        ),
      ),
    ],
  ])('%s', (_name, path, value) => {
    expect(refusalOf(put(path, value))).toBeUndefined();
  });

  // What SDKs call CURVE25519_ROUND5_ED25519_FALCON has been three kinds of key in turn; virgil-crypto here has the second.
  test.each([
    ['2b0601040183ac1b020208', postQuantumMessages[0]],
    [ML_KEM_768, postQuantumMessages[1]],
  ])('a message that another SDK has made for a post-quantum key, %s', (cipher, made) => {
    const message = Buffer.from(made?.base64 as string, 'base64');
    const hybrid = (...keys: string[]) => algorithm(HYBRID, node(0x30, ...keys.map((key) => algorithm(key))));
    const keys = [hybrid('2b656e', cipher), hybrid(ED25519, FALCON)];
    expect(at(takeApart(message).root, ...KEY_ALGORITHM)).toEqual(algorithm(COMPOUND, node(0x30, ...keys)));
    expect(refusal(message)).toBeUndefined();
  });
});

describe('refuses', () => {
  const compound = (...keys: DerNode[]) => algorithm(COMPOUND, node(0x30, ...keys));
  const nested = compound(compound(algorithm(ED25519), algorithm(ED25519)), algorithm(ED25519));

  test.each<Case>([
    ['version 4', VERSION, integer(4)],
    ['another content type', CONTENT_TYPE, oid('2a864886f70d010702')],
    ...[0, 1, 3].map((version) => [`CMS version ${version}`, CMS_VERSION, integer(version)] as Case),
    ...[1, 3].map(
      (version) => [`a recipient of version ${version}`, RECIPIENT_VERSION, integer(version)] as Case,
    ),
    ...[0, 7, 9, 31, 33].map((length) => [`a key ID of ${length} octets`, KEY_ID, octets(length)] as Case),
    ['an empty encrypted key', ENCRYPTED_KEY, octets(0)],
    ['an encrypted key of 4097 octets', ENCRYPTED_KEY, octets(4097)],
    ['another inner content type', INNER_TYPE, oid('2a864886f70d010702')],
    ['another cipher', CIPHER, oid('60864801650304012a')],
    ['a nonce of 11 octets', NONCE, octets(11)],
    ['a nonce of 13 octets', NONCE, octets(13)],
    ['HKDF with another hash', KDF_HASH, oid('2a864886f70d010910031f')],
    ['another KDF', KDF_HASH, oid('2a864886f70d010910041e')],
    ['another version of the footer information', FOOTER_VERSION, integer(1)],
    ['another version of the signed-data information', SIGNED_DATA_VERSION, integer(1)],
    ['a signature of another hash', SIGNED_DATA_HASH, algorithm('608648016503040205', NULL)],
    ['a hash of another family', SIGNED_DATA_HASH, algorithm('608648016503040303', NULL)],
    [
      'a hash whose NULL has a content',
      SIGNED_DATA_HASH,
      algorithm('608648016503040203', leaf(0x05, '68656c6c6f')),
    ],
    ['another padding', PADDING, oid('2b0601040183ac1b0104')],
    ['another key algorithm', KEY_ALGORITHM, algorithm('2b6571')],
    ['ML-KEM-512', KEY_ALGORITHM, algorithm('608648016503040401')],
    ['another curve', KEY_ALGORITHM, algorithm(CURVE, oid('2b8104000a'))],
    ['a curve and more', KEY_ALGORITHM, algorithm(CURVE, oid(PRIME256V1), NULL)],
    ['a key algorithm whose NULL has a content', KEY_ALGORITHM, algorithm(ED25519, leaf(0x05, '68656c6c6f'))],
    ['a key algorithm with text', KEY_ALGORITHM, algorithm(ED25519, leaf(0x04, '68656c6c6f'))],
    ['a key algorithm with NULL and more', KEY_ALGORITHM, algorithm(ED25519, NULL, NULL)],
    ['a compound key of one', KEY_ALGORITHM, algorithm(COMPOUND, node(0x30, algorithm(ED25519)))],
    [
      'a compound key of three',
      KEY_ALGORITHM,
      algorithm(COMPOUND, node(0x30, ...Array(3).fill(algorithm(ED25519)))),
    ],
    ['a compound key nested three deep, in its first', KEY_ALGORITHM, compound(nested, algorithm(ED25519))],
    ['a compound key nested three deep, in its second', KEY_ALGORITHM, compound(algorithm(ED25519), nested)],
  ])('%s', (_name, path, value) => {
    expect(refusalOf(put(path, value))).toBe(NOT_AN_ENVELOPE);
  });

  test('more than 10,000 recipients', () => {
    const repeat = (times: number) => (header: DerNode) => {
      const recipients = at(header, ...RECIPIENTS);
      recipients.content = Array(times).fill(at(recipients, 0));
    };
    expect(refusalOf(repeat(10_000))).toBeUndefined();
    expect(refusalOf(repeat(10_001))).toBe(NOT_AN_ENVELOPE);
  });

  test('no recipients', () => {
    expect(refusalOf((header) => Object.assign(at(header, ...RECIPIENTS), { content: [] }))).toBe(
      'no recipients',
    );
  });

  test('optional fields in another order', () => {
    expect(refusalOf((header) => (header.content as DerNode[]).push(at(header, 2)))).toBe(NOT_AN_ENVELOPE);
    const swap = (header: DerNode) => {
      const parts = header.content as DerNode[];
      parts.push(...parts.splice(2, 1));
    };
    expect(refusalOf(swap)).toBe(NOT_AN_ENVELOPE);
  });

  test('more ciphertext announced than there is', () => {
    const { rest } = takeApart(authEncrypt());
    const announce = (size: number) =>
      refusalOf(put(DATA_SIZE, leaf(0x02, size.toString(16).padStart(4, '0'))));
    expect(announce(rest.length - 16)).toBeUndefined();
    expect(announce(rest.length - 15)).toBe('ciphertext cut short');
    expect(refusalOf(put(DATA_SIZE, leaf(0x02, '7fffffffffff')))).toBe('ciphertext cut short');
  });
});

describe('what the deprecated encrypt() adds, where the policy allows it', () => {
  const legacyEncrypt = () =>
    Buffer.from(crypto.signThenEncrypt('hello', alice.privateKey, crypto.generateKeys().publicKey));
  const legacyRefusalOf = (change: (header: DerNode) => void) => refusalOf(change, legacyEncrypt(), true);

  /** The value of the custom parameter of this name. */
  function parameter(header: DerNode, name: string): DerNode {
    const [found] = (at(header, 2, 0).content as DerNode[]).filter(
      (pair) => at(pair, 0).content.toString() === name,
    );
    return at(found as DerNode, 1, 0);
  }
  const putParameter = (name: string, value: DerNode) => (header: DerNode) => {
    Object.assign(parameter(header, name), value);
  };
  /** A Virgil signature of so many octets. */
  const signature = (length: number, hash = algorithm('608648016503040203', NULL)) =>
    ({ tag: 0x04, content: putTogether(node(0x30, hash, octets(length))) }) as DerNode;

  test.each([1, 64, 8192])('a signature of %i octets is accepted', (length) => {
    expect(legacyRefusalOf(putParameter('VIRGIL-DATA-SIGNATURE', signature(length)))).toBeUndefined();
  });

  test.each([8, 32])('a signer ID of %i octets is accepted', (length) => {
    expect(legacyRefusalOf(putParameter('VIRGIL-DATA-SIGNER-ID', octets(length)))).toBeUndefined();
  });

  test.each([
    ['an empty signature', 'VIRGIL-DATA-SIGNATURE', () => signature(0)],
    ['a signature of 8193 octets', 'VIRGIL-DATA-SIGNATURE', () => signature(8193)],
    ['a signature of another hash', 'VIRGIL-DATA-SIGNATURE', () => signature(64, algorithm('2b6570', NULL))],
    ['text for a signature', 'VIRGIL-DATA-SIGNATURE', () => leaf(0x04, '68656c6c6f')],
    ['a signer ID of another length', 'VIRGIL-DATA-SIGNER-ID', () => octets(9)],
    ['text for a signer ID', 'VIRGIL-DATA-SIGNER-ID', () => leaf(0x0c, '68656c6c6f212121')],
  ])('%s is refused', (_name, name, value) => {
    expect(legacyRefusalOf(putParameter(name, value()))).toBe(NOT_AN_ENVELOPE);
  });

  test('a signature alone is accepted, as encryptFile() leaves it; a signer ID alone is refused, and so is neither', () => {
    const keep = (names: string[]) => (header: DerNode) => {
      const set = at(header, 2, 0);
      set.content = (set.content as DerNode[]).filter((pair) =>
        names.includes(at(pair, 0).content.toString()),
      );
    };
    expect(legacyRefusalOf(keep(['VIRGIL-DATA-SIGNATURE']))).toBeUndefined();
    expect(refusalOf(keep(['VIRGIL-DATA-SIGNATURE']), legacyEncrypt())).toBe(
      'made by the deprecated encrypt()',
    );
    for (const names of [['VIRGIL-DATA-SIGNER-ID'], []])
      expect(legacyRefusalOf(keep(names))).toBe(NOT_AN_ENVELOPE);
  });
});

describe('with all lengths right, no value may be missing, come twice, have another tag, or hold more or less', () => {
  type Change = (part: DerNode, position: number, parts: DerNode[]) => void;
  const changes: Record<string, Change> = {
    missing: (_part, position, parts) => parts.splice(position, 1),
    twice: (part, position, parts) => parts.splice(position, 0, part),
    'NULL before it': (_part, position, parts) => parts.splice(position, 0, NULL),
    'NULL behind it': (_part, position, parts) => parts.splice(position + 1, 0, NULL),
    'another tag': (part) => {
      part.tag = 0x1f;
    },
    empty: (part) => {
      part.content = Buffer.isBuffer(part.content) ? Buffer.alloc(0) : [];
    },
    more: (part) => {
      part.content = Buffer.isBuffer(part.content)
        ? Buffer.concat([part.content, Buffer.from([1])])
        : [...part.content, NULL];
    },
    less: (part) => {
      if (Buffer.isBuffer(part.content)) part.content = part.content.subarray(1);
    },
  };

  /** Which values may be changed so. */
  function accepted(envelope: Uint8Array, legacy: boolean): Record<string, string[]> {
    const { root, rest } = takeApart(envelope);
    expect(Buffer.concat([putTogether(root), rest]).equals(envelope)).toBe(true);
    const isAccepted = (change: Change) => (path: number[]) => {
      const header = takeApart(envelope).root;
      const position = path.at(-1) as number;
      change(at(header, ...path), position, at(header, ...path.slice(0, -1)).content as DerNode[]);
      const changed = Buffer.concat([putTogether(header), rest]);
      return !changed.equals(envelope) && refusal(changed, legacy) === undefined;
    };
    return Object.fromEntries(
      Object.entries(changes).map(([name, change]) => [
        name,
        paths(root)
          .filter(isAccepted(change))
          .map((path) => path.join('.')),
      ]),
    );
  }

  /** The way to each value inside this one. */
  function paths({ content }: DerNode, path: number[] = []): number[][] {
    if (Buffer.isBuffer(content)) return [];
    return content.flatMap((part, position) => {
      const way = [...path, position];
      return [way, ...paths(part, way)];
    });
  }

  const [recipient, keyAlgorithm, encryptedKey] = [RECIPIENTS.concat(0), KEY_ALGORITHM, ENCRYPTED_KEY].map(
    (path) => path.join('.'),
  );
  const harmless = {
    missing: [],
    twice: [recipient],
    'NULL before it': [],
    'NULL behind it': [`${keyAlgorithm}.0`], // its parameters
    'another tag': [],
    empty: [],
    more: [keyAlgorithm, encryptedKey], // parameters again, and random bytes
    less: [encryptedKey],
  };

  test('authEncrypt(), but that KDF and padding may be missing', () => {
    expect(accepted(authEncrypt(), false)).toEqual({ ...harmless, missing: ['2', '4'] });
  });

  test('the deprecated encrypt(), but that the custom parameters may be missing, or the signer ID of them', () => {
    const envelope = crypto.signThenEncrypt('hello', alice.privateKey, crypto.generateKeys().publicKey);
    expect(accepted(envelope, true)).toEqual({ ...harmless, missing: ['2', '2.0.0'] });
  });
});
