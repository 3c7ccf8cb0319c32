import type { Policy } from '../../../cloud/policy';

/**
 * The class of the page's own messages, which `npm start` adds to the policy that it compiles: the app's classes stay
 * as its policy says, and the page shows what they may leave out.
 */
export const PLAYGROUND_CLASSES: Policy['classes'] = {
  PlaygroundMessage: {
    mode: 'enforce',
    encrypted: ['body'],
    plain: ['senderId', 'threadId', 'timestamp', 'groupId'],
    types: {},
    sender: 'senderId',
    maxPayloadBytes: 262_144,
    maxPlainBytes: 256,
    allowLegacyEncrypt: false,
  },
};
