import { recogniseEnvelope } from '../../../cloud/envelope/recognise-envelope';
import { UserError } from '../../command-line/user-error';

/** Where the rows are, and the key that opens them. */
export interface MessageStore {
  /** Parse's, at this server. */
  serverURL: string;
  appId: string;
  masterKey: string;
  /** Identities by the key IDs of their published keys, in hex. */
  ownersOfKeys: () => Map<string, string>;
}

/** A row of PlaygroundMessage as it is stored, and what its envelope tells anyone who reads it. */
export interface StoredMessage {
  row: {
    objectId: string;
    body: string;
    senderId: string;
    ACL: object;
    createdAt: string;
    updatedAt: string;
    photo?: { name: string };
  };
  envelope: {
    /** Of the envelope, in bytes. */
    size: number;
    /** Where the ciphertext begins, in bytes. */
    ciphertextOffset: number;
    /** The byte that tampering changes. */
    tamperOffset: number;
    /** The identities that can open it, `null` for a key of nobody known. A group message does not tell. */
    recipients?: (string | null)[];
    /** Whether the sender's signature is inside the ciphertext. A group message bears it outside. */
    signedInside: boolean;
  };
  /** The file that its `photo` names. */
  photo?: StoredFile;
}

/** A file as anyone who knows its address can have it. */
export interface StoredFile {
  /** In bytes. */
  size: number;
  /** The first bytes of its ciphertext, in base64. */
  noise: string;
}

const RECOGNISE = { allowLegacyEncrypt: false };
/** As many as the page shows as a picture. */
const NOISE_BYTES = 96 * 30;
/** By their names. No name is given twice. */
const files = new Map<string, StoredFile>();

/** Reads, oldest first, what the database holds of one conversation of the playground. */
export async function readStoredMessages(store: MessageStore, threadId: string): Promise<StoredMessage[]> {
  const query = new URLSearchParams({
    where: JSON.stringify({ threadId }),
    order: '-createdAt',
    limit: '100',
  });
  const { results } = (await callParse(store, 'GET', `?${query}`)) as { results: StoredMessage['row'][] };
  const owners = store.ownersOfKeys();
  return Promise.all(
    results.reverse().map(async (row) => ({
      row,
      envelope: describe(row.body, owners),
      ...(row.photo && { photo: await readFile(store, row.photo.name) }),
    })),
  );
}

async function readFile({ serverURL, appId }: MessageStore, name: string): Promise<StoredFile> {
  let file = files.get(name);
  if (!file) {
    const answer = await fetch(`${serverURL}/files/${appId}/${encodeURIComponent(name)}`);
    if (!answer.ok) throw new UserError(`The file of a message is not there: ${answer.status}.`);
    const bytes = Buffer.from(await answer.arrayBuffer());
    const { ciphertextOffset } = recogniseEnvelope(bytes, RECOGNISE);
    const noise = bytes.subarray(ciphertextOffset, ciphertextOffset + NOISE_BYTES).toString('base64');
    file = { size: bytes.length, noise };
    files.set(name, file);
  }
  return file;
}

function describe(body: string, owners: Map<string, string>): StoredMessage['envelope'] {
  const envelope = recogniseEnvelope(body, RECOGNISE);
  const size = Buffer.byteLength(body, 'base64');
  const { ciphertextOffset } = envelope;
  const described = { size, ciphertextOffset, tamperOffset: middle(ciphertextOffset, size) };
  if (envelope.kind !== 'message') return { ...described, signedInside: false };
  const recipients = envelope.recipients.map((id) => owners.get(Buffer.from(id).toString('hex')) ?? null);
  return { ...described, recipients, signedInside: envelope.signedInside };
}

/** Flips one bit in the middle of a message's ciphertext, as somebody with the database might. Again: flips it back. */
export async function tamperWithMessage(store: MessageStore, objectId: string): Promise<void> {
  const path = `/${encodeURIComponent(objectId)}`;
  const { body } = (await callParse(store, 'GET', path)) as { body: string };
  const bytes = Buffer.from(body, 'base64');
  const offset = middle(recogniseEnvelope(body, RECOGNISE).ciphertextOffset, bytes.length);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset);
  // What comes out is an envelope still, which is all that the guard can see.
  await callParse(store, 'PUT', path, { body: bytes.toString('base64') });
}

function middle(from: number, to: number): number {
  return Math.floor((from + to) / 2);
}

async function callParse(store: MessageStore, method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${store.serverURL}/classes/PlaygroundMessage${path}`, {
    method,
    headers: {
      'Content-Type': 'application/json',
      'X-Parse-Application-Id': store.appId,
      'X-Parse-Master-Key': store.masterKey,
    },
    body: body && JSON.stringify(body),
  });
  const result = (await answer.json()) as { error?: string };
  if (!answer.ok) throw new UserError(result.error ?? `Parse Server answered ${answer.status}.`);
  return result;
}
