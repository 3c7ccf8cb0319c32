import type { Policy } from '../../../cloud/policy';

/**
 * The class of the page's own messages, which `npm start` adds to the policy that it compiles: the app's classes stay
 * as its policy says, and the page shows what they may leave out. What holds for the whole server stays as well: without
 * `files` in the app's policy its uploads are not looked at, here neither, and the page has no photos.
 */
export function playgroundClasses({ files }: Policy): Policy['classes'] {
  return {
    PlaygroundMessage: {
      mode: 'enforce',
      encrypted: ['body'],
      plain: ['senderId', 'threadId', 'timestamp', 'groupId'],
      ...(files && { files: ['photo'] }),
      types: {},
      sender: 'senderId',
      maxPayloadBytes: 262_144,
      maxPlainBytes: 256,
      allowLegacyEncrypt: false,
      recipients: 'acl',
      group: 'groupId',
    },
  };
}
