import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { KeyPairType, type VirgilCrypto, type VirgilPublicKey } from 'virgil-crypto';
import { EnvelopeError } from '../../../cloud/envelope/envelope-error';
import { GCM_TAG_BYTES } from '../../../cloud/envelope/message-envelope';
import { recogniseEnvelope } from '../../../cloud/envelope/recognise-envelope';
import { at, type DerNode, putTogether, takeApart } from '../../support/der-tree';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

fc.configureGlobal({ seed: 20_261_122 });

const strict = { allowLegacyEncrypt: false };
const legacy = { allowLegacyEncrypt: true };
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const text = (length: number) =>
  'The quick brown fox jumps over it. '.repeat(Math.ceil(length / 35)).slice(0, length);

/** The reason for which a payload is refused; undefined where it is accepted. */
function refusal(payload: string | Uint8Array, options = strict): string | undefined {
  try {
    recogniseEnvelope(payload, options);
    return undefined;
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error;
    return error.message;
  }
}

let crypto: VirgilCrypto;
let alice: ReturnType<VirgilCrypto['generateKeys']>;
let bob: ReturnType<VirgilCrypto['generateKeys']>;

/** What is behind the header of an empty message, at least: a tag, a signature, and its tag. */
const LEAST_BYTES = 16 + 64 + 16;

/** The header of an envelope whose plaintext is empty: it demands the least ciphertext. */
const emptyHeader = () => {
  const bytes = Buffer.from(crypto.signAndEncrypt('', alice.privateKey, bob.publicKey));
  return bytes.subarray(0, recogniseEnvelope(base64(bytes), strict).ciphertextOffset);
};

/** What E3Kit's `authEncrypt` makes: signed inside, padded. */
const authEncrypt = (message: string, recipients: VirgilPublicKey[] = [alice.publicKey, bob.publicKey]) =>
  crypto.signAndEncrypt(message, alice.privateKey, recipients, true);

const groupId = 'a group of three, or more';

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  alice = crypto.generateKeys();
  bob = crypto.generateKeys();
});

describe('accepts what E3Kit makes', () => {
  test('authEncrypt: recipients by key ID, signed inside', () => {
    const envelope = recogniseEnvelope(base64(authEncrypt('hello')), strict);
    if (envelope.kind !== 'message') throw new Error('not a message');
    expect(envelope.signedInside).toBe(true);
    const keyIds = [alice, bob].map(({ publicKey }) => base64(publicKey.identifier));
    expect(envelope.recipients.map(base64).sort()).toEqual(keyIds.sort());
  });

  // Making a longer RSA key takes many seconds, and its envelopes differ in length only.
  const keyTypes = Object.values(KeyPairType).filter((type) => !/^RSA_[348]/.test(type));

  test.each(keyTypes)('key type %s, padded and not', (type) => {
    const { publicKey, privateKey } = crypto.generateKeys(type);
    const signer = type === KeyPairType.CURVE25519 ? alice.privateKey : privateKey; // X25519 cannot sign
    for (const padded of [true, false]) {
      expect(refusal(base64(crypto.signAndEncrypt('hello', signer, publicKey, padded)))).toBeUndefined();
    }
  });

  test('a hundred recipients', () => {
    const recipients = Array.from({ length: 100 }, () => crypto.generateKeys().publicKey);
    const envelope = recogniseEnvelope(base64(authEncrypt('hello', recipients)), strict);
    expect(envelope.kind === 'message' && envelope.recipients).toHaveLength(100);
  });

  test('the 32-byte key IDs of old libraries', async () => {
    const { VirgilCrypto: Crypto } = await import('virgil-crypto');
    const old = new Crypto({ useSha256Identifiers: true });
    const { publicKey, privateKey } = old.generateKeys();
    const envelope = recogniseEnvelope(base64(old.signAndEncrypt('hello', privateKey, publicKey)), strict);
    expect(envelope.kind === 'message' && envelope.recipients.map(({ length }) => length)).toEqual([32]);
  });

  test('a group message', () => {
    const group = crypto.generateGroupSession(groupId);
    const message = group.encrypt('hello', alice.privateKey);
    const envelope = recogniseEnvelope(base64(message), strict);
    expect(envelope.kind === 'group message' && Buffer.from(envelope.sessionId).toString('hex')).toBe(
      group.getSessionId(),
    );
  });

  test('an empty message', () => {
    expect(refusal(base64(authEncrypt('')))).toBeUndefined();
    expect(refusal(base64(crypto.signAndEncrypt('', alice.privateKey, bob.publicKey)))).toBeUndefined();
  });

  test('every envelope that virgil-crypto makes of a random message for random recipients', () => {
    const keys = Array.from({ length: 8 }, () => crypto.generateKeys().publicKey);
    fc.assert(
      fc.property(
        fc.string(),
        fc.subarray(keys, { minLength: 1 }),
        fc.boolean(),
        (message, recipients, padded) => {
          const envelope = crypto.signAndEncrypt(message, alice.privateKey, recipients, padded);
          return refusal(base64(envelope)) === undefined;
        },
      ),
    );
  });
});

describe('the bytes of a file', () => {
  const photo = randomBytes(100_000);
  const file = (padded: boolean) =>
    Buffer.from(crypto.signAndEncrypt(photo, alice.privateKey, bob.publicKey, padded));

  test.each([true, false])('are recognised as their base64 is; padded: %s', (padded) => {
    const bytes = file(padded);
    const { ciphertextOffset, kind } = recogniseEnvelope(bytes, strict);
    expect({ ciphertextOffset, kind }).toEqual({
      ciphertextOffset: recogniseEnvelope(base64(bytes), strict).ciphertextOffset,
      kind: 'message',
    });
  });

  test('may be what a stream was made of, and the bytes of a group message', () => {
    const stream = crypto.createStreamSignAndEncrypt(
      alice.privateKey,
      [alice.publicKey, bob.publicKey],
      true,
    );
    const parts = [stream.start(photo.length), stream.update(photo), stream.final()];
    expect(refusal(Buffer.concat(parts))).toBeUndefined();
    const group = crypto.generateGroupSession(groupId);
    expect(
      refusal(Buffer.from(group.encrypt(base64(photo).slice(0, 900), alice.privateKey))),
    ).toBeUndefined();
  });

  test('that encryptFile() makes are refused by name, and accepted where the policy allows it', () => {
    const cipher = crypto.createStreamCipher(
      bob.publicKey,
      crypto.calculateSignature(photo, alice.privateKey),
    );
    const bytes = Buffer.concat([cipher.start(), cipher.update(photo), cipher.final()]);
    expect(refusal(bytes)).toBe('made by the deprecated encrypt()');
    expect(refusal(bytes, legacy)).toBeUndefined();
  });

  test('are refused where they are no envelope: other kinds of files, and text', () => {
    const of = (hex: string) => Buffer.concat([Buffer.from(hex, 'hex'), photo]);
    const files = {
      empty: Buffer.alloc(0),
      'one byte': Buffer.from([0x30]),
      PNG: of('89504e470d0a1a0a'),
      JPEG: of('ffd8ffe000104a464946'),
      PDF: of('255044462d312e370a'),
      ZIP: of('504b0304'),
      Ogg: of('4f67675300020000'),
      'a certificate (DER)': of('30820122300d06092a864886f70d010101'),
      'text in base64': Buffer.from(base64(file(true))),
      text: Buffer.from(text(5000)),
    };
    for (const [name, bytes] of Object.entries(files)) {
      expect([name, refusal(bytes)]).toEqual([name, 'not an E3Kit envelope']);
    }
  });

  test('are refused with a real header and text behind it, or fewer bytes than it announces', () => {
    const bytes = file(false);
    const { ciphertextOffset } = recogniseEnvelope(bytes, strict);
    const header = bytes.subarray(0, ciphertextOffset);
    const page = Buffer.from(text(bytes.length - ciphertextOffset));
    expect(refusal(Buffer.concat([header, page]))).toBe('readable text in disguise');
    expect(refusal(bytes.subarray(0, 1000))).toBe('ciphertext cut short');
    const jpeg = Buffer.concat([header, Buffer.from('ffd8ffe1', 'hex'), photo, Buffer.from(text(48)), photo]);
    expect(refusal(jpeg)).toBe('readable text in disguise');
  });

  test('whatever they are, are recognised or refused, and nothing else is thrown', () => {
    const start = fc.constantFrom(
      Buffer.alloc(0),
      Buffer.from([0x30]),
      Buffer.from([8, 0]),
      Buffer.from([8, 2]),
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (first, rest) => {
        expect(refusal(Buffer.concat([first, rest]))).toBeDefined();
      }),
    );
  });
});

describe('an envelope that is not signed inside, which authDecrypt() cannot read', () => {
  test.each([true, false])('is refused by a reason that names authEncrypt(); padded: %s', (padded) => {
    const payload = base64(crypto.encrypt('hello', [alice.publicKey, bob.publicKey], padded));
    expect(refusal(payload)).toBe('not signed inside, which authEncrypt() does');
    expect(refusal(payload, legacy)).toBeUndefined();
  });

  test('is refused with footer information that names no signature, which no SDK writes', () => {
    const { root, rest } = takeApart(authEncrypt('hello'));
    (at(root, 3, 0).content as DerNode[]).pop();
    const payload = base64(Buffer.concat([putTogether(root), rest]));
    for (const options of [strict, legacy]) expect(refusal(payload, options)).toBe('not an E3Kit envelope');
  });
});

describe('the deprecated encrypt()', () => {
  const encrypt = () => crypto.signThenEncrypt('hello', alice.privateKey, bob.publicKey);

  test('is refused by name', () => {
    expect(refusal(base64(encrypt()))).toBe('made by the deprecated encrypt()');
  });

  test.each([KeyPairType.ED25519, KeyPairType.SECP256R1, KeyPairType.CURVE25519_ROUND5_ED25519_FALCON])(
    'is accepted where the policy allows it: %s',
    (type) => {
      const { privateKey } = crypto.generateKeys(type);
      expect(
        refusal(base64(crypto.signThenEncrypt('hello', privateKey, bob.publicKey)), legacy),
      ).toBeUndefined();
    },
  );

  test('is no licence for other custom parameters, or for other values in its own', () => {
    const bytes = Buffer.from(encrypt());
    const renamed = Buffer.from(bytes);
    renamed.write('VIRGIL-DATA-SIGNATURX', bytes.indexOf('VIRGIL-DATA-SIGNATURE'));
    expect(refusal(base64(renamed), legacy)).toBe('custom parameters, which anyone can read');
    const twice = Buffer.from(bytes);
    twice.write('VIRGIL-DATA-SIGNER-ID', bytes.indexOf('VIRGIL-DATA-SIGNATURE'));
    expect(refusal(base64(twice), legacy)).toBe('custom parameters, which anyone can read');
    const written = Buffer.from(bytes);
    written.write(text(80), bytes.indexOf('VIRGIL-DATA-SIGNATURE') + 25);
    expect(refusal(base64(written), legacy)).toBe('not an E3Kit envelope');
  });
});

describe('refuses what is not ciphertext', () => {
  test.each([
    ['nothing', '', 'not base64'],
    ['plain text', 'Hello, Bob!', 'not base64'],
    ['plain text that starts like an envelope', 'MIICv, that is what I said', 'not base64'],
    ['JSON', '{"text":"hello"}', 'not base64'],
    ['base64 of plain text', base64(Buffer.from(text(300))), 'not an E3Kit envelope'],
    [
      'base64 of text that starts like an envelope',
      base64(Buffer.from(`0${text(300)}`)),
      'not an E3Kit envelope',
    ],
    ['random base64', base64(Buffer.alloc(300, 7)), 'not an E3Kit envelope'],
    ['a PGP message', '-----BEGIN PGP MESSAGE-----\n\nhQEMA7c=\n-----END PGP MESSAGE-----', 'not base64'],
    [
      'base64 of a PGP packet',
      base64(Buffer.from(`85010c03${'5a'.repeat(260)}`, 'hex')),
      'not an E3Kit envelope',
    ],
    ['base64 with nothing behind it', 'QUJD', 'not an E3Kit envelope'],
    ['base64 with one padding character', 'QUI=', 'not an E3Kit envelope'],
    ['base64 with two', 'QQ==', 'not an E3Kit envelope'],
    ['base64 with three', 'Q===', 'not base64'],
    ['64 characters of base64, and then text', `${'Q'.repeat(64)} hello`, 'not an E3Kit envelope'],
    ['63 characters of base64, and then text', `${'Q'.repeat(63)} hello`, 'not base64'],
    ['64 characters of another kind', '"'.repeat(64), 'not base64'],
    ['a JWE', 'eyJhbGciOiJSU0EtT0FFUCJ9.OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKo', 'not base64'],
  ])('%s', (_name, payload, reason) => {
    expect(refusal(payload)).toBe(reason);
  });

  test('base64 that is not canonical: URL-safe, unpadded, broken into lines, with loose bits', () => {
    const payload = base64(Buffer.from(authEncrypt('x'.repeat(600))));
    const unpadded = ['x', 'xx', 'xxx']
      .map((message) => base64(crypto.signAndEncrypt(message, alice.privateKey, bob.publicKey)))
      .find((candidate) => candidate.endsWith('=')) as string;
    for (const forged of [
      payload.replace(/\+/g, '-').replace(/\//g, '_'),
      `${payload.slice(0, 76)}\n${payload.slice(76)}`,
      ` ${payload}`,
      `${payload}\n`,
      `${payload}hello`,
      unpadded.replace(/=+$/, ''),
      looseBits(unpadded),
    ]) {
      expect(refusal(forged)).toBe('not base64');
    }
  });

  test('an envelope cut off in its header', () => {
    const bytes = Buffer.from(authEncrypt('hello'));
    const { ciphertextOffset } = recogniseEnvelope(base64(bytes), strict);
    for (let length = 0; length < ciphertextOffset; length++) {
      expect(refusal(base64(bytes.subarray(0, length)))).toBeDefined();
    }
  });

  test('an envelope with less ciphertext than its plaintext needs', () => {
    const bytes = Buffer.from(crypto.signAndEncrypt(text(1000), alice.privateKey, bob.publicKey));
    const { ciphertextOffset } = recogniseEnvelope(base64(bytes), strict);
    for (const ciphertextBytes of [0, 1, 15, 16, 20, 500, 1000, 1015]) {
      const payload = base64(bytes.subarray(0, ciphertextOffset + ciphertextBytes));
      expect(refusal(payload)).toBe('ciphertext cut short');
      expect(refusal(payload, legacy)).toBe('ciphertext cut short');
    }
    const unsigned = Buffer.from(crypto.encrypt('', bob.publicKey)); // the tag alone, and no word of a size
    expect(refusal(base64(unsigned), legacy)).toBeUndefined();
    expect(refusal(base64(unsigned.subarray(0, -1)), legacy)).toBe('ciphertext cut short');
  });

  test('no recipients', () => {
    const { root, rest } = takeApart(authEncrypt('hello'));
    at(root, 1, 1, 0, 1).content = [];
    expect(refusal(base64(Buffer.concat([putTogether(root), rest])))).toBe('no recipients');
  });

  test.each([16, 31, 32, 200, 5000])('an envelope header glued onto %i bytes of text', (length) => {
    const unsigned = Buffer.from(crypto.encrypt('', bob.publicKey)).subarray(0, -GCM_TAG_BYTES);
    for (const disguise of [
      Buffer.from(text(length)),
      Buffer.from(`${text(length - 2)}\r\n`),
      Buffer.from(text(length), 'utf16le'),
      Buffer.from(text(length), 'utf16le').swap16(),
    ]) {
      expect(refusal(base64(Buffer.concat([unsigned, disguise])), legacy)).toBe('readable text in disguise');
      expect(refusal(base64(Buffer.concat([emptyHeader(), disguise])))).toBe(
        disguise.length < LEAST_BYTES ? 'ciphertext cut short' : 'readable text in disguise',
      );
    }
  });

  test('text hidden among random bytes, at any offset', () => {
    const header = emptyHeader();
    for (const hidden of [Buffer.from(text(32)), Buffer.from(text(16), 'utf16le')]) {
      for (let before = 0; before < 70; before++) {
        const disguise = [header, Buffer.alloc(before, 0xee), hidden, Buffer.alloc(70, 0xee)];
        expect(refusal(base64(Buffer.concat(disguise)))).toBe('readable text in disguise');
      }
    }
  });

  /** An envelope with these bytes in the place of the MAC, which is as random as what is encrypted. */
  function withMac(mac: Buffer): string {
    const { root, rest } = takeApart(authEncrypt('hello', [bob.publicKey]));
    const encryptedKey = at(root, 1, 1, 0, 1, 0, 3);
    const { root: ecies } = takeApart(encryptedKey.content as Buffer);
    at(ecies, 3, 1).content = mac;
    encryptedKey.content = putTogether(ecies);
    return base64(Buffer.concat([putTogether(root), rest]));
  }

  test('text in an encrypted key', () => {
    expect(refusal(withMac(randomBytes(48)))).toBeUndefined();
    expect(refusal(withMac(Buffer.from(text(48))))).toBe('readable text in disguise');
  });

  test('text in another script, behind a header or in an encrypted key', () => {
    const russian = Buffer.from('Съешь же ещё этих мягких французских булок, да выпей чаю.');
    const disguised = Buffer.concat([emptyHeader(), randomBytes(20), russian, randomBytes(30)]);
    expect(refusal(base64(disguised))).toBe('readable text in disguise');
    const { publicKey } = crypto.generateKeys(KeyPairType.RSA_2048);
    const bytes = Buffer.from(authEncrypt('hello', [publicKey]));
    bytes.set(russian, bytes.indexOf(publicKey.identifier) + 60);
    expect(refusal(base64(bytes))).toBe('readable text in disguise');
  });

  test('a group ticket in place of a group message, whole or beside one', () => {
    const group = crypto.generateGroupSession(groupId);
    const reason = 'a group ticket, which holds the key of the group';
    const [ticket] = group.export() as [Buffer];
    expect(refusal(base64(ticket))).toBe(reason);
    const message = Buffer.from(group.encrypt('hello', alice.privateKey));
    const both = Buffer.concat([ticket, message.subarray(2)]);
    expect(refusal(base64(both))).toBe(reason);
  });

  test('a group message with a field twice, a field more, or text for its ciphertext', () => {
    const group = crypto.generateGroupSession(groupId);
    const message = Buffer.from(group.encrypt('hello', alice.privateKey));
    const field = message.subarray(2);
    const unknown = Buffer.from([0x22, 5, ...Buffer.from('hello')]);
    expect(refusal(base64(Buffer.concat([message, field])))).toBe('not an E3Kit envelope');
    expect(refusal(base64(Buffer.concat([message, unknown])))).toBe('not an E3Kit envelope');
    expect(refusal(base64(Buffer.concat([message.subarray(0, 2), unknown, field])))).toBe(
      'not an E3Kit envelope',
    );
    const { ciphertextOffset } = recogniseEnvelope(base64(message), strict);
    const disguised = Buffer.from(message);
    disguised.write(text(message.length - ciphertextOffset), ciphertextOffset);
    expect(refusal(base64(disguised))).toBe('readable text in disguise');
  });

  test('a header with any bit of its structure flipped', () => {
    const bytes = Buffer.from(crypto.signAndEncrypt('hello', alice.privateKey, bob.publicKey));
    const { ciphertextOffset } = recogniseEnvelope(base64(bytes), strict);
    const keyId = bytes.indexOf(bob.publicKey.identifier);
    const encryptedKey = bytes.indexOf(Buffer.from('0481e2', 'hex')) + 3;
    const nonce = bytes.indexOf(Buffer.from('2e040c', 'hex')) + 3;
    // Random bytes may be any bytes.
    const within = (i: number, start: number, length: number) => i >= start && i < start + length;
    const isFree = (i: number) =>
      within(i, keyId, 8) ||
      within(i, encryptedKey + 18, 32) || // the ephemeral key
      within(i, encryptedKey + 95, 48) || // the MAC
      within(i, encryptedKey + 160, 16) || // the nonce of CBC
      within(i, encryptedKey + 178, 48) || // what is encrypted
      within(i, nonce, 12);
    const harmless: string[] = [];
    for (let i = 0; i < ciphertextOffset; i++) {
      if (isFree(i)) continue;
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Buffer.from(bytes);
        flipped[i] = (flipped[i] as number) ^ (1 << bit);
        if (refusal(base64(flipped)) === undefined) harmless.push(`${i}:${bytes[i]}^${1 << bit}`);
      }
    }
    expect(harmless).toEqual([
      ...['6:2^1', '6:2^2'], // the version: 0 to 3
      `${keyId - 5}:2^2`, // a recipient's: 0 or 2
      `${ciphertextOffset - 33}:30^2`, // the hash of the KDF
      ...[1, 2, 4, 8, 16, 32].map((bit) => `${ciphertextOffset - 23}:5^${bit}`), // the size: as much as there is
      ...[`${ciphertextOffset - 3}:3^1`, `${ciphertextOffset - 3}:3^2`], // the hash of the signature
    ]);
  });

  test('every text: nothing but its own error is thrown, and no text is taken for an envelope', () => {
    const start = fc.constantFrom('', 'MII', 'MA', 'CAAa', base64(authEncryptHeader()));
    fc.assert(
      fc.property(start, fc.oneof(fc.string({ unit: 'grapheme' }), fc.base64String()), (prefix, payload) => {
        return refusal(prefix + payload) !== undefined;
      }),
      { numRuns: 2000 },
    );
  });

  test('every run of random bytes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('30', '0800', '30820110020100'),
        fc.uint8Array({ maxLength: 600 }),
        (start, tail) => {
          return refusal(base64(Buffer.concat([Buffer.from(start, 'hex'), tail]))) !== undefined;
        },
      ),
      { numRuns: 2000 },
    );
  });

  function authEncryptHeader(): Buffer {
    const bytes = Buffer.from(authEncrypt('hello'));
    return bytes.subarray(0, recogniseEnvelope(base64(bytes), strict).ciphertextOffset);
  }
});

test('what is thrown has a name and the reason', () => {
  expect(() => recogniseEnvelope('Hello, Bob!', strict)).toThrow(
    expect.objectContaining({ name: 'EnvelopeError', message: 'not base64' }),
  );
});

test('random ciphertext is never taken for text', () => {
  expect(refusal(base64(Buffer.concat([emptyHeader(), randomBytes(5_000_000)])))).toBeUndefined();
});

/** The same bytes in another spelling: the bits that padding leaves unused are not zero. */
function looseBits(payload: string): string {
  const last = payload.replace(/=+$/, '').length - 1;
  const spelling = `${payload.slice(0, last)}${String.fromCharCode(payload.charCodeAt(last) + 1)}${payload.slice(last + 1)}`;
  if (!Buffer.from(spelling, 'base64').equals(Buffer.from(payload, 'base64'))) throw new Error('other bytes');
  return spelling;
}
