import { VirgilCrypto } from 'virgil-crypto';
import { POLICY } from './bench-server';
import type { PolicyOption } from './over-http';

const KILOBYTE = 2 ** 10;
const MEGABYTE = 2 ** 20;
/** Sizes of the encrypted files, and how many are uploaded for a hundred other calls. The largest is what Parse Server takes by default. */
const UPLOADS = [
  ['1 KB', KILOBYTE, 100],
  ['1 MB', MEGABYTE, 48],
  ['20 MB', 20 * MEGABYTE, 2],
] as const;

// The guard of files and what it puts in front of Parse Server are there, or the app's empty trigger alone.
const OFF_SWITCH = `
  const path = Object.keys(require.cache).find((name) => /[\\\\/]parse-server[\\\\/]lib[\\\\/]triggers\\.js$/.test(name));
  const triggers = require.cache[path].exports;
  const { maybeRunFileTrigger: bare } = triggers;
  const { applicationId } = Parse;
  setImmediate(() => {
    const { maybeRunFileTrigger: ours } = triggers;
    const guard = triggers.getTrigger('@File', 'beforeSave', applicationId);
    const isOff = () => process.env.BENCH_OFF !== undefined;
    triggers.removeTrigger('beforeSave', '@File', applicationId);
    triggers.addTrigger('beforeSave', '@File', (request) => (isOff() ? undefined : guard(request)), applicationId);
    triggers.maybeRunFileTrigger = (...run) => (isOff() ? bare : ours)(...run);
  });
`;

/** Uploads with `files` on, beside the same without. The app has an empty trigger on files in both. */
export const uploadOptions: PolicyOption[] = UPLOADS.map(([size, bytes, inHundred]) => ({
  measure: `upload of an encrypted file of ${size}, \`files\` on`,
  against: 'off, with an empty trigger',
  rateTarget: { atLeast: 0.95 },
  policy: { ...POLICY, files: {} },
  offSwitch: OFF_SWITCH,
  start() {
    const body = encryptedFile(bytes);
    return {
      async calls({ sessionToken, deleteFiles }, count) {
        await deleteFiles();
        return Array(Math.ceil((count * inHundred) / 100)).fill({
          path: '/files/e2ee.bin',
          sessionToken,
          body,
        });
      },
    };
  },
}));

/** As E3Kit makes it, of so many bytes in all. */
function encryptedFile(size: number): Buffer {
  const crypto = new VirgilCrypto();
  const { privateKey, publicKey } = crypto.generateKeys();
  const encrypt = (bytes: number) => crypto.signAndEncrypt(Buffer.alloc(bytes), privateKey, [publicKey]);
  const overhead = encrypt(size).length - size;
  return Buffer.from(encrypt(size - overhead));
}
