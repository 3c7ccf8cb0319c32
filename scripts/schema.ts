import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { config as readDotEnv } from 'dotenv';
import { ERASURE_CLASS } from '../cloud/triggers/erasure';
import { runCommand } from './command-line/command';
import { type ClassSchema, givenMasterKey, inShort, ParseApp } from './command-line/parse-app';
import { canAsk, confirm } from './command-line/prompt';
import { say } from './command-line/shown';
import { UserError } from './command-line/user-error';
import { projectRoot } from './project/bundle';
import { ERASURE_FIELDS } from './project/erasure-class';
import {
  inWords,
  isForAnyUser,
  type Limit,
  OPERATIONS,
  type Permissions,
  tightened,
} from './project/permissions';
import { type Column, columnOf, fieldsOf, readPolicy, typeName, wrongTypes } from './project/policy';

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

runCommand('schema', async (values) => {
  readDotEnv({ quiet: true });
  const app = new ParseApp(values, process.env);
  const { classes, virgil } = readPolicy(join(projectRoot, 'back4app.json'));
  const masterKey = await givenMasterKey(process.env, canAsk);
  if (!masterKey) throw new UserError('The schema needs the master key: set PARSE_MASTER_KEY.');

  const schemas = await app.schemas(masterKey);
  const ofPolicy = Object.entries(classes).map(([className, policy]) => ({
    className,
    fields: Object.fromEntries(fieldsOf(policy).map((field) => [field, columnOf(policy, field)])),
    limits: PERMISSIONS,
    isReporting: policy.mode === 'report',
    faults: wrongTypes(policy, schemas.get(className)?.fields ?? {}),
  }));
  const ofErasure = { className: ERASURE_CLASS, fields: ERASURE_FIELDS, limits: CLOSED, faults: [] };
  const ofUsers = { className: '_User', fields: {}, limits: { addField: 'nobody' as const }, faults: [] };
  const users = schemas.get('_User')?.classLevelPermissions;
  const wanted: Wanted[] = [
    ...ofPolicy,
    ...(virgil.eraseDeletedUsers ? [ofErasure] : []),
    ...(users && isForAnyUser(users, 'addField') ? [ofUsers] : []),
  ];
  const all = wanted.map((one) => changeOf(one, schemas.get(one.className)));
  const faults = all.flatMap((change) => change.faults);
  if (faults.length > 0) {
    throw new UserError(
      `Nothing was changed. A type cannot be changed while the field is there:\n  ${faults.join('\n  ')}\n` +
        'Name another field in back4app.json, or another type; or delete the field in the dashboard, with what it holds.',
    );
  }
  for (const { className, held } of all) {
    if (held.length > 0) say([`${className} reports. At "mode": "enforce" come:`, ...held].join('\n    '));
  }
  const changes = all.filter(({ lines }) => lines.length > 0);
  for (const { className, existing, lines } of changes) {
    say([`${className}${existing ? '' : ' (new)'}`, ...lines].join('\n  '));
  }
  for (const { className, existing, permissions } of all) {
    if (existing && Object.hasOwn(classes, className))
      await nameOpenRows(app, className, permissions, masterKey);
  }
  if (changes.length === 0) {
    say(`Nothing to change: ${app.server} has the classes of the policy.`);
    return;
  }
  await confirm(`Change this on ${app.server}?`, values.yes);
  // Somebody may have tightened a class since the difference was made up: our permissions would undo that.
  const now = await app.schemas(masterKey);
  for (const { className, existing, body } of changes) {
    if (!isDeepStrictEqual(now.get(className), existing)) {
      throw new UserError(
        `${className} is not as it was when this began, and was not changed: run it again.`,
      );
    }
    const method = existing ? 'PUT' : 'POST';
    const answer = await app.call(method, `/schemas/${className}`, body, { masterKey });
    if (answer.status !== 200) {
      throw new UserError(
        `${className} cannot be changed (${inShort(answer)}): does the server keep its schema locked, or is the key read-only?`,
      );
    }
    say(`${className} is done.`);
  }
});

/**
 * Adds the fields that are missing, and holds each permission to its limit; takes nothing else away, and gives nobody a right
 * in a class that there is. A class that only reports keeps its permissions: those of the policy would shut clients out.
 */
function changeOf(
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

/** Tells of rows that nothing but the class's permissions closes to anybody. */
async function nameOpenRows(
  app: ParseApp,
  className: string,
  permissions: Permissions,
  masterKey: string,
): Promise<void> {
  const count = await countOpenRows(app, className, masterKey);
  if (count === 0) return;
  if (count === undefined) {
    say(`${className}: the server does not tell how many rows have no ACL.`);
    return;
  }
  const who = ['find', 'get', 'update', 'delete'].map(
    (operation) => `${operation}: ${inWords(permissions, operation)}`,
  );
  say(
    `${className}: rows without an ACL, or with one that lets everybody in: ${count}. Only the class's permissions keep others ` +
      `from them (${who.join('; ')}). Give each of these rows an ACL, with the master key.`,
  );
}

/** @returns undefined where the server does not tell, or not in time */
async function countOpenRows(
  app: ParseApp,
  className: string,
  masterKey: string,
): Promise<number | undefined> {
  // As Parse Server itself asks: a missing ACL is stored as none.
  const isOpen = { $in: [null, '*'] };
  const parameters = new URLSearchParams({
    where: JSON.stringify({ $or: [{ _rperm: isOpen }, { _wperm: isOpen }] }),
    count: '1',
    limit: '0',
  });
  try {
    const { body } = await app.call('GET', `/classes/${className}?${parameters}`, undefined, { masterKey });
    return Number.isSafeInteger(body.count) ? (body.count as number) : undefined;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

function limitAll(limit: Limit): Record<string, Limit> {
  return Object.fromEntries(OPERATIONS.map((operation) => [operation, limit]));
}
