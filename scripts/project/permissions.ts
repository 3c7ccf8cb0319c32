import { isRecord } from '../command-line/bounded-request';
import { joined, listed, shown } from '../command-line/shown';

/** The class-level permissions of a class, as `GET /schemas` gives them. */
export type Permissions = Record<string, unknown>;

/** Who may do something at most. */
export type Limit = 'signed-in users' | 'nobody';

export const OPERATIONS = ['find', 'get', 'count', 'create', 'update', 'delete', 'addField'];

/** For an operation without a permission Parse Server lets everybody in. */
export function isPublic(permissions: Permissions | undefined, operation: string): boolean {
  return !permissions?.[operation] || Boolean(permissionOf(permissions, operation)['*']);
}

/** Whether everybody may do this who signs up, which anybody can. */
export function isForAnyUser(permissions: Permissions | undefined, operation: string): boolean {
  return (
    isPublic(permissions, operation) || Boolean(permissionOf(permissions, operation).requiresAuthentication)
  );
}

/**
 * The permission for an operation within a limit. Nobody can do anything by it that they could not do before: whatever is
 * narrower than the limit stays, such as roles, pointers or nobody; `*`, which overrides all others, becomes the limit.
 */
export function tightened(permissions: Permissions, operation: string, limit: Limit): object {
  if (limit === 'nobody') return {};
  const { '*': _everybody, ...others } = permissionOf(permissions, operation);
  return isPublic(permissions, operation) ? { ...others, requiresAuthentication: true } : others;
}

/**
 * Who may do something, for the user. Pointers come last: where a permission names fields, Parse Server holds all to them but
 * the roles and users that it names too.
 */
export function inWords(permissions: Permissions | undefined, operation: string): string {
  if (!permissions || isPublic(permissions, operation)) return 'the public';
  const { requiresAuthentication, pointerFields, ...others } = permissionOf(permissions, operation);
  const group = ['find', 'get', 'count'].includes(operation) ? 'readUserFields' : 'writeUserFields';
  // A row that is not there yet points at nobody.
  const fields =
    operation === 'create' ? [] : [pointerFields, permissions[group]].flatMap((names) => names ?? []);
  if (requiresAuthentication && fields.length === 0) return 'signed-in users';
  const named = Object.keys(others)
    .filter((who) => others[who] === true)
    .map((who) => (who.startsWith('role:') ? shown(who) : `user ${shown(who)}`));
  const pointedAt = fields.length > 0 ? [`users whom the row names in ${listed([...new Set(fields)])}`] : [];
  return joined([...named, ...pointedAt]) || 'nobody';
}

function permissionOf(permissions: Permissions | undefined, operation: string): Record<string, unknown> {
  const permission = permissions?.[operation];
  return isRecord(permission) ? permission : {};
}
