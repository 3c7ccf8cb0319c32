import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClassPolicy } from '../../../cloud/policy';
import { columnOf, readPolicy, wrongTypes } from '../../../scripts/project/policy';

const folder = mkdtempSync(join(tmpdir(), 'e2ee-policy-'));
afterAll(() => rmSync(folder, { recursive: true }));

const virgil = { tokenTtlSeconds: 1200 };
const classPolicy = { encrypted: ['body'], plain: ['senderId'], sender: 'senderId' };

function read(policy: unknown) {
  const file = join(folder, 'back4app.json');
  writeFileSync(file, typeof policy === 'string' ? policy : JSON.stringify(policy));
  return readPolicy(file);
}

test("the project's own is valid", () => {
  expect(Object.keys(readPolicy('back4app.json').classes)).toEqual(['Message', 'ChatThread']);
});

test('defaults are filled in', () => {
  expect(read({ virgil, classes: { Message: classPolicy } })).toMatchObject({
    virgil: { guardUserIds: false },
  });
  expect(read({ virgil, classes: { Message: classPolicy } }).classes.Message).toEqual({
    ...classPolicy,
    mode: 'enforce',
    types: {},
    maxPayloadBytes: 262_144,
    maxPlainBytes: 256,
    allowLegacyEncrypt: false,
  });
});

test('plain fields may have types, of which a sender has one of two', () => {
  const plain = { from: 'Pointer<_User>', sentAt: 'Date', room: 'String', order: 'Number', seen: 'Boolean' };
  const { Message } = read({
    virgil,
    classes: { Message: { encrypted: ['body'], plain, sender: 'from' } },
  }).classes;
  expect(Message).toMatchObject({ plain: Object.keys(plain), types: plain, sender: 'from' });
});

test('files: nothing without `files`, and defaults with it', () => {
  const photo = { encrypted: [], plain: [], files: ['photo'] };
  expect(read({ virgil, classes: {} }).files).toBeUndefined();
  const policy = read({ virgil, files: {}, classes: { Photo: photo } });
  expect(policy.files).toEqual({ plain: [], maxBytes: 20_971_520, allowLegacyEncrypt: false });
  expect(policy.classes.Photo?.files).toEqual(['photo']);
  expect(columnOf(policy.classes.Photo as ClassPolicy, 'photo')).toEqual({ type: 'File' });
  const wrong = wrongTypes(policy.classes.Photo as ClassPolicy, { photo: { type: 'String' } });
  expect(wrong).toEqual(['photo is of type String, and must be File']);
  expect(wrongTypes(policy.classes.Photo as ClassPolicy, { photo: { type: 'File' } })).toEqual([]);
});

test.each(['', 'e', 'e2ee', 'e2ee-', 'e2ee-0', 'e2ee.', 'e2ee.bin', '/avatar', '-avatar', 5])(
  'no file is plain whose name begins %j: an encrypted one would be, or none',
  (prefix) => {
    expect(() => read({ virgil, files: { plain: ['avatar-', prefix] }, classes: {} })).toThrow(
      'files.plain.1: ',
    );
  },
);

test.each(['avatar-', 'E2EE-', 'e2e-', 'e2ee_', 'pub lic.', '0'])(
  'files may be plain whose names begin %j',
  (prefix) => {
    expect(read({ virgil, files: { plain: [prefix] }, classes: {} }).files?.plain).toEqual([prefix]);
  },
);

test('recipients are those of the ACL, or whom plain fields name; a group is named by a plain field', () => {
  const plain = { senderId: 'String', to: 'Pointer<_User>', room: 'String' };
  for (const options of [
    { recipients: 'acl' },
    { recipients: ['senderId', 'to'], recipientsOutage: 'refuse' },
    { recipients: 'acl', recipientsOutage: 'accept', group: 'room' },
    { group: 'room' },
  ]) {
    const { Message } = read({ virgil, classes: { Message: { ...classPolicy, plain, ...options } } }).classes;
    expect(Message).toMatchObject(options);
  }
});

test('without `nexmo`, its tokens live for 15 minutes and open what a chat needs, as in the project’s own', () => {
  expect(read({ virgil, classes: {} }).nexmo).toEqual(readPolicy('back4app.json').nexmo);
});

test.each<[path: string, policy: unknown]>([
  ['virgil.tokenTtlSeconds', { virgil: { tokenTtlSeconds: 59 }, classes: {} }],
  ['virgil.tokenTtlSeconds', { virgil: { tokenTtlSeconds: 86_401 }, classes: {} }],
  ['virgil.tokenTtlSeconds', { virgil: { tokenTtlSeconds: '1200' }, classes: {} }],
  ['virgil', { classes: {} }],
  ['classes', { virgil }],
  ['nexmo.tokenTtlSeconds', { virgil, nexmo: { tokenTtlSeconds: 1, acl: {} }, classes: {} }],
  ['nexmo.acl', { virgil, nexmo: { tokenTtlSeconds: 900, acl: 'all' }, classes: {} }],
  ['nexmo.acl', { virgil, nexmo: { tokenTtlSeconds: 900 }, classes: {} }],
  [
    'nexmo.acl.users/**: not a path',
    { virgil, nexmo: { tokenTtlSeconds: 900, acl: { 'users/**': {} } }, classes: {} },
  ],
  [
    "nexmo.acl./**: the server's own rights",
    { virgil, nexmo: { tokenTtlSeconds: 900, acl: { '/**': {} } }, classes: {} },
  ],
  ['classes._User: not the name of a class of yours', { virgil, classes: { _User: classPolicy } }],
  [
    'classes.VirgilErasure: the server keeps its orders of erasures there',
    { virgil, classes: { VirgilErasure: classPolicy } },
  ],
  ['classes.Message.encrypted', { virgil, classes: { Message: { plain: [] } } }],
  ['classes.Message.encrypted.0', { virgil, classes: { Message: { ...classPolicy, encrypted: ['bo dy'] } } }],
  ['classes.Message.plain.0', { virgil, classes: { Message: { ...classPolicy, plain: ['ACL'] } } }],
  ['classes.Message.sender', { virgil, classes: { Message: { ...classPolicy, sender: 'author' } } }],
  ...['Array', 'File', 'Pointer', 'Pointer<_User', 'date', 5].map(
    (type) =>
      [
        'classes.Message.plain.senderId: ',
        { virgil, classes: { Message: { ...classPolicy, plain: { senderId: type } } } },
      ] as [string, unknown],
  ),
  ['classes.Message.plain', { virgil, classes: { Message: { ...classPolicy, plain: { ACL: 'String' } } } }],
  ['classes.Message.plain', { virgil, classes: { Message: { ...classPolicy, plain: 'senderId' } } }],
  ...['Date', 'Pointer<Author>'].map(
    (type) =>
      [
        'classes.Message.sender: must be of type String or Pointer<_User>',
        { virgil, classes: { Message: { ...classPolicy, plain: { senderId: type } } } },
      ] as [string, unknown],
  ),
  ...[
    ['recipients: must be "acl" or a list of plain fields', { recipients: 'ACL' }],
    ['recipients: Too small', { recipients: [] }],
    ['recipients.0: must be one of the plain fields', { recipients: ['body'] }],
    ['recipients.1: must be of type String or Pointer<_User>', { recipients: ['senderId', 'sentAt'] }],
    ['recipientsOutage: ', { recipients: 'acl', recipientsOutage: 'ignore' }],
    ['recipientsOutage: is of no use without recipients', { recipientsOutage: 'refuse' }],
    ['group: must be one of the plain fields', { group: 'threadId' }],
    ['group: must be of type String', { group: 'sentAt' }],
  ].map(([fault, options]) => {
    const plain = { senderId: 'String', sentAt: 'Date' };
    const Message = { ...classPolicy, plain, ...(options as object) };
    return [`classes.Message.${fault}`, { virgil, classes: { Message } }] as [string, unknown];
  }),
  ['classes.Message.mode', { virgil, classes: { Message: { ...classPolicy, mode: 'off' } } }],
  ['virgil.guardUserIds', { virgil: { ...virgil, guardUserIds: 'yes' }, classes: {} }],
  [
    'names the field body twice',
    { virgil, classes: { Message: { ...classPolicy, plain: ['senderId', 'body'] } } },
  ],
  [
    'classes.Message.maxPayloadBytes',
    { virgil, classes: { Message: { ...classPolicy, maxPayloadBytes: 0 } } },
  ],
  ['classes.Message.files', { virgil, files: {}, classes: { Message: { ...classPolicy, files: ['ACL'] } } }],
  [
    'classes.Message.files: needs the policy of uploads beside it: "files": {}',
    { virgil, classes: { Message: { ...classPolicy, files: ['photo'] } } },
  ],
  [
    'names the field body twice',
    { virgil, files: {}, classes: { Message: { ...classPolicy, files: ['body'] } } },
  ],
  ['files.maxBytes', { virgil, files: { maxBytes: 0 }, classes: {} }],
  ['files.allowLegacyEncrypt', { virgil, files: { allowLegacyEncrypt: 1 }, classes: {} }],
  ['files', { virgil, files: ['avatar-'], classes: {} }],
  [
    'allowLegacyEncryption',
    { virgil, classes: { Message: { ...classPolicy, allowLegacyEncryption: true } } },
  ],
])('a bad value is refused with its path: %s', (path, policy) => {
  expect(() => read(policy)).toThrow(path);
});

test('a file that is missing or no JSON is refused by name', () => {
  expect(() => readPolicy(join(folder, 'none.json'))).toThrow(
    'none.json is not there: npx --no -- back4app-e2ee init makes it.',
  );
  expect(() => read('{ "virgil": ')).toThrow('back4app.json cannot be read');
});
