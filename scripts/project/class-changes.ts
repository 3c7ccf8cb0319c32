import { isDeepStrictEqual } from 'node:util';
import type { Policy } from '../../cloud/policy';
import { ERASURE_CLASS } from '../../cloud/triggers/erasure';
import type { ClassSchema } from '../command-line/parse-app';
import { ERASURE_FIELDS } from './erasure-class';
import { inWords, type Limit, OPERATIONS, type Permissions, tightened } from './permissions';
import { type Column, columnOf, fieldsOf, typeName, wrongTypes } from './policy';

/** Who may do what in a class of the policy, at most. The guard and each row's ACL see to the rest. */
const PERMISSIONS: Record<string, Limit> = { ...limitAll('signed-in users'), addField: 'nobody' };

/** Nobody may do anything in the class of erasures: the server has the master key. */
const CLOSED = limitAll('nobody');

/** What a class is to be. */
interface Wanted {
  className: string;
  fields: Record<string, Column>;
  limits: Record<string, Limit>;
  isReporting?: boolean;
  /** What is wrong with the fields that there are. */
  faults: string[];
}

/** What is to be done to a class, and the body of the request that does it. */
interface Change {
  className: string;
  /** The class as it is; undefined where there is none yet. */
  existing?: ClassSchema;
  body: object;
  /** The permissions that the class has afterwards. */
  permissions: Permissions;
  /** For the user. */
  lines: string[];
  /** What comes when the class is no more in `mode: "report"`. */
  held: string[];
  /** What only the user can mend. */
  faults: string[];
}

/**
 * What brings the classes of a server in line with a policy: the policy's own, and that of erasures where it has them.
 *
 * @param schemas the classes that there are, by name
 */
export function changesOf({ classes, virgil }: Policy, schemas: Map<string, ClassSchema>): Change[] {
  const ofPolicy = Object.entries(classes).map(([className, policy]) => ({
    className,
    fields: Object.fromEntries(fieldsOf(policy).map((field) => [field, columnOf(policy, field)])),
    limits: PERMISSIONS,
    isReporting: policy.mode === 'report',
    faults: wrongTypes(policy, schemas.get(className)?.fields ?? {}),
  }));
  const ofErasure = { className: ERASURE_CLASS, fields: ERASURE_FIELDS, limits: CLOSED, faults: [] };
  const wanted: Wanted[] = [...ofPolicy, ...(virgil.eraseDeletedUsers ? [ofErasure] : [])];
  return wanted.map((one) => changeOf(one, schemas.get(one.className)));
}

/**
 * Adds the fields that are missing, and holds each permission to its limit; takes nothing else away, and gives nobody a right
 * in a class that there is. A class that only reports keeps its permissions: those of the policy would shut clients out.
 */
export function changeOf(
  { className, fields, limits, isReporting, faults }: Wanted,
  existing?: ClassSchema,
): Change {
  const missing = Object.entries(fields).filter(([field]) => !existing?.fields[field]);
  const before = existing?.classLevelPermissions ?? {};
  const different = Object.entries(limits)
    .map(([operation, limit]) => [operation, tightened(before, operation, limit)] as const)
    .filter(([operation, permission]) => !existing || !isDeepStrictEqual(before[operation], permission));
  const isHeldBack = existing !== undefined && isReporting === true;
  // What else the app's owner has set, such as protectedFields, stays.
  const after = { ...before, ...Object.fromEntries(different) };
  const changed = different.map(([operation]) => difference(operation, existing && before, after));
  const sign = existing ? '~' : '+';
  const isTightened = different.length > 0 && !isHeldBack;
  return {
    className,
    existing,
    body: {
      className,
      fields: Object.fromEntries(missing),
      ...(isTightened && { classLevelPermissions: after }),
    },
    permissions: isHeldBack ? before : after,
    lines: [
      ...missing.map(([field, column]) => `+ field ${field}: ${typeName(column)}`),
      ...(isHeldBack ? [] : changed.map((line) => `${sign} ${line}`)),
    ],
    held: isHeldBack ? changed : [],
    faults: faults.map((fault) => `${className}.${fault}.`),
  };
}

/** Who may do something, before and after, and who loses it. */
function difference(operation: string, before: Permissions | undefined, after: Permissions): string {
  const left = inWords(after, operation);
  if (!before) return `${operation}: ${left}`;
  const losers = left === 'signed-in users' ? 'callers without a session' : 'all others';
  const lose = left === 'nobody' ? 'no client may any more' : `${losers} lose it`;
  return `${operation}: ${inWords(before, operation)} -> ${left} (${lose})`;
}

function limitAll(limit: Limit): Record<string, Limit> {
  return Object.fromEntries(OPERATIONS.map((operation) => [operation, limit]));
}
