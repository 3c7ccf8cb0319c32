import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { config as readDotEnv } from 'dotenv';
import type { ClassPolicy } from '../cloud/policy';
import { PARSE_FIELDS } from '../cloud/triggers/guard';
import { runCommand } from './command-line/command';
import { type ClassSchema, givenMasterKey, ParseApp } from './command-line/parse-app';
import { askYesOrNo, canAsk, confirm } from './command-line/prompt';
import { listed, say } from './command-line/shown';
import { asTyped } from './command-line/typed';
import { UserError } from './command-line/user-error';
import { isUploaded } from './deploy/upload-rules';
import { print } from './doctor/finding';
import { checkMainFile } from './doctor/main-file';
import { checkProject } from './doctor/project';
import { bundleName, isGitIgnored } from './doctor/repository';
import { whyNotEdited, withCredentials, withLines, withRequire, withScripts } from './init/app-files';
import { type Given, givenClass, type LiveApp, otherOptions, type WrittenClass } from './init/class-policy';
import { changeOf, type FileChange, inLines, readProjectFile, write } from './init/file-change';
import { bundleWith, projectRoot } from './project/bundle';
import { checkedPolicy, readPolicy, wrongTypes } from './project/policy';

const POLICY_FILE = 'back4app.json';
const MAIN_FILE = 'cloud/main.js';
const NOT_FOR_GIT = ['node_modules/', '.env', '.local/', '.parse.local', '.parse.project'];

/** `back4app.json` as it is written. */
interface WrittenPolicy {
  virgil: Record<string, unknown>;
  classes: Record<string, WrittenClass>;
}

const NEW_POLICY: WrittenPolicy = { virgil: { tokenTtlSeconds: 1200, guardUserIds: true }, classes: {} };

runCommand('init', async (values) => {
  readDotEnv({ quiet: true });
  const mayAsk = canAsk && !values.yes;
  const live = values.server || values['app-id'] ? await openLiveApp(values, mayAsk) : undefined;
  const policy = await policyOf(values, mayAsk, live);
  const main = join(projectRoot, MAIN_FILE);
  const { bundle: required } = checkMainFile(main); // by whatever name it was built
  const isRequired = required !== undefined && required !== main;
  const whyNot = isRequired
    ? undefined
    : whyNotEdited(main, readProjectFile(MAIN_FILE), existsSync(join(projectRoot, 'cloud/main.ts')));
  const changes = await changesFor(policy);
  if (!isRequired && !whyNot) changes.push(...changeOf(MAIN_FILE, withRequire));
  for (const change of changes) say(inLines(change));
  if (changes.length === 0) say('Nothing to change.');
  if (!values['dry-run']) {
    if (changes.length > 0) await confirm('Write this?', values.yes);
    for (const change of changes) write(change);
    await check();
    const reporting = Object.keys(policy.classes).filter((name) => policy.classes[name]?.mode === 'report');
    if (reporting.length > 0) {
      console.log(
        `\n${reporting.join(', ')}: what is no ciphertext is reported, until "mode" in ${POLICY_FILE} is "enforce".`,
      );
    }
    console.log(asTyped('\nNext: the VIRGIL_ values into .env, npm run doctor, npm run deploy.'));
  }
  if (whyNot) throw new UserError(`${MAIN_FILE} ${whyNot}`);
});

async function openLiveApp(
  values: Given & { server?: string; 'app-id'?: string },
  mayAsk: boolean,
): Promise<LiveApp> {
  const app = new ParseApp(values, process.env);
  const masterKey = await givenMasterKey(process.env, mayAsk);
  if (!masterKey) throw new UserError('To read the schema takes the master key: set PARSE_MASTER_KEY.');
  return { app, masterKey, schemas: await app.schemas(masterKey) };
}

/** The policy that is there, with the class in it that is to be guarded. */
async function policyOf(given: Given, mayAsk: boolean, live: LiveApp | undefined): Promise<WrittenPolicy> {
  const text = readProjectFile(POLICY_FILE);
  if (text !== undefined) readPolicy(join(projectRoot, POLICY_FILE));
  const policy: WrittenPolicy = text === undefined ? NEW_POLICY : JSON.parse(text);
  const isNothingSaid = [given.class, given.encrypted, given.plain, given.sender, given.mode].every(
    (one) => one === undefined,
  );
  if (isNothingSaid && Object.keys(policy.classes).length > 0) return policy;
  const there = given.class === undefined ? undefined : policy.classes[given.class];
  if (there) {
    const others = otherOptions(given, there);
    if (others.length === 0) return policy;
    throw new UserError(
      `${POLICY_FILE} says otherwise of ${given.class} than ${others.join(', ')}: edit it there.`,
    );
  }
  const [name, written] = await givenClass(given, mayAsk, live);
  if (policy.classes[name]) throw new UserError(`${POLICY_FILE} has ${name} already: edit it there.`);
  const virgil = text === undefined ? { ...policy.virgil, ...(await erasure(mayAsk)) } : policy.virgil;
  const extended = { ...policy, virgil, classes: { ...policy.classes, [name]: written } };
  const checked = checkedPolicy(extended, POLICY_FILE);
  const fields = live?.schemas.get(name)?.fields;
  if (fields) compareWithLive(name, checked.classes[name] as ClassPolicy, fields);
  return extended;
}

/** @throws UserError where the class's fields are of types that cannot hold what they must */
function compareWithLive(name: string, policy: ClassPolicy, fields: ClassSchema['fields']): void {
  const wrong = wrongTypes(policy, fields);
  if (wrong.length > 0) throw new UserError(`${name} cannot be guarded so:\n  ${wrong.join('\n  ')}`);
  const known = [...PARSE_FIELDS, ...policy.encrypted, ...policy.plain];
  const left = Object.keys(fields).filter((field) => !known.includes(field));
  if (left.length > 0) {
    say(
      `${name} has fields that the policy does not name. Nobody will be able to write them: ${listed(left)}.`,
    );
  }
}

/** Off, unless somebody says yes: it cannot be taken back, and a copied database has the users of its original. */
async function erasure(mayAsk: boolean): Promise<object> {
  const question =
    'If this database alone uses your Virgil application: when a user is deleted, take the cards and key backups off Virgil Cloud, for good?';
  return mayAsk && (await askYesOrNo(question, false)) ? { eraseDeletedUsers: true } : {};
}

async function changesFor(policy: WrittenPolicy): Promise<FileChange[]> {
  const code = await bundleWith(checkedPolicy(policy, POLICY_FILE));
  return [
    ...changeOf(POLICY_FILE, (before) =>
      before !== undefined && isDeepStrictEqual(JSON.parse(before), policy)
        ? before
        : `${JSON.stringify(policy, null, 2)}\n`,
    ),
    ...changeOf(bundleName, () => code),
    ...changeOf('.env', withCredentials),
    ...changeOf('.gitignore', (before) =>
      withLines(before, [...NOT_FOR_GIT, ...(isGitIgnored(bundleName) ? [`!${bundleName}`] : [])]),
    ),
    ...changeOf('.parseignore', (before) =>
      isUploaded(projectRoot, bundleName) ? before : withLines(before, [`!${basename(bundleName)}`]),
    ),
    ...changeOf('package.json', withScripts),
  ];
}

/** The doctor's checks of the project. Its credentials may come later. */
async function check(): Promise<void> {
  for await (const finding of checkProject(process.env, { credentialsMayBeElsewhere: true })) {
    print(finding);
    if (finding.status === 'fault') process.exitCode = 1;
  }
}
