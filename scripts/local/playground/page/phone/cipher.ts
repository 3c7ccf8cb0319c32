/** What one message says. */
export interface Content {
  text: string;
  photo?: File;
}

/** The same, encrypted. */
export interface Sealed {
  /** An E3Kit envelope in base64. */
  body: string;
  /** An E3Kit envelope in bytes. */
  file?: Blob;
}

/** How the messages of a conversation are encrypted. */
export interface Cipher {
  /** @returns what the readers can open, and the sender too */
  seal(content: Content): Promise<Sealed>;
  /** @throws what `whyUnread` explains */
  open(sealed: Sealed, senderId: string): Promise<Content>;
}

/** Why a phone shows no text in a message's place. */
export type Unread =
  /** It is not what the sender wrote, or was not written by the sender. */
  | 'not trusted'
  /** The phone has no private key (yet). */
  | 'no key'
  /** It was encrypted for other keys than this phone's. */
  | 'not for you'
  /** The user is not, or no longer, a member of the group. */
  | 'no member'
  /** The sender is deleted, and nobody can check any more who wrote it. An app that is to show it keeps the card. */
  | 'no sender'
  /** The services could not be reached. */
  | 'try again';

/** @param error what `open` threw. By name and code: E3Kit's classes of errors do not survive every bundler. */
export function whyUnread(error: unknown): Unread {
  const { name, message } = error as Error;
  if (name === 'MissingPrivateKeyError') return 'no key';
  if (isNoAccess(error)) return 'no member';
  if (isNobodyFound(error)) return 'no sender';
  if (isOfAnotherSigner(error) || isOfAnotherGroup(error)) return 'not trusted';
  // FoundationError is the cryptography's own: it tells by its message alone who is no recipient.
  if (name === 'FoundationError')
    return /recipient .*not found/i.test(message) ? 'not for you' : 'not trusted';
  return 'try again';
}

/**
 * Whether none of the sender's keys that was tried has signed it: VirgilCryptoError of a message between users,
 * DataVerificationFailed (7) of a group's.
 */
export function isOfAnotherSigner(error: unknown): boolean {
  return (error as { name?: string }).name === 'VirgilCryptoError' || isGroupError(error, 7);
}

/** RemoteGroupNotFound (3) and NoAccess (11) both say so: E3Kit gives either for a group that one is not in. */
export function isNoAccess(error: unknown): boolean {
  return isGroupError(error, 3) || isGroupError(error, 11);
}

/** MessageNotFromThisGroup (9). */
function isOfAnotherGroup(error: unknown): boolean {
  return isGroupError(error, 9);
}

function isGroupError(error: unknown, code: number): boolean {
  const { name, errorCode } = error as { name?: string; errorCode?: number };
  return name === 'GroupError' && errorCode === code;
}

/** Of a user who has published no key, or whose keys are revoked. */
export function isNobodyFound(error: unknown): boolean {
  return (error as { name?: string }).name === 'UsersNotFoundError';
}
