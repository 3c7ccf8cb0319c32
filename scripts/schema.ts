import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { config as readDotEnv } from 'dotenv';
import { runCommand } from './command-line/command';
import { givenMasterKey, inShort, ParseApp } from './command-line/parse-app';
import { canAsk, confirm } from './command-line/prompt';
import { say } from './command-line/shown';
import { UserError } from './command-line/user-error';
import { projectRoot } from './project/bundle';
import { changeOf, changesOf } from './project/class-changes';
import { inWords, isForAnyUser, type Permissions } from './project/permissions';
import { readPolicy } from './project/policy';

runCommand('schema', async (values) => {
  readDotEnv({ quiet: true });
  const app = new ParseApp(values, process.env);
  const policy = readPolicy(join(projectRoot, 'back4app.json'));
  const masterKey = await givenMasterKey(process.env, canAsk);
  if (!masterKey) throw new UserError('The schema needs the master key: set PARSE_MASTER_KEY.');

  const schemas = await app.schemas(masterKey);
  const users = schemas.get('_User');
  const ofUsers = { className: '_User', fields: {}, limits: { addField: 'nobody' as const }, faults: [] };
  const all = [
    ...changesOf(policy, schemas),
    ...(users?.classLevelPermissions && isForAnyUser(users.classLevelPermissions, 'addField')
      ? [changeOf(ofUsers, users)]
      : []),
  ];
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
    if (existing && Object.hasOwn(policy.classes, className))
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
