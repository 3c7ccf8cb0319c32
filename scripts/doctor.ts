import { readFileSync } from 'node:fs';
import { config as readDotEnv } from 'dotenv';
import { runCommand } from './command-line/command';
import { givenMasterKey, ParseApp } from './command-line/parse-app';
import { ask, canAsk } from './command-line/prompt';
import { UserError } from './command-line/user-error';
import { checkCopies } from './doctor/copies';
import { checkDatabase } from './doctor/database';
import { checkAsUser, checkDeployed, type GivenRows } from './doctor/deployed';
import { checkCustomIds, checkErasures } from './doctor/erasure';
import { removeUpload } from './doctor/files';
import { type Finding, type Findings, fault, print, skipped } from './doctor/finding';
import { checkMainFile } from './doctor/main-file';
import { checkPolicy, checkProject, projectPolicy } from './doctor/project';
import { checkReports } from './doctor/reports';
import { checkSchema } from './doctor/schema';

const COPIES =
  'Fields of other classes that copy what is encrypted (Channel.lastMessage, say), with commas between (Enter for none):';

runCommand('doctor', async (values) => {
  if (values.password !== undefined) {
    throw new UserError('--password is no option: set DOCTOR_PASSWORD, or type it when asked for it.');
  }
  readDotEnv({ quiet: true });
  const findings =
    values.server || values['app-id'] || values['master-key']
      ? checkApp(new ParseApp(values, process.env), { ...values, mayAsk: canAsk && !values.json })
      : checkProject(process.env, { credentialsMayBeElsewhere: false, main: values.main });
  const all: Finding[] = [];
  for await (const finding of findings) {
    all.push(finding);
    if (!values.json) print(finding);
  }
  const isWell = all.every(({ status }) => status !== 'fault');
  if (values.json) console.log(JSON.stringify({ ok: isWell, findings: all }, null, 2));
  if (!isWell) process.exitCode = 1;
});

/** Checks a deployed app: from outside, then as a user, then with the master key. */
async function* checkApp(
  app: ParseApp,
  { main, row, copies, mayAsk }: { main?: string; row?: string; copies?: string; mayAsk: boolean },
): Findings {
  const since = Date.now();
  const policy = checkPolicy();
  yield policy;
  if (main !== undefined) yield checkMainFile(main).finding;
  if (policy.status === 'fault') return;
  try {
    yield* checkDeployed(app);
    const { eraseDeletedUsers } = projectPolicy().virgil;
    yield await checkCustomIds(app);
    const user = await givenUser(mayAsk);
    let uploaded: string | undefined;
    if (user) uploaded = yield* checkAsUser(app, projectPolicy(), user, process.env, givenRows(row));
    else yield skipped('token and guards', 'needs a user of the app: set DOCTOR_USER and DOCTOR_PASSWORD.');
    const masterKey = await givenMasterKey(process.env, mayAsk);
    if (uploaded !== undefined) yield await removeUpload(app, uploaded, masterKey);
    if (masterKey) {
      yield* checkSchema(app, projectPolicy(), masterKey);
      yield* checkDatabase(app, projectPolicy(), masterKey);
      const copied = copies ?? (mayAsk && (await ask(COPIES)));
      if (copied) yield* checkCopies(app, copied, masterKey);
      if (eraseDeletedUsers) yield* checkErasures(app, masterKey);
      if (user) yield* checkReports(app, projectPolicy(), since, masterKey);
    } else yield skipped('schema and rows', 'needs the master key: set PARSE_MASTER_KEY.');
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    yield fault('server', error.message);
  }
}

/** @throws UserError for a file that is not a JSON of values by class */
function givenRows(file: string | undefined): GivenRows {
  if (file === undefined) return {};
  let rows: unknown;
  try {
    rows = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UserError(`--row: ${file} cannot be read: ${(error as Error).message}`);
  }
  const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (isObject(rows) && Object.values(rows as object).every(isObject)) return rows as GivenRows;
  throw new UserError(`--row: ${file} must be JSON such as { "Message": { "threadId": "…" } }.`);
}

async function givenUser(mayAsk: boolean): Promise<{ username: string; password: string } | undefined> {
  const { DOCTOR_USER, DOCTOR_PASSWORD } = process.env;
  const username = DOCTOR_USER || (mayAsk && (await ask('Name of a user of the app (Enter for none):')));
  if (!username) return undefined;
  const password = DOCTOR_PASSWORD || (mayAsk && (await ask('Password (not shown):', { secret: true })));
  return password ? { username, password } : undefined;
}
