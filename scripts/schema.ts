import { join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { config as readDotEnv } from 'dotenv';
import type { ClassPolicy } from '../cloud/policy';
import { projectRoot } from './bundle';
import { type ClassSchema, givenMasterKey, inShort, ParseApp, parseAppOptions } from './parse-app';
import { readPolicy } from './policy';
import { canAsk, confirm } from './prompt';
import { runCommand, UserError } from './user-error';

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

/** What is to be done to a class, and the body of the request that does it. */
interface Change {
  className: string;
  method: 'POST' | 'PUT';
  body: object;
  /** For the user. */
  lines: string[];
}

runCommand(async () => {
  const { values } = parseArgs({
    options: { ...parseAppOptions, yes: { type: 'boolean', default: false } },
  });
  readDotEnv({ quiet: true });
  const app = new ParseApp(values);
  const { classes } = readPolicy(join(projectRoot, 'back4app.json'));
  const masterKey = await givenMasterKey(process.env, canAsk);
  if (!masterKey) throw new UserError('The schema needs the master key: set PARSE_MASTER_KEY.');

  const schemas = await app.schemas(masterKey);
  const changes = Object.entries(classes)
    .map(([className, policy]) => changeOf(className, policy, schemas.get(className)))
    .filter(({ lines }) => lines.length > 0);
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

/** Adds the fields that are missing and sets the seven permissions, whatever they were; takes nothing else away. */
function changeOf(className: string, { encrypted, plain }: ClassPolicy, existing?: ClassSchema): Change {
  const missing = [...encrypted, ...plain].filter((field) => !existing?.fields[field]);
  const permissions = existing?.classLevelPermissions ?? {};
  const different = Object.keys(PERMISSIONS).filter(
    (operation) => !existing || !isDeepStrictEqual(permissions[operation], PERMISSIONS[operation]),
  );
  return {
    className,
    method: existing ? 'PUT' : 'POST',
    body: {
      className,
      fields: Object.fromEntries(missing.map((field) => [field, { type: 'String' }])),
      // What else the app's owner has set, such as protectedFields, stays.
      classLevelPermissions: { ...permissions, ...PERMISSIONS },
    },
    lines: [
      ...missing.map((field) => `+ field ${field}: String`),
      ...different.map((operation) => {
        const now = existing ? `${inWords(permissions[operation])} -> ` : '';
        return `${existing ? '~' : '+'} ${operation}: ${now}${inWords(PERMISSIONS[operation])}`;
      }),
    ],
  };
}

function inWords(permission: unknown): string {
  if (permission === undefined || isDeepStrictEqual(permission, NOBODY)) return 'nobody';
  if (isDeepStrictEqual(permission, SIGNED_IN)) return 'signed-in users';
  if ((permission as Record<string, unknown>)['*'] === true) return 'the public';
  return JSON.stringify(permission);
}
