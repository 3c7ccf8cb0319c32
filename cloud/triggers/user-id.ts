import { isIdentifier } from '../session';
import type { SaveRequest } from './guard';
import type { Write } from './parse-server-internals';
import { unstorable } from './written-json';

// Each new one is a column on PostgreSQL, and any stranger can sign up.
const MAX_FIELDS = 100;

/**
 * Rejects a write that lets an identity change hands: a user's `objectId` is the identity, and on PostgreSQL Parse Server lets
 * users write their own.
 * @throws Parse.Error 119 for an `objectId` that changes, or a new user's own one that cannot be an identity; 142 for more
 *   than 100 fields at once without the master key, or what would crash the trigger of an app
 */
export function checkUserWrite({ where, body, auth }: Write): void {
  const fields = Object.keys(body);
  const isTooMany = fields.length > MAX_FIELDS && !auth.isMaster;
  const fault = isTooMany
    ? `is sent more than ${MAX_FIELDS} fields at once: send those that have changed.`
    : unstorable(body);
  if (fault) throw new Parse.Error(Parse.Error.VALIDATION_ERROR, `_User ${fault}`);
  if (fields.some((field) => field.startsWith('objectId.'))) throw changedId();
  if ('objectId' in body) checkId(body.objectId, where);
}

/** The same for a Parse Server whose writes cannot be seen before its triggers. @throws Parse.Error 119 */
export function checkUserId({ object, original }: SaveRequest): void {
  checkId(object.id, original && { objectId: original.id });
}

/** @param stored the row that is updated; undefined on create */
function checkId(id: unknown, stored: { objectId?: unknown } | undefined): void {
  if (stored && id !== stored.objectId) throw changedId();
  if (stored || id === undefined || isIdentifier(id)) return;
  throw new Parse.Error(Parse.Error.OPERATION_FORBIDDEN, "A user's objectId is 1 to 64 letters, digits, _, ., @ or -.");
}

const changedId = () => new Parse.Error(Parse.Error.OPERATION_FORBIDDEN, "A user's objectId cannot change.");
