import { randomBytes } from 'node:crypto';
import { envelopeOrReason } from '../envelope/recognise-envelope';
import type { FilePolicy } from '../policy';
import { registerBeside } from './beside-app-triggers';
import { ENCRYPTED_FILE } from './encrypted-file';
import { beforeEachFileTrigger, triggerRegistry } from './parse-server-internals';

/** A request of a file's `beforeSave`. From Parse Server 9.5 on a file may come as a stream, its bytes unseen. */
type Upload = { file: Parse.File; stream?: boolean };

/** Parse Server's own name for the class of files. */
const FILES = '@File';
const UNSEEN = "its bytes cannot be seen. Upload new Parse.File('e2ee.bin', { base64 }), no stream and no Buffer";

/**
 * Registers the guard of uploads beside the app's own trigger, which runs first: a file must be an envelope in bytes, unless its
 * name begins as one of the policy's `plain`. An encrypted one is stored under a name that tells nothing; its own is not logged.
 */
export function registerFileGuard(policy: FilePolicy): void {
  const triggers = triggerRegistry();
  if (triggers) {
    beforeEachFileTrigger(triggers, (type, { file }) => {
      if (type === 'beforeSave') Object.assign(file, { toJSON: () => ({}) });
    });
  }
  registerBeside('beforeSave', new Map([[FILES, (trigger) => thenCheck(trigger as never, policy) as never]]));
  // The other door, of Parse Server 5 and 6, leads past what we have wrapped.
  if (!('beforeSaveFile' in Parse.Cloud)) return;
  Parse.Cloud.beforeSaveFile = (...how: unknown[]) => Parse.Cloud.beforeSave(FILES, ...(how as [never]));
}

function thenCheck(appTrigger: ((request: Upload) => unknown) | undefined, policy: FilePolicy) {
  return async (request: Upload): Promise<Parse.File> => {
    // Read before the app's trigger can write to them.
    const { file, stream } = request;
    const returned = await appTrigger?.(request);
    const left = returned instanceof Parse.File ? returned : file;
    const name = left.name();
    if (ENCRYPTED_FILE.test(name) || !policy.plain.some((prefix) => name.startsWith(prefix))) {
      const buffer = stream ? undefined : bytesOf(left);
      if (!buffer) throw refusal(UNSEEN);
      checkFile(left, buffer, policy);
      left._name = `e2ee-${randomBytes(16).toString('hex')}.bin`;
      // Parse Server 9 stores the buffer, older ones decode `_data` again.
      left._source = { format: 'buffer', buffer, type: 'application/octet-stream' };
    }
    Reflect.deleteProperty(left, 'toJSON');
    return left;
  };
}

/** What Parse Server would store of it; undefined where that is not here. */
function bytesOf({ _url, _source, _data }: Parse.File): Buffer | undefined {
  if (_url !== undefined) return;
  if (_source?.format === 'buffer') return _source.buffer;
  return typeof _data === 'string' ? Buffer.from(_data, 'base64') : undefined;
}

/** @throws Parse.Error 116 over the limit; 142 something to read beside the bytes, or no envelope */
function checkFile(file: Parse.File, bytes: Buffer, policy: FilePolicy): void {
  const { maxBytes } = policy;
  if (bytes.length > maxBytes)
    throw refusal(`over ${maxBytes} bytes, the policy's files.maxBytes`, Parse.Error.OBJECT_TOO_LARGE);
  const readable = { ...file._metadata, ...file._tags };
  if (file._directory || Object.keys(readable).length > 0) throw refusal('it has metadata, tags or a directory');
  const envelope = envelopeOrReason(bytes, policy);
  if (typeof envelope === 'string') throw refusal(`${envelope}. Encrypt it with E3Kit's authEncryptFile()`);
}

function refusal(why: string, code = Parse.Error.VALIDATION_ERROR): Parse.Error {
  return new Parse.Error(code, `The file is refused: ${why}.`);
}
