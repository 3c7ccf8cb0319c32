import { randomBytes } from 'node:crypto';
import { EnvelopeError } from '../../../cloud/envelope/envelope-error';
import { readGroupMessage } from '../../../cloud/envelope/group-message';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

// A writer of protobuf, to write what none should.
const octet = (value: number) => Buffer.from([value]);
function varint(value: number): Buffer {
  const octets: number[] = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) octets.push((value % 128) | 0x80);
  return Buffer.from([...octets, value]);
}
const varintField = (number: number, value: number | Buffer) =>
  Buffer.concat([octet(number << 3), typeof value === 'number' ? varint(value) : value]);
const bytesField = (number: number, ...content: Uint8Array[]) => {
  const joined = Buffer.concat(content);
  return Buffer.concat([octet((number << 3) | 2), varint(joined.length), joined]);
};

/** The fields of a group message, in order: each may be replaced, doubled, or left out. */
const fields = {
  version: [varintField(1, 0)],
  sessionId: [bytesField(1, randomBytes(32))],
  epoch: [varintField(2, 0)],
  salt: [bytesField(3, randomBytes(32))],
  signature: [bytesField(2, randomBytes(64))],
  ciphertext: [bytesField(3, randomBytes(16))],
};
function groupMessage(changed: Partial<typeof fields> = {}): Buffer {
  const { version, sessionId, epoch, salt, signature, ciphertext } = { ...fields, ...changed };
  const header = bytesField(1, ...sessionId, ...epoch, ...salt);
  return Buffer.concat([...version, bytesField(3, header, ...signature, ...ciphertext)]);
}

const NOT_AN_ENVELOPE = new EnvelopeError('not an E3Kit envelope');
const unknown = bytesField(5, Buffer.from('hello'));

test('tells the session, and where the ciphertext starts', () => {
  const sessionId = randomBytes(32);
  const ciphertext = randomBytes(300);
  const bytes = groupMessage({
    sessionId: [bytesField(1, sessionId)],
    ciphertext: [bytesField(3, ciphertext)],
  });
  const message = readGroupMessage(bytes);
  expect(message.kind).toBe('group message');
  expect(sessionId.equals(message.sessionId)).toBe(true);
  expect(bytes.subarray(message.ciphertextOffset)).toEqual(ciphertext);
});

test.each([0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 - 1])('accepts epoch %i', (epoch) => {
  expect(() => readGroupMessage(groupMessage({ epoch: [varintField(2, epoch)] }))).not.toThrow();
});

test.each([
  ['an epoch of more than 32 bits', { epoch: [varintField(2, 2 ** 32)] }],
  ['an epoch of six octets', { epoch: [varintField(2, Buffer.from('808080808001', 'hex'))] }],
  ['a number not in its shortest form', { epoch: [varintField(2, Buffer.from('8000', 'hex'))] }],
  ['another version', { version: [varintField(1, 1)] }],
  ['no version', { version: [] }],
  ['the version twice', { version: [varintField(1, 0), varintField(1, 0)] }],
  ['the version as bytes', { version: [bytesField(1)] }],
  ['a session ID too short', { sessionId: [bytesField(1, randomBytes(31))] }],
  ['a session ID too long', { sessionId: [bytesField(1, randomBytes(33))] }],
  ['a salt too short', { salt: [bytesField(3, randomBytes(31))] }],
  ['a salt too long', { salt: [bytesField(3, randomBytes(33))] }],
  ['a signature too short', { signature: [bytesField(2, randomBytes(63))] }],
  ['a signature too long', { signature: [bytesField(2, randomBytes(65))] }],
  ['a ciphertext shorter than a tag', { ciphertext: [bytesField(3, randomBytes(15))] }],
  ['a field behind the version', { version: [varintField(1, 0), unknown] }],
  ['a field in the header', { salt: [...fields.salt, unknown] }],
  ['a field behind the ciphertext', { ciphertext: [...fields.ciphertext, unknown] }],
])('refuses %s', (_name, changed) => {
  expect(() => readGroupMessage(groupMessage(changed))).toThrow(NOT_AN_ENVELOPE);
});

test.each(Object.keys(fields) as (keyof typeof fields)[])(
  'refuses a message without %s, and one with it twice',
  (name) => {
    expect(() => readGroupMessage(groupMessage({ [name]: [] }))).toThrow(NOT_AN_ENVELOPE);
    expect(() => readGroupMessage(groupMessage({ [name]: [...fields[name], ...fields[name]] }))).toThrow(
      NOT_AN_ENVELOPE,
    );
  },
);

test('refuses fields in another order', () => {
  const { signature, ciphertext, sessionId, epoch } = fields;
  expect(() => readGroupMessage(groupMessage({ signature: ciphertext, ciphertext: signature }))).toThrow(
    NOT_AN_ENVELOPE,
  );
  expect(() => readGroupMessage(groupMessage({ sessionId: epoch, epoch: sessionId }))).toThrow(
    NOT_AN_ENVELOPE,
  );
});

test('refuses a field behind the message', () => {
  expect(() => readGroupMessage(Buffer.concat([groupMessage(), unknown]))).toThrow(NOT_AN_ENVELOPE);
});

test('refuses a message cut off anywhere, and one whose lengths say more than there is', () => {
  const bytes = groupMessage();
  for (let length = 0; length < bytes.length; length++) {
    expect(() => readGroupMessage(bytes.subarray(0, length))).toThrow(NOT_AN_ENVELOPE);
  }
  // Version and regular info are each right for themselves; a length inside reaches one octet too far.
  const longer = Buffer.from(bytes);
  const ciphertextLength = bytes.length - 17;
  longer[ciphertextLength] = 17;
  expect(() => readGroupMessage(longer)).toThrow(NOT_AN_ENVELOPE);
});

test('names a group ticket, which is no message', () => {
  const ticket = Buffer.concat([...fields.version, bytesField(2, randomBytes(32))]);
  expect(() => readGroupMessage(ticket)).toThrow(
    new EnvelopeError('a group ticket, which holds the key of the group'),
  );
});

test('real messages, of every epoch that a group has had', async () => {
  const crypto = await loadVirgilCrypto();
  const { privateKey } = crypto.generateKeys();
  const group = crypto.generateGroupSession('a group of three, or more');
  for (let epoch = 0; epoch < 3; epoch++) {
    expect(Buffer.from(readGroupMessage(group.encrypt('hello', privateKey)).sessionId).toString('hex')).toBe(
      group.getSessionId(),
    );
    group.addNewEpoch();
  }
});
