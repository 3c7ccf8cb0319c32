import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { config as readDotEnv } from 'dotenv';
import { ERASURE_CLASS } from '../cloud/triggers/erasure';
import { runCommand } from './command-line/command';
import { type ClassSchema, givenMasterKey, inShort, ParseApp } from './command-line/parse-app';
import { canAsk, confirm } from './command-line/prompt';
import { UserError } from './command-line/user-error';
import { projectRoot } from './project/bundle';
import { ERASURE_FIELDS } from './project/erasure-class';
import { type Column, columnOf, fieldsOf, readPolicy, typeName, wrongTypes } from './project/policy';

const SIGNED_IN = { requiresAuthentication: true };
const NOBODY = {};

/** Who may do what in a class of the policy. The guard and each row's ACL see to the rest. */
const PERMISSIONS: Record<string, object> = {
  find: SIGNED_IN,
  get: SIGNED_IN,
  count: SIGNED_IN,
  create: SIGNED_IN,
  update: SIGNED_IN,
  delete: SIGNED_IN,
  addField: NOBODY,
};

/** Nobody may do anything in the class of erasures: the server has the master key. */
const CLOSED = Object.fromEntries(Object.keys(PERMISSIONS).map((operation) => [operation, NOBODY]));

/** What a class is to be. */
interface Wanted {
  className: string;
  fields: Record<string, Column>;
  permissions: Record<string, object>;
  isReporting?: boolean;
  /** What is wrong with the fields that there are. */
  faults: string[];
}

/** What is to be done to a class, and the body of the request that does it. */
interface Change {
  className: string;
  method: 'POST' | 'PUT';
  body: object;
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
    permissions: PERMISSIONS,
    isReporting: policy.mode === 'report',
    faults: wrongTypes(policy, schemas.get(className)?.fields ?? {}),
  }));
  const ofErasure = { className: ERASURE_CLASS, fields: ERASURE_FIELDS, permissions: CLOSED, faults: [] };
  const wanted = [...ofPolicy, ...(virgil.eraseDeletedUsers ? [ofErasure] : [])].map((one) =>
    changeOf(one, schemas.get(one.className)),
  );
  const faults = wanted.flatMap((change) => change.faults);
  if (faults.length > 0) {
    throw new UserError(
      `Nothing was changed. A type cannot be changed while the field is there:\n  ${faults.join('\n  ')}\n` +
        'Name another field in back4app.json, or another type; or delete the field in the dashboard, with what it holds.',
    );
  }
  for (const { className, held } of wanted) {
    if (held.length > 0)
      console.log([`${className} reports. At "mode": "enforce" come:`, ...held].join('\n    '));
  }
  const changes = wanted.filter(({ lines }) => lines.length > 0);
  if (changes.length === 0) {
    console.log(`Nothing to change: ${app.server} has the classes of the policy.`);
    return;
  }
  for (const { className, method, lines } of changes) {
    console.log([`${className}${method === 'POST' ? ' (new)' : ''}`, ...lines].join('\n  '));
  }
  await confirm(`Change this on ${app.server}?`, values.yes);
  for (const { className, method, body } of changes) {
    const answer = await app.call(method, `/schemas/${className}`, body, { masterKey });
    if (answer.status !== 200) {
      throw new UserError(
        `${className} cannot be changed (${inShort(answer)}): does the server keep its schema locked, or is the key read-only?`,
      );
    }
    console.log(`${className} is done.`);
  }
});

/**
 * Adds the fields that are missing and sets the seven permissions, whatever they were; takes nothing else away. A class
 * that only reports keeps its permissions: those of the policy would shut clients out.
 */
function changeOf(
  { className, fields, permissions: wanted, isReporting, faults }: Wanted,
  existing?: ClassSchema,
): Change {
  const missing = Object.entries(fields).filter(([field]) => !existing?.fields[field]);
  const permissions = existing?.classLevelPermissions ?? {};
  const different = Object.keys(wanted).filter(
    (operation) => !existing || !isDeepStrictEqual(permissions[operation], wanted[operation]),
  );
  const isHeldBack = existing !== undefined && isReporting === true;
  const changed = different.map((operation) => {
    const now = existing ? `${inWords(permissions[operation])} -> ` : '';
    return `${operation}: ${now}${inWords(wanted[operation])}`;
  });
  const sign = existing ? '~' : '+';
  return {
    className,
    method: existing ? 'PUT' : 'POST',
    body: {
      className,
      fields: Object.fromEntries(missing),
      // What else the app's owner has set, such as protectedFields, stays.
      ...(!isHeldBack && { classLevelPermissions: { ...permissions, ...wanted } }),
    },
    lines: [
      ...missing.map(([field, column]) => `+ field ${field}: ${typeName(column)}`),
      ...(isHeldBack ? [] : changed.map((line) => `${sign} ${line}`)),
    ],
    held: isHeldBack ? changed : [],
    faults: faults.map((fault) => `${className}.${fault}.`),
  };
}

function inWords(permission: unknown): string {
  if (permission === undefined || isDeepStrictEqual(permission, NOBODY)) return 'nobody';
  if (isDeepStrictEqual(permission, SIGNED_IN)) return 'signed-in users';
  if ((permission as Record<string, unknown>)['*'] === true) return 'the public';
  return JSON.stringify(permission);
}
