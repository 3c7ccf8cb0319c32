/** How the messages of a conversation are encrypted. */
export interface Cipher {
  /** @returns an E3Kit envelope in base64, which the sender can open too */
  encrypt(text: string): Promise<string>;
  decrypt(body: string, senderId: string): Promise<string>;
  /** @returns an E3Kit envelope in bytes */
  encryptFile(file: Blob): Promise<Blob>;
  decryptFile(file: Blob, senderId: string): Promise<Blob>;
}

/** Why a phone shows no text in a message's place. */
export type Unread =
  /** It is not what the sender wrote, or was not written by the sender. */
  | 'not trusted'
  /** The phone has no private key (yet). */
  | 'no key'
  /** The user is not, or no longer, a member of the group. */
  | 'no member'
  /** The sender is deleted, and nobody can check any more who wrote it. An app that is to show it keeps the card. */
  | 'no sender'
  /** The services could not be reached. */
  | 'try again';

/** @param error what `decrypt` threw. By name and code: E3Kit's classes of errors do not survive every bundler. */
export function whyUnread(error: unknown): Unread {
  const { name, errorCode } = error as { name?: string; errorCode?: number };
  if (name === 'MissingPrivateKeyError') return 'no key';
  if (isNoAccess(error)) return 'no member';
  if (isNobodyFound(error)) return 'no sender';
  // FoundationError is the cryptography's own; GroupError wraps it as DataVerificationFailed (7).
  if (name === 'FoundationError' || (name === 'GroupError' && errorCode === 7)) return 'not trusted';
  return 'try again';
}

/** RemoteGroupNotFound (3) and NoAccess (11) both say so: E3Kit gives either for a group that one is not in. */
export function isNoAccess(error: unknown): boolean {
  const { name, errorCode } = error as { name?: string; errorCode?: number };
  return name === 'GroupError' && (errorCode === 3 || errorCode === 11);
}

/** Of a user who has published no key, or whose keys are revoked. */
export function isNobodyFound(error: unknown): boolean {
  return (error as { name?: string }).name === 'UsersNotFoundError';
}
