import { inShort, type ParseApp } from '../command-line/parse-app';
import { type Finding, fault, ok } from './finding';

// Parse.Error codes.
const FILE_SAVE_ERROR = 130;
const VALIDATION_ERROR = 142;

const CHECK = 'files';

/**
 * Uploads a file that is not encrypted, as a client with a mistake would.
 *
 * @returns its name on the server, where it was accepted
 */
export async function* checkUpload(
  app: ParseApp,
  sessionToken: string,
): AsyncGenerator<Finding, string | undefined> {
  // Parse Server takes JSON for the bytes of a file as well.
  const plaintext = { question: 'The doctor asks: is a file that is not encrypted refused?' };
  const upload = await app.call<{ name: string }>('POST', '/files/e2ee.bin', plaintext, { sessionToken });
  const { name, code } = upload.body;
  if (name !== undefined) {
    yield fault(CHECK, 'one that is not encrypted is accepted: npm run deploy.');
  } else if (code === VALIDATION_ERROR) {
    yield ok(CHECK, 'one that is not encrypted is refused');
  } else if (code === FILE_SAVE_ERROR) {
    yield fault(
      CHECK,
      'the server lets users upload no e2ee.bin: see enableForAuthenticatedUser and fileExtensions of its option fileUpload, ' +
        'and on PostgreSQL its filesAdapter.',
    );
  } else yield fault(CHECK, `the server gives no answer of its own (${inShort(upload)}): npm run deploy.`);
  return name;
}

/** Deletes what was accepted, for which a server wants the master key. */
export async function removeUpload(app: ParseApp, name: string, masterKey?: string): Promise<Finding> {
  const check = `${CHECK} left`;
  const isGone =
    masterKey && (await app.call('DELETE', `/files/${name}`, undefined, { masterKey })).status === 200;
  return isGone
    ? ok(check, 'what was accepted is deleted')
    : fault(
        check,
        `the doctor's ${name} is still there: only the master key (PARSE_MASTER_KEY) may delete it.`,
      );
}
