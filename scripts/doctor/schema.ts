import { envelopeIn } from '../../cloud/envelope/recognise-envelope';
import type { ClassPolicy, Policy } from '../../cloud/policy';
import { ENCRYPTED_FILE } from '../../cloud/triggers/encrypted-file';
import { ERASURE_CLASS } from '../../cloud/triggers/erasure';
import { PARSE_FIELDS } from '../../cloud/triggers/guard';
import { isRecord, TooLarge } from '../command-line/bounded-request';
import { type ClassSchema, inShort, type ParseApp, rowsIn } from '../command-line/parse-app';
import { joined, listed, shown } from '../command-line/shown';
import { inWords, isForAnyUser, isPublic, OPERATIONS } from '../project/permissions';
import { fieldsOf, wrongTypes } from '../project/policy';
import { type Finding, type Findings, fault, ok, skipped, warning } from './finding';
import { FUNCTIONS } from './second-definitions';

// Of each class, the oldest rows are looked at: those may be older than the guard.
const MAX_ROWS = 1000;
const ROWS_A_PAGE = 100; // Fewer, where those would be too large an answer.
const MAX_PAGES = 40;

/** Checks what only the master key can see of a deployed app. */
export async function* checkSchema(app: ParseApp, policy: Policy, masterKey: string): Findings {
  const schemas = await app.schemas(masterKey);
  yield ok('master key', 'is accepted');
  yield* checkWebhooks(app, policy, masterKey);
  yield checkUserFields(schemas.get('_User'));
  for (const [className, classPolicy] of Object.entries(policy.classes)) {
    const schema = schemas.get(className);
    if (!schema) {
      yield fault(`${className} class`, 'is not there: npm run schema.');
      continue;
    }
    yield checkPermissions(schema, classPolicy);
    yield* checkFields(schema, classPolicy);
    const hidden = checkSender(schema, classPolicy);
    if (hidden) yield hidden;
    yield checkDefaults(schema);
    yield* checkRows(app, className, classPolicy, masterKey);
  }
}

/** A webhook is called in place of the trigger or function of the same name. */
async function* checkWebhooks(app: ParseApp, policy: Policy, masterKey: string): Findings {
  const triggers = await app.call('GET', '/hooks/triggers', undefined, { masterKey });
  const functions = await app.call('GET', '/hooks/functions', undefined, { masterKey });
  if (!Array.isArray(triggers.body) || !Array.isArray(functions.body)) {
    yield skipped('webhooks', `the server does not list them (${inShort(triggers)}).`);
    return;
  }
  const named = triggers.body.filter(isRecord).map(({ className, triggerName }) => ({
    className: textIn(className),
    triggerName: textIn(triggerName),
  }));
  const replaced = [
    ...named
      .filter(
        ({ className, triggerName }) =>
          triggerName === 'beforeSave' && Object.hasOwn(policy.classes, className),
      )
      .map(({ className }) => `the guard of ${className}`),
    ...named
      .filter(({ className, triggerName }) =>
        policy.virgil.eraseDeletedUsers && className === '_User'
          ? triggerName.endsWith('Delete')
          : className === ERASURE_CLASS,
      )
      .map(({ className, triggerName }) => `our ${shown(triggerName)} of ${className}`),
    ...functions.body
      .filter(isRecord)
      .map(({ functionName }) => textIn(functionName))
      .filter((functionName) => FUNCTIONS.includes(functionName)),
  ];
  yield replaced.length > 0
    ? fault('webhooks', `a webhook replaces ${joined(replaced)}: delete it in the dashboard, under Webhooks.`)
    : ok('webhooks', 'none replaces a guard or a function');
}

/** Looks for a way to fill the table of users, which costs no more than signing up. */
function checkUserFields(users?: ClassSchema): Finding {
  const check = 'fields of users';
  return isForAnyUser(users?.classLevelPermissions, 'addField')
    ? warning(
        check,
        'clients may add fields to _User (addField): by signing up with fields that nobody knows, a stranger can fill the table to the ' +
          "database's limit of columns. Close it: npm run schema. Parse Server's option maxUploadSize limits what one request can bring.",
      )
    : ok(check, 'clients cannot add any');
}

/** A permission that is narrower than what `npm run schema` gives a new class is well: the app's owner has set it. */
function checkPermissions({ className, classLevelPermissions }: ClassSchema, { mode }: ClassPolicy): Finding {
  const check = `${className} permissions`;
  const open = OPERATIONS.filter((operation) => isPublic(classLevelPermissions, operation));
  if (open.length === 0) {
    const narrower = OPERATIONS.filter((operation) => operation !== 'addField')
      .map((operation) => [operation, inWords(classLevelPermissions, operation)])
      .filter(([, who]) => who !== 'signed-in users')
      .map(([operation, who]) => `; ${operation}: ${who}`);
    return ok(check, `closed to the public${narrower.join('')}`);
  }
  const message = `open to the public: ${open.join(', ')}. Close them: npm run schema`;
  return mode === 'report'
    ? warning(check, `${message}, when "mode" is "enforce".`)
    : fault(check, `${message}.`);
}

function* checkFields({ className, fields }: ClassSchema, policy: ClassPolicy): Generator<Finding> {
  const check = `${className} fields`;
  const known = fieldsOf(policy);
  const unknown = Object.keys(fields).filter((field) => ![...PARSE_FIELDS, ...known].includes(field));
  const missing = known.filter((field) => !fields[field]);
  const faults: [string[], string, string][] = [
    [unknown, 'not in the policy', 'Name them in back4app.json, or delete them in the dashboard.'],
    [missing, 'not there', 'Add them: npm run schema.'],
  ];
  const found = faults.filter(([names]) => names.length > 0);
  for (const [names, what, mend] of found) yield fault(check, `${what}: ${listed(names)}. ${mend}`);
  const wrong = wrongTypes(policy, fields);
  for (const fieldIs of wrong) {
    yield fault(check, `${fieldIs}. Name another field, or another type, in back4app.json.`);
  }
  if (found.length + wrong.length === 0) yield ok(check, 'those of the policy');
}

/** Names a setting, as each save by a sender who is hidden costs a query. */
function checkSender(
  { className, classLevelPermissions }: ClassSchema,
  { sender }: ClassPolicy,
): Finding | undefined {
  const hidden = classLevelPermissions?.protectedFields;
  if (!sender || !isRecord(hidden)) return;
  const isHidden = Object.values(hidden).some((fields) => Array.isArray(fields) && fields.includes(sender));
  if (!isHidden) return;
  return warning(
    `${className} sender`,
    `protectedFields hides ${sender}, so the guard asks the database for it when a sender changes a row. On Parse Server 9 set the ` +
      'option protectedFieldsTriggerExempt to true: it shows triggers the whole row.',
  );
}

function checkDefaults({ className, fields }: ClassSchema): Finding {
  const check = `${className} defaults`;
  const withDefault = Object.keys(fields).filter((field) => {
    const value = fields[field]?.defaultValue;
    return value !== undefined && value !== null;
  });
  return withDefault.length > 0
    ? fault(
        check,
        `default values, which are written after the guard has looked: ${listed(withDefault)}. Take them away in the dashboard.`,
      )
    : ok(check, 'no field has a default value');
}

async function* checkRows(
  app: ParseApp,
  className: string,
  policy: ClassPolicy,
  masterKey: string,
): Findings {
  const { encrypted, files = [] } = policy;
  if (encrypted.length + files.length === 0) return;
  const check = `${className} rows`;
  let rows = 0;
  let plaintext = 0;
  let telling = 0;
  let rowsAPage = ROWS_A_PAGE;
  let isAll = false;
  for (let page = 0; page < MAX_PAGES && rows < MAX_ROWS && !isAll; page++) {
    const limit = Math.min(rowsAPage, MAX_ROWS - rows);
    const parameters = new URLSearchParams({
      keys: [...encrypted, ...files].join(','),
      order: 'createdAt',
      skip: String(rows),
      limit: String(limit),
    });
    const answer = await app
      .call('GET', `/classes/${className}?${parameters}`, undefined, { masterKey })
      .catch((error: Error) => error);
    if (answer instanceof Error) {
      if (limit === 1 || !(answer.cause instanceof TooLarge)) throw answer;
      rowsAPage = Math.floor(limit / 2);
      continue;
    }
    const results = rowsIn(answer);
    if (!results || results.length > limit) {
      yield fault(check, `cannot be read (${inShort(answer)}).`);
      return;
    }
    rows += results.length;
    isAll = results.length < limit;
    plaintext += results.filter((row) => encrypted.some((field) => isPlaintext(row[field], policy))).length;
    telling += results.filter((row) => files.some((field) => isTelling(row[field]))).length;
  }
  const looked = isAll ? `${rows} rows` : `the oldest ${rows} rows`;
  const complain = policy.mode === 'report' ? warning : fault;
  if (plaintext > 0) {
    yield complain(
      check,
      `${plaintext} of ${looked} hold plaintext in an encrypted field, from before the guard: have a client encrypt them, or delete them.`,
    );
  } else yield ok(check, `no plaintext in ${looked}`);
  if (telling > 0) {
    yield complain(
      `${className} files`,
      `${telling} of ${looked} hold a file from before the guard, whose name may tell what it is, and which may not be encrypted: ` +
        'have a client encrypt and upload it anew, and delete the old one.',
    );
  }
}

function isTelling(file: unknown): boolean {
  if (file === undefined || file === null) return false;
  return !ENCRYPTED_FILE.test(textIn(isRecord(file) ? file.name : undefined));
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isPlaintext(value: unknown, policy: ClassPolicy): boolean {
  return value !== undefined && value !== null && typeof envelopeIn(value, policy) === 'string';
}
