import { inShort, type ParseApp, pathTo } from '../command-line/parse-app';
import { shown } from '../command-line/shown';
import { type Finding, fault, ok } from './finding';

// Parse.Error codes.
const FILE_SAVE_ERROR = 130;
const VALIDATION_ERROR = 142;

const UPLOADED_AS = 'e2ee.bin';
// Parse Server puts 32 digits and "_" before it, unless it is told to keep names.
const STORED_AS = /^(?:\w{1,100}_)?e2ee\.bin$/;

const CHECK = 'files';
const LEFT = 'files left';

/**
 * Uploads a file that is not encrypted, as a client with a mistake would.
 *
 * @returns its name on the server, where it was accepted and can be deleted
 */
export async function* checkUpload(
  app: ParseApp,
  sessionToken: string,
): AsyncGenerator<Finding, string | undefined> {
  // Parse Server takes JSON for the bytes of a file as well.
  const plaintext = { question: 'The doctor asks: is a file that is not encrypted refused?' };
  const upload = await app.call('POST', `/files/${UPLOADED_AS}`, plaintext, { sessionToken });
  const { name } = upload.body;
  if (name !== undefined) {
    yield fault(CHECK, 'one that is not encrypted is accepted: npm run deploy.');
  } else if (upload.code === VALIDATION_ERROR) {
    yield ok(CHECK, 'one that is not encrypted is refused');
  } else if (upload.code === FILE_SAVE_ERROR) {
    yield fault(
      CHECK,
      'the server lets users upload no e2ee.bin: see enableForAuthenticatedUser and fileExtensions of its option fileUpload, ' +
        'and on PostgreSQL its filesAdapter.',
    );
  } else yield fault(CHECK, `the server gives no answer of its own (${inShort(upload)}): npm run deploy.`);
  if (name === undefined || isOwn(name)) return name;
  yield fault(
    LEFT,
    `the server calls the doctor's ${UPLOADED_AS} ${shown(name)}. The doctor deletes no file of another name: look for it in the dashboard.`,
  );
  return undefined;
}

/** Deletes what was accepted, for which a server wants the master key. */
export async function removeUpload(app: ParseApp, name: string, masterKey?: string): Promise<Finding> {
  const isGone =
    masterKey && (await app.call('DELETE', pathTo`/files/${name}`, undefined, { masterKey })).status === 200;
  return isGone
    ? ok(LEFT, 'what was accepted is deleted')
    : fault(
        LEFT,
        `the doctor's ${shown(name)} is still there: only the master key (PARSE_MASTER_KEY) may delete it.`,
      );
}

function isOwn(name: unknown): name is string {
  return typeof name === 'string' && STORED_AS.test(name);
}
