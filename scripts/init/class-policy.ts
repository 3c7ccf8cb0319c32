import { isDeepStrictEqual } from 'node:util';
import { PARSE_FIELDS } from '../../cloud/triggers/guard';
import { type ClassSchema, inShort, type ParseApp, pathTo, rowsIn } from '../command-line/parse-app';
import { ask, askYesOrNo } from '../command-line/prompt';
import { listed, shown } from '../command-line/shown';
import { UserError } from '../command-line/user-error';
import { FIELD_NAME, PLAIN_TYPES, typeName } from '../project/policy';

// More are not proposed: whoever sends more means no good, and would fill the terminal.
const MAX_PROPOSED = 100;

/** What the options say of a class. */
export interface Given {
  class?: string;
  encrypted?: string;
  plain?: string;
  sender?: string;
  mode?: string;
}

/** A class as `back4app.json` has it. */
export interface WrittenClass {
  mode?: string;
  encrypted: string[];
  plain: string[] | Record<string, string>;
  sender?: string;
}

/** The live app, where the options name it. */
export interface LiveApp {
  app: ParseApp;
  masterKey: string;
  schemas: Map<string, ClassSchema>;
}

/**
 * The class to guard: as the options say, and where one may ask, by answers. What the live app has is proposed.
 *
 * @throws UserError where something is not said: it is not guessed
 */
export async function givenClass(
  given: Given,
  mayAsk: boolean,
  live: LiveApp | undefined,
): Promise<[name: string, written: WrittenClass]> {
  async function said(option: keyof Given, question: string, proposal = ''): Promise<string> {
    const value = given[option];
    if (value !== undefined) return value;
    if (!mayAsk) {
      throw new UserError(
        `Say --${option}${proposal && ` '${proposal}', or another`}: what is secret is not guessed.`,
      );
    }
    const answer = (await ask(`${question}${proposal && ` [${proposal}; - for none]`}:`)).trim();
    return answer === '-' ? '' : answer || proposal;
  }

  const classes = [...(live?.schemas.keys() ?? [])].filter((name) => !name.startsWith('_'));
  const name = await said('class', `Class to guard${inBrackets(classes)}`);
  if (name === '') throw new UserError('Nothing was changed: no class is named.');
  // What is proposed is taken by Enter, and goes into the policy: of a server's names only what can be a name.
  const columns = Object.entries(live?.schemas.get(name)?.fields ?? {})
    .filter(
      ([field, { targetClass = 'C' }]) =>
        FIELD_NAME.test(field) &&
        FIELD_NAME.test(targetClass.replace(/^_/, '')) &&
        !PARSE_FIELDS.includes(field),
    )
    .slice(0, MAX_PROPOSED);
  const texts = columns.filter(([, { type }]) => type === 'String').map(([field]) => field);
  const encrypted = fieldsIn(
    await said('encrypted', `Fields of ${name} that hold ciphertext${inBrackets(texts)}`),
  );
  const others = columns.filter(
    ([field, { type }]) => !encrypted.includes(field) && PLAIN_TYPES.includes(type),
  );
  const plain = plainFieldsIn(
    await said('plain', 'Its other fields, as name or as name:Type', typed(others)),
  );
  // Options that say all there must be say that there is no sender.
  const isSaid = given.encrypted !== undefined && given.plain !== undefined;
  const senders = others.filter(([, column]) => typeName(column) === 'Pointer<_User>');
  const sender =
    isSaid || !mayAsk
      ? given.sender
      : await said('sender', 'The one that holds the user who wrote the row, if any', senders[0]?.[0]);
  const mode = given.mode ?? (await modeOf(name, mayAsk, live));
  return [name, { ...(mode !== 'enforce' && { mode }), encrypted, plain, ...(sender && { sender }) }];
}

/** @returns the options that say something else of a class than `back4app.json` */
export function otherOptions(given: Given, written: WrittenClass): string[] {
  const said = {
    mode: [given.mode, written.mode ?? 'enforce'],
    encrypted: [given.encrypted && fieldsIn(given.encrypted), written.encrypted],
    plain: [given.plain && plainFieldsIn(given.plain), written.plain],
    sender: [given.sender, written.sender],
  };
  return Object.entries(said)
    .filter(([, [option, there]]) => option !== undefined && !isDeepStrictEqual(option, there))
    .map(([name]) => `--${name}`);
}

/** What is not known to be empty only reports: the guard would refuse what clients send today. */
async function modeOf(name: string, mayAsk: boolean, live: LiveApp | undefined): Promise<string> {
  if (live) return (await hasRows(name, live)) ? 'report' : 'enforce';
  if (!mayAsk) return 'report';
  const isInUse = await askYesOrNo(`Has ${name} rows already, or do clients send it plain text?`, true);
  return isInUse ? 'report' : 'enforce';
}

async function hasRows(name: string, { app, masterKey, schemas }: LiveApp): Promise<boolean> {
  if (!schemas.has(name)) return false;
  const path = `${pathTo`/classes/${name}`}?keys=objectId&limit=1`;
  const answer = await app.call('GET', path, undefined, { masterKey });
  const rows = rowsIn(answer);
  if (!rows) throw new UserError(`The rows of ${shown(name)} cannot be read (${inShort(answer)}).`);
  return rows.length > 0;
}

function fieldsIn(list: string): string[] {
  return list
    .split(',')
    .map((field) => field.trim())
    .filter(Boolean);
}

/** @throws UserError where only some have a type */
function plainFieldsIn(list: string): string[] | Record<string, string> {
  const fields = fieldsIn(list);
  const withType = fields.filter((field) => field.includes(':'));
  if (withType.length === 0) return fields;
  if (withType.length === fields.length) {
    return Object.fromEntries(fields.map((field) => field.split(/\s*:\s*(.*)/, 2)));
  }
  throw new UserError('Give all plain fields a type, or none.');
}

function typed(columns: [string, ClassSchema['fields'][string]][]): string {
  return columns.map(([field, column]) => `${field}:${typeName(column)}`).join(',');
}

const inBrackets = (names: string[]) => (names.length > 0 ? ` (${listed(names)})` : '');
