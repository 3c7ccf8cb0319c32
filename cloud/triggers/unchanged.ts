import type { SaveRequest } from './guard';

/**
 * The fields that a save changes, of those that it writes. Some clients send whole objects, so a field that is set to what is
 * stored does not count, as long as the caller may know what is stored: for anybody else the answer would tell whether
 * a guess is right. An operation (an increment, say) always counts.
 * @param written the fields that the save writes
 * @param mayKnow whether the caller is the row's sender, or may read the row
 */
export function changedFields(
  { object, original }: Pick<SaveRequest, 'object' | 'original'>,
  written: string[],
  mayKnow: boolean,
): string[] {
  if (!original || !mayKnow) return written;
  // A value that was changed in place has no operation.
  const isSetWhole = (field: string) => !object.op(field) || object.op(field) instanceof Parse.Op.Set;
  // Read once, as the SDK makes them anew each time.
  const [values, stored] = [object.attributes, original.attributes];
  return written.filter((field) => !isSetWhole(field) || !isEqual(values[field], stored[field]));
}

/** Whether a row's ACL lets a user read it. */
export function mayRead(row: Parse.Object, user: Parse.User | undefined, roles: readonly string[] = []): boolean {
  const acl = row.getACL()?.toJSON();
  return !acl || ['*', user?.id, ...roles].some((id) => id !== undefined && acl[id]?.read === true);
}

/** The rights that an ACL gives: `{ Xk2p9QaL0b: ['read'] }`. */
export function rightsGiven(acl: Parse.ACL): Record<string, string[]> {
  const given: Record<string, string[]> = {};
  for (const [id, rights] of Object.entries(acl.toJSON())) {
    const names = Object.entries(Object(rights)).filter(([, isGiven]) => isGiven === true);
    if (names.length > 0) given[id] = names.map(([name]) => name);
  }
  return given;
}

function isEqual(value: unknown, stored: unknown): boolean {
  if (value === undefined || stored === undefined) return false;
  try {
    return canonical(value) === canonical(stored);
  } catch {
    return false; // It cannot be encoded.
  }
}

/** JSON with its keys in order: a Pointer by class and ID, a Date as ISO 8601, a File by name and url, an ACL by its rights. */
function canonical(value: unknown): string {
  const json = value instanceof Parse.ACL ? rightsGiven(value) : Parse._encode(value, null);
  return JSON.stringify(json, (_key, part) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
