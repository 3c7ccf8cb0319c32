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

/** A row of Message as it is stored, and what its envelope tells anyone who reads it. */
export interface StoredMessage {
  row: {
    objectId: string;
    body: string;
    senderId: string;
    ACL: object;
    createdAt: string;
    updatedAt: string;
  };
  envelope: {
    /** Of the envelope, in bytes. */
    size: number;
    /** The identities that can open it, `null` for a key of nobody known. A group message does not tell. */
    recipients?: (string | null)[];
    /** Whether the sender's signature is inside the ciphertext. A group message bears it outside. */
    signedInside: boolean;
  };
}

// The playground shows and tampers with its own conversations only, not those of the app that is being developed.
const OWN_THREAD = /^playground-[\w-]+$/;
const RECOGNISE = { allowLegacyEncrypt: false };

/** Reads, oldest first, what the database holds of one conversation of the playground. */
export async function readStoredMessages(store: MessageStore, threadId: string): Promise<StoredMessage[]> {
  if (!OWN_THREAD.test(threadId)) throw new UserError('This is no conversation of the playground.');
  const query = new URLSearchParams({
    where: JSON.stringify({ threadId }),
    order: '-createdAt',
    limit: '100',
  });
  const { results } = (await callParse(store, 'GET', `?${query}`)) as { results: StoredMessage['row'][] };
  const owners = store.ownersOfKeys();
  return results.reverse().map((row) => ({ row, envelope: describe(row.body, owners) }));
}

function describe(body: string, owners: Map<string, string>): StoredMessage['envelope'] {
  const envelope = recogniseEnvelope(body, RECOGNISE);
  const size = Buffer.byteLength(body, 'base64');
  if (envelope.kind !== 'message') return { size, signedInside: false };
  const recipients = envelope.recipients.map((id) => owners.get(Buffer.from(id).toString('hex')) ?? null);
  return { size, recipients, signedInside: envelope.signedInside };
}

/** Flips one bit in the middle of a message's ciphertext, as somebody with the database might. Again: flips it back. */
export async function tamperWithMessage(store: MessageStore, objectId: string): Promise<void> {
  const path = `/${encodeURIComponent(objectId)}`;
  const { threadId, body } = (await callParse(store, 'GET', path)) as { threadId: string; body: string };
  if (!OWN_THREAD.test(threadId)) throw new UserError('This is no message of the playground.');
  const bytes = Buffer.from(body, 'base64');
  const { ciphertextOffset } = recogniseEnvelope(body, RECOGNISE);
  const middle = Math.floor((ciphertextOffset + bytes.length) / 2);
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
  // What comes out is an envelope still, which is all that the guard can see.
  await callParse(store, 'PUT', path, { body: bytes.toString('base64') });
}

async function callParse(store: MessageStore, method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${store.serverURL}/classes/Message${path}`, {
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
