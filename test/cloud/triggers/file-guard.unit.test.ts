import { randomBytes } from 'node:crypto';
import type { VirgilCrypto } from 'virgil-crypto';
import type { FilePolicy } from '../../../cloud/policy';
import { isEncryptedFile } from '../../../cloud/triggers/encrypted-file';
import { registerFileGuard } from '../../../cloud/triggers/file-guard';
import { registerGuards } from '../../../cloud/triggers/register-guards';
import { startTriggers } from '../../support/triggers';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const SECRET = 'Xylophone';
const ENCRYPTED_NAME = /^e2ee-[0-9a-f]{32}\.bin$/;
const NO_ENVELOPE =
  "142 The file is refused: not an E3Kit envelope. Encrypt it with E3Kit's authEncryptFile().";
const UNSEEN =
  "142 The file is refused: its bytes cannot be seen. Upload new Parse.File('e2ee.bin', { base64 }), no stream and no Buffer.";
const READABLE = '142 The file is refused: it has metadata, tags or a directory.';

const policy: FilePolicy = { plain: ['avatar-', 'a'], maxBytes: 10_000, allowLegacyEncrypt: false };

const server = startTriggers();
let crypto: VirgilCrypto;
let envelope: Buffer;
let warned: jest.SpyInstance;

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  const { privateKey, publicKey } = crypto.generateKeys();
  envelope = Buffer.from(crypto.signAndEncrypt('a photo', privateKey, publicKey, true));
});
beforeEach(() => {
  server.reset();
  warned = jest.spyOn(console, 'warn').mockImplementation();
  registerFileGuard(policy);
});
afterEach(() => warned.mockRestore());

/** What Parse Server makes of an upload: `_data` in base64. */
const fileOf = (bytes: Uint8Array | string, name = `${SECRET}.png`) =>
  new Parse.File(name, { base64: Buffer.from(bytes).toString('base64') }, 'image/png');
const upload = (bytes: Uint8Array | string = envelope, name?: string, how = {}) =>
  server.upload(fileOf(bytes, name), how);

type Handler = (request: { file: Parse.File; master: boolean; stream?: boolean }) => unknown;
const define = (handler: Handler, validator?: unknown) =>
  Parse.Cloud.beforeSave(Parse.File as never, handler as never, validator as never);

/** What is stored of a file: by Parse Server 9, and by older ones. */
const storedOf = (file: Parse.File) => [
  file._name,
  file._source,
  Buffer.from(file._data as string, 'base64').equals(envelope),
];
const encrypted = () => [
  expect.stringMatching(ENCRYPTED_NAME),
  { format: 'buffer', buffer: envelope, type: 'application/octet-stream' },
  true,
];

describe('an upload', () => {
  test('that is an envelope is stored under a name that tells nothing, another one each time', async () => {
    const [first, second] = [await upload(), await upload(envelope, 'e2ee.bin')] as Parse.File[];
    for (const file of [first, second]) expect(storedOf(file as Parse.File)).toEqual(encrypted());
    expect(first?.name()).not.toBe(second?.name());
    expect(server.logged()).not.toContain(SECRET);
  });

  test('that is none is refused, whoever uploads it, and nothing of it is logged', async () => {
    for (const by of [{}, { master: true }])
      expect(await upload(`${SECRET}!`, undefined, { by })).toBe(NO_ENVELOPE);
    const logged = server.logged();
    expect(logged).toContain('beforeSave failed for Parse.File');
    expect(logged).not.toContain(SECRET);
  });

  test('of as many bytes as the policy allows is stored, of one more not', async () => {
    const { privateKey, publicKey } = crypto.generateKeys();
    const make = (size: number) =>
      Buffer.from(crypto.signAndEncrypt(randomBytes(size), privateKey, publicKey));
    const overhead = make(9000).length - 9000;
    expect(typeof (await upload(make(10_000 - overhead)))).toBe('object');
    const tooLarge = "116 The file is refused: over 10000 bytes, the policy's files.maxBytes.";
    expect(await upload(make(10_001 - overhead))).toBe(tooLarge);
    expect(await upload('x'.repeat(10_001))).toBe(tooLarge);
  });

  test.each<[string, (file: Parse.File) => void]>([
    ['metadata', (file) => file.addMetadata('note', SECRET)],
    ['tags', (file) => file.addTag('note', SECRET)],
    ['a directory', (file) => Object.assign(file, { _directory: SECRET })],
  ])('with %s is refused, which anyone can read', async (_name, change) => {
    const file = fileOf(envelope);
    change(file);
    expect(await server.upload(file)).toBe(READABLE);
    expect(server.logged()).not.toContain(SECRET);
  });

  test('that is streamed is refused, with the cure', async () => {
    expect(await upload('', 'e2ee.bin', { stream: true })).toBe(UNSEEN);
  });

  test('that the policy allows in encryptFile()’s old form is stored', async () => {
    const { privateKey, publicKey } = crypto.generateKeys();
    const old = Buffer.from(crypto.signThenEncrypt('a photo', privateKey, publicKey));
    expect(await upload(old)).toMatch(/^142 .*made by the deprecated encrypt\(\)/);
    server.reset();
    registerFileGuard({ ...policy, allowLegacyEncrypt: true });
    expect(typeof (await upload(old))).toBe('object');
  });
});

describe('a file with a plain name', () => {
  test('is stored as it is, streamed too, and can be written into a row by an `afterSave`', async () => {
    for (const stream of [false, true]) {
      const file = fileOf('a picture', 'avatar-1.png');
      file.addMetadata('note', 'anything');
      expect(await server.upload(file, { stream })).toBe(file);
      expect(file.toJSON()).toMatchObject({ __type: 'File', name: 'avatar-1.png' });
      expect(file._source).toMatchObject({ format: 'base64', type: 'image/png' });
    }
  });

  test('begins so: it does not hold it elsewhere', async () => {
    for (const name of ['my-avatar-1.png', 'Avatar-1.png', '-avatar-'])
      expect(await upload('text', name)).toBe(NO_ENVELOPE);
  });

  test('is no name of an encrypted file, behind 32 digits neither', async () => {
    expect(await upload('text', `${'a'.repeat(32)}_e2ee-${'0'.repeat(32)}.bin`)).toBe(NO_ENVELOPE);
  });
});

describe("the app's own trigger", () => {
  const doors: [string, typeof define][] = [
    ['beforeSave(Parse.File)', define],
    [
      'beforeSaveFile, as Parse Server 5 and 6 have it',
      (handler, validator) => (Parse.Cloud.beforeSaveFile as (...how: unknown[]) => void)(handler, validator),
    ],
  ];

  test.each(doors)('%s runs first, and ours after it, on what it returns', async (_name, defineOwn) => {
    server.reset();
    Object.assign(Parse.Cloud, { beforeSaveFile: () => {} });
    registerFileGuard(policy);
    const names: string[] = [];
    defineOwn(({ file }) => {
      names.push(file.name());
      return new Parse.File('other.png', { base64: Buffer.from(`${SECRET}!`).toString('base64') });
    });
    expect(await upload()).toBe(NO_ENVELOPE);
    defineOwn(() => fileOf(envelope, 'other.png'));
    expect(storedOf((await upload('plain text')) as Parse.File)).toEqual(encrypted());
    defineOwn(() => fileOf('plain text', 'avatar-2.png'));
    expect(((await upload('plain text')) as Parse.File).name()).toBe('avatar-2.png');
    expect(names).toEqual([`${SECRET}.png`]);
    expect(server.logged()).not.toContain(SECRET);
    Reflect.deleteProperty(Parse.Cloud, 'beforeSaveFile');
  });

  test('is asked with the file as it was sent, and what it answers but a file counts for nothing', async () => {
    for (const answer of [undefined, null, 'a text', { file: 'none' }]) {
      define(({ file }) => {
        expect(Buffer.from(file._data as string, 'base64').equals(envelope)).toBe(true);
        return answer;
      });
      expect(storedOf((await upload()) as Parse.File)).toEqual(encrypted());
    }
  });

  test('may not say that another file was sent, by another caller, whole', async () => {
    define((request) => {
      Object.assign(request, { file: fileOf(envelope), master: true, stream: false });
    });
    expect(await upload('plain text')).toBe(NO_ENVELOPE);
    expect(await upload('', 'e2ee.bin', { stream: true })).toBe(UNSEEN);
  });

  test.each<[string, () => Parse.File]>([
    [
      'stored already',
      () => Parse.File.fromJSON({ __type: 'File', name: 'x', url: `http://127.0.0.1/${SECRET}` }),
    ],
    ['a URI', () => new Parse.File('x', { uri: `http://127.0.0.1/${SECRET}` })],
    ['without bytes', () => new Parse.File('x', undefined as never)],
  ])('may not return a file that is %s, but under a plain name', async (_name, make) => {
    define(make);
    expect(await upload()).toBe(UNSEEN);
    define(() => Object.assign(make(), { _name: 'avatar-3.png' }));
    expect(((await upload()) as Parse.File).name()).toBe('avatar-3.png');
  });

  test('may return a Buffer, where Parse Server stores those', async () => {
    const inBuffer = (buffer: Buffer) =>
      Object.assign(new Parse.File('x', []), { _data: undefined, _source: { format: 'buffer', buffer } });
    define(() => inBuffer(envelope));
    expect(((await upload('text')) as Parse.File)._source).toMatchObject({
      format: 'buffer',
      buffer: envelope,
    });
    define(() => inBuffer(Buffer.from('text')));
    expect(await upload()).toBe(NO_ENVELOPE);
  });

  test('that throws refuses with its own error, and the name is not logged', async () => {
    define(() => {
      throw new Parse.Error(141, 'not today');
    });
    expect(await upload('plain text')).toBe('141 not today');
    expect(server.logged()).not.toContain(SECRET);
  });

  test.each([
    ['a function', () => Promise.reject('not valid'), '142 not valid'],
    ['an object', { requireUser: true }, '142 Validation failed. Please login to continue.'],
  ])(
    'has its validator, %s, asked first; the name of what it refuses is not logged',
    async (_name, validator, error) => {
      const handler = jest.fn();
      define(handler, validator);
      expect(await upload('plain text')).toBe(error);
      expect(handler).not.toHaveBeenCalled();
      expect(server.logged()).not.toContain(SECRET);
    },
  );

  test('is skipped for the master key where its validator says so, and ours is not', async () => {
    const handler = jest.fn();
    define(handler, { skipWithMasterKey: true });
    const by = { master: true };
    expect(await upload('plain text', undefined, { by })).toBe(NO_ENVELOPE);
    expect(storedOf((await upload(envelope, undefined, { by })) as Parse.File)).toEqual(encrypted());
    expect(handler).not.toHaveBeenCalled();
    await upload();
    expect(handler).toHaveBeenCalledTimes(1);
  });

  test('that is defined above the require runs too', async () => {
    server.reset();
    const handler = jest.fn();
    define(handler);
    registerFileGuard(policy);
    expect(await upload('plain text')).toBe(NO_ENVELOPE);
    expect(handler).toHaveBeenCalledTimes(1);
    expect(warned.mock.calls.join()).toContain('beforeSave of @File is defined above');
  });
});

test('the guards of classes may be registered before it or after', async () => {
  registerGuards({
    virgil: { tokenTtlSeconds: 1200, guardUserIds: true, eraseDeletedUsers: false },
    nexmo: { tokenTtlSeconds: 900, acl: {} },
    classes: {},
  });
  const handler = jest.fn();
  define(handler);
  expect(await upload('plain text')).toBe(NO_ENVELOPE);
  expect(handler).toHaveBeenCalledTimes(1);
});

test("other triggers of files are the app's own, and see a file's name", async () => {
  const seen: unknown[] = [];
  server.triggers.addTrigger?.(
    'afterSave',
    '@File',
    ({ file }: never) => seen.push(JSON.stringify(file)),
    'app',
  );
  const file = fileOf('a picture', 'avatar-1.png');
  await server.upload(file, {}, 'afterSave');
  expect(seen).toEqual([JSON.stringify({ __type: 'File', name: 'avatar-1.png' })]);
});

test('without a look into Parse Server files are guarded all the same', async () => {
  server.reset();
  const { maybeRunFileTrigger } = server.triggers;
  server.triggers.maybeRunFileTrigger = undefined;
  registerFileGuard(policy);
  server.triggers.maybeRunFileTrigger = maybeRunFileTrigger;
  expect(await upload('plain text')).toBe(NO_ENVELOPE);
  expect(storedOf((await upload()) as Parse.File)).toEqual(encrypted());
  expect(warned.mock.calls.join()).toContain('does not show its triggers');
});

describe('a value of a field for encrypted files', () => {
  const name = `e2ee-${'0af3'.repeat(8)}.bin`;
  const prefixed = `${'9bd1'.repeat(8)}_${name}`;
  const isGood = (json: object) => isEncryptedFile(Parse.File.fromJSON({ __type: 'File', ...json } as never));

  test('is a file whose name and address are those of an encrypted one', () => {
    for (const good of [name, prefixed]) {
      for (const url of [
        `http://127.0.0.1:1337/parse/files/app/${good}`,
        `https://bucket.s3/x/${good}?X-Amz=/a#b`,
        good,
      ]) {
        expect([url, isGood({ name: good, url })]).toEqual([url, true]);
      }
    }
  });

  test.each([
    ['another name', { name: 'photo.png', url: 'http://127.0.0.1/photo.png' }],
    ['upper case', { name: name.toUpperCase(), url: `http://127.0.0.1/${name.toUpperCase()}` }],
    ['31 digits', { name: name.replace('0', ''), url: `http://127.0.0.1/${name.replace('0', '')}` }],
    ['31 digits in front', { name: prefixed.slice(1), url: `http://127.0.0.1/${prefixed.slice(1)}` }],
    ['a text in front', { name: `${SECRET}${name}`, url: `http://127.0.0.1/${SECRET}${name}` }],
    ['a text behind', { name: `${name}\n${SECRET}`, url: `http://127.0.0.1/${name}\n${SECRET}` }],
    ['the address of another', { name, url: `http://127.0.0.1/${prefixed}x` }],
    ['its name in the query alone', { name, url: `http://127.0.0.1/photo.png?${name}` }],
    ['its name in the fragment alone', { name, url: `http://127.0.0.1/photo.png#${name}` }],
    ['no address', { name }],
    ['an address that is no text', { name, url: { toString: 1 } }],
    ['a name that is no text', { name: [name], url: `http://127.0.0.1/${name}` }],
  ])('is not one with %s', (_name, json) => {
    expect(isGood(json)).toBe(false);
  });

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', name],
    ['JSON', { name, url: name }],
  ])('is not %s', (_name, value) => {
    expect(isEncryptedFile(value)).toBe(false);
  });
});
