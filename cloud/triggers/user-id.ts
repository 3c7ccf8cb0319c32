import { isIdentifier } from '../session';
import type { SaveRequest } from './guard';

/**
 * Refuses to let an identity change hands: a user's `objectId` is the identity, and on PostgreSQL Parse Server lets users
 * write their own.
 * @throws Parse.Error 119 for an `objectId` that changes, or a new user's own one that cannot be an identity
 */
export function checkUserId({ object, original }: SaveRequest): void {
  if (original ? object.id === original.id : object.id === undefined || isIdentifier(object.id)) return;
  const rule = original ? 'cannot change' : 'is 1 to 64 letters, digits, _, ., @ or -';
  throw new Parse.Error(Parse.Error.OPERATION_FORBIDDEN, `A user's objectId ${rule}.`);
}
