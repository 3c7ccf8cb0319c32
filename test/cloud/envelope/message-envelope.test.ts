import type { VirgilCrypto } from 'virgil-crypto';
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

const authEncrypt = () =>
  crypto.signAndEncrypt('hello', alice.privateKey, crypto.generateKeys().publicKey, true);

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
    ...['1c', '1d', '1e'].map(
      (hash) => [`HKDF with hash ${hash}`, KDF_HASH, oid(`2a864886f70d01091003${hash}`)] as Case,
    ),
    ...['01', '02', '03', '04'].map(
      (hash) =>
        [`a signature of hash ${hash}`, SIGNED_DATA_HASH, algorithm(`6086480165030402${hash}`, NULL)] as Case,
    ),
    ['an empty plaintext', DATA_SIZE, integer(0)],
  ])('%s', (_name, path, value) => {
    expect(refusalOf(put(path, value))).toBeUndefined();
  });
});

describe('refuses', () => {
  test.each<Case>([
    ['version 4', VERSION, integer(4)],
    ['another content type', CONTENT_TYPE, oid('2a864886f70d010702')],
    ...[0, 1, 3].map((version) => [`CMS version ${version}`, CMS_VERSION, integer(version)] as Case),
    ...[1, 3].map(
      (version) => [`a recipient of version ${version}`, RECIPIENT_VERSION, integer(version)] as Case,
    ),
    ...[0, 7, 9, 31, 33].map((length) => [`a key ID of ${length} octets`, KEY_ID, octets(length)] as Case),
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

  // On each of these, libraries abort.
  test('a footer without the KDF that its key is derived by; and a KDF without a footer', () => {
    const without = (position: number) => (header: DerNode) => {
      (header.content as DerNode[]).splice(position, 1);
    };
    for (const position of [2, 3]) {
      for (const legacy of [false, true]) {
        expect(refusalOf(without(position), authEncrypt(), legacy)).toBe(NOT_AN_ENVELOPE);
      }
    }
  });

  test('more plaintext announced than leaves room for a signature behind it', () => {
    const { rest } = takeApart(authEncrypt());
    const announce = (size: number) =>
      refusalOf(put(DATA_SIZE, leaf(0x02, size.toString(16).padStart(4, '0'))));
    const [tag, signature] = [16, 64];
    expect(announce(rest.length - tag - signature - tag)).toBeUndefined();
    expect(announce(rest.length - tag - signature - tag + 1)).toBe('ciphertext cut short');
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
  /** Which values may be changed so. */
  function accepted(envelope: Uint8Array, legacy: boolean): Record<string, string[]> {
    const { root, rest } = takeApart(envelope);
    expect(Buffer.concat([putTogether(root), rest]).equals(envelope)).toBe(true);
    const isAccepted = (apply: (typeof CHANGES)[string]) => (path: number[]) => {
      const header = takeApart(envelope).root;
      change(header, path, apply);
      const changed = Buffer.concat([putTogether(header), rest]);
      return !changed.equals(envelope) && refusal(changed, legacy) === undefined;
    };
    return Object.fromEntries(
      Object.entries(CHANGES).map(([name, apply]) => [
        name,
        paths(root)
          .filter(isAccepted(apply))
          .map((path) => path.join('.')),
      ]),
    );
  }

  const recipient = RECIPIENTS.concat(0).join('.');
  const harmless = {
    ...Object.fromEntries(Object.keys(CHANGES).map((name) => [name, [] as string[]])),
    twice: [recipient],
    // The NULL of old libraries, as the parameters of Ed25519.
    'NULL behind it': [`${recipient}.2.0`],
    more: [`${recipient}.2`],
  };

  test('authEncrypt(), but that the padding may be missing', () => {
    expect(accepted(authEncrypt(), false)).toEqual({ ...harmless, missing: ['4'] });
  });

  test('the deprecated encrypt(), but that the custom parameters may be missing, or the signer ID of them', () => {
    const envelope = crypto.signThenEncrypt('hello', alice.privateKey, crypto.generateKeys().publicKey);
    expect(accepted(envelope, true)).toEqual({ ...harmless, missing: ['2', '2.0.0'] });
  });
});
