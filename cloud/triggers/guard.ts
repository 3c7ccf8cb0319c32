import { type Envelope, envelopeIn } from '../envelope/recognise-envelope';
import type { ClassPolicy, PlainType } from '../policy';
import { identityIn, invalidSession, isIdentifier } from '../session';
import { isEncryptedFile } from './encrypted-file';
import type { Write } from './parse-server-internals';
import { changedFields, mayRead, rightsGiven } from './unchanged';
import { harmIn, hasOnlyNames } from './written-json';

/** The request of a `beforeSave` trigger, as far as Parse Server 5 to 9 agree on it. */
export interface SaveRequest {
  object: Parse.Object;
  original?: Parse.Object;
  user?: Parse.User;
  master: boolean;
  log?: { warn(message: string): void };
  /** Of the user, as an ACL names them: `role:Admins`. Absent where they are not known. */
  roles?: readonly string[];
}

/** A save, and what its class demands. */
export interface Save extends SaveRequest {
  policy: ClassPolicy;
  /** What the object will hold: read once, as the SDK makes it anew each time. */
  values: Record<string, unknown>;
  /** The names of the fields that the save changes. */
  changed: string[];
  /** The identity that the stored row names as its sender. */
  storedSender: string | undefined;
  /** What encrypted fields hold, as they are recognised. */
  envelopes: Map<string, Envelope>;
}

/** Why ciphertext that a save writes is not for its readers: see `recipientsCheck`. */
export type RecipientsCheck = (save: Save, sender: string | undefined) => Promise<Fault | undefined>;

export type Fault = readonly [code: number, message: string];

/** The fault of one field: 142, where it has no other code. */
export function faultOfField({ object }: Save, field: string, what: string, code?: number): Fault {
  return [code ?? Parse.Error.VALIDATION_ERROR, `${object.className}.${field} ${what}`];
}

// A user or a role, in an ACL.
const GRANTEE = /^(?:[\w.@-]{1,64}|role:[\w -]{1,128})$/;
// What one of them may do, as JSON.
const RIGHTS = /^\{(?:"(?:read|write)":(?:true|false),?){0,2}\}$/;
const PUBLIC = '*';
const MAX_GRANTEES = 1000;
const MAX_ELEMENTS = 100;
// The years that every database takes. One that does not fails, and Parse Server logs the whole statement.
const FIRST_TIME = Date.parse('0001-01-01T00:00:00.000Z');
const LAST_TIME = Date.parse('9999-12-31T23:59:59.999Z');
// Anything else, or a longer one, may be a text, and what we say of it is logged.
const FIELD_NAME = /^[A-Za-z]\w{0,63}$/;
const CLASS_NAME = /^\w{1,128}$/;

/** Fields that every class has, and that Parse Server looks after. */
export const PARSE_FIELDS = ['objectId', 'createdAt', 'updatedAt', 'ACL'];

/**
 * Rejects a write before Parse Server makes an object of it: one that would block or crash the server, in either mode; in
 * `enforce`, also one with a text in the place of a name, which Parse Server would log.
 * @param policy what the object's class demands
 * @throws Parse.Error 142, or 209 where nobody writes such names
 */
export function checkWrite({ className, auth, body }: Write, policy: ClassPolicy): void {
  const harm = harmIn(body, ciphertextIn(policy).length + policy.plain.length);
  if (harm) throw new Parse.Error(Parse.Error.VALIDATION_ERROR, `${className} ${harm}`);
  if (policy.mode === 'report' || hasOnlyNames(body)) return;
  const what = 'is sent a field, a class or a type whose name is not letters, digits and _. Write fields as a whole.';
  const fault: Fault = [Parse.Error.VALIDATION_ERROR, `${className} ${what}`];
  throw new Parse.Error(...(nobody({ user: auth.user, master: auth.isMaster, policy }) ?? fault));
}

/**
 * Rejects a save that would store readable text, or that lets a stranger at somebody's message. It checks the fields that the
 * save changes, by whatever client or key, and gives a new object that comes without an ACL to its sender alone. Where the
 * policy's mode is `report` it changes and rejects nothing, but writes a line of level `warn` into the log.
 * @param policy what the object's class demands
 * @param recipients checks them, where the policy has `recipients` or `group`
 * @throws Parse.Error, the first that applies: 209 nobody saves; 142 a field that the policy does not name; 116 a payload
 *   over the limit; 142 a field missing or not what it must be; 119 a sender or an ACL that may not be. A promise that
 *   rejects with the same where `protectedFields` hides the sender, who is asked of the database, and where the policy has
 *   `recipients` or `group`: then also with what `recipients` finds
 */
export function checkSave(
  request: SaveRequest,
  policy: ClassPolicy,
  recipients?: RecipientsCheck,
): void | Promise<void> {
  const { object, original, user, master } = request;
  const written = object.dirtyKeys();
  const { sender } = policy;
  const matters = [sender, ...ciphertextIn(policy)].some((field) => field && written.includes(field));
  if (!sender || !original || original.has(sender) || master || !user || !matters) {
    return check(request, policy, recipients, written, original && sender ? original.get(sender) : undefined);
  }
  const query = new Parse.Query(object.className).select(sender);
  const stored = query.get(original.id as string, { useMasterKey: true });
  return stored.then((row) => check(request, policy, recipients, written, row.get(sender)));
}

function check(
  request: SaveRequest,
  policy: ClassPolicy,
  recipients: RecipientsCheck | undefined,
  written: string[],
  sender: unknown,
): void | Promise<void> {
  const { object, original, user, master, log, roles } = request;
  const storedSender = policy.sender ? identityIn(sender, policy.types[policy.sender]) : undefined;
  const isSender = storedSender !== undefined && storedSender === user?.id;
  const mayKnow = original !== undefined && (master || isSender || mayRead(original, user, roles));
  const save: Save = {
    ...{ object, original, user, master, log, policy, storedSender },
    values: object.attributes,
    changed: changedFields(request, written, mayKnow),
    envelopes: new Map(),
  };
  const isReport = policy.mode === 'report';
  const act = (fault: Fault | undefined) => {
    if (fault && !isReport) throw new Parse.Error(...fault);
    if (fault) log?.warn(`e2ee report: ${object.className}: ${fault.join(' ')}`);
  };
  const fault = faultOf(save) ?? (isReport ? noAcl(save) : undefined);
  act(fault);
  if (fault) return;
  if (noAcl(save)) object.setACL(onlyFor(senderOf(save)));
  // To remove a column that PostgreSQL does not have fails, and Parse Server logs its name, which the client has made up.
  if (!isReport) for (const field of unknownFields(save)) if (!original?.has(field)) object.revert(field);
  // The build leaves the check out only where no class wants it: without it nothing is saved.
  if (policy.recipients || policy.group) return (recipients as RecipientsCheck)(save, senderOf(save)).then(act);
}

function faultOf(save: Save): Fault | undefined {
  for (const check of CHECKS) {
    const fault = check(save);
    if (fault) return fault;
  }
}

const CHECKS = [nobody, wrongId, unknownField, tooLarge, notCiphertext, notPlain, notFile, wrongSender, openAcl];

function nobody({ user, master, policy }: { user?: unknown; master: boolean; policy: ClassPolicy }): Fault | undefined {
  if (!policy.sender || user || master) return;
  const { code, message } = invalidSession();
  return [code, message];
}

/** The SDK takes a written `id` for the object's own ID: text could hide there, and it is not the row that is saved. */
function wrongId({ object, original }: Save): Fault | undefined {
  if (original ? object.id === original.id : object.id === undefined || isIdentifier(object.id)) return;
  return [Parse.Error.VALIDATION_ERROR, `The ID of a ${object.className} cannot be written like this.`];
}

/** A save may remove a field that the stored row has, as that leaks nothing. */
function unknownField(save: Save): Fault | undefined {
  const { object } = save;
  const unknown = unknownFields(save);
  const field = unknown.find((key) => !isRemoved(object, key));
  if (field === undefined) return;
  const name = FIELD_NAME.test(field) ? `${object.className}.${field}` : `A field of ${object.className}`;
  const message = `${name} is not in the policy: name it in back4app.json, or leave it out.`;
  return [Parse.Error.VALIDATION_ERROR, message];
}

function unknownFields({ policy, changed }: Save): string[] {
  const known = [...PARSE_FIELDS, ...ciphertextIn(policy), ...policy.plain];
  return changed.filter((field) => !known.includes(field));
}

const isRemoved = (object: Parse.Object, field: string) => object.op(field) instanceof Parse.Op.Unset;

/** The fields whose values nobody but their readers can read. */
const ciphertextIn = ({ encrypted, files = [] }: ClassPolicy) => [...encrypted, ...files];

function tooLarge(save: Save): Fault | undefined {
  const { policy, values, changed } = save;
  const isTooLarge = (value: unknown) => typeof value === 'string' && Buffer.byteLength(value) > policy.maxPayloadBytes;
  const field = policy.encrypted.find((key) => changed.includes(key) && isTooLarge(values[key]));
  if (field === undefined) return;
  const what = `is over ${policy.maxPayloadBytes} bytes, the policy's maxPayloadBytes.`;
  return faultOfField(save, field, what, Parse.Error.OBJECT_TOO_LARGE);
}

function notCiphertext(save: Save): Fault | undefined {
  const { original, policy, values, changed, envelopes } = save;
  for (const field of policy.encrypted) {
    // On create all of them must be there.
    if (original && !changed.includes(field)) continue;
    const envelope = envelopeIn(values[field], policy);
    if (typeof envelope === 'string') {
      const call = policy.group && values[policy.group] ? 'group.encrypt' : 'authEncrypt';
      return faultOfField(save, field, `is refused: ${envelope}. Encrypt it with E3Kit's ${call}().`);
    }
    envelopes.set(field, envelope);
  }
}

function notPlain(save: Save): Fault | undefined {
  const { policy, values, changed } = save;
  for (const field of policy.plain) {
    if (!changed.includes(field) || isNothing(save, field)) continue;
    const type = policy.types[field];
    const value = values[field];
    if (type?.startsWith('Array<')) {
      if (isListOf(type, value, policy)) continue;
      return faultOfField(save, field, `must be an ${type} of at most ${MAX_ELEMENTS} identifiers.`);
    }
    const held = plainType(value, policy);
    if (held && held === (type ?? held)) continue;
    const size = `of at most ${policy.maxPlainBytes} bytes`;
    const list = 'A list needs the type Array<String> or Array<Pointer<Class>> in back4app.json';
    const allowed = type
      ? `must be a ${type}${type === 'String' ? ` ${size}` : ''}`
      : `may hold a string ${size}, a number, a boolean, a Date or a Pointer${Array.isArray(value) ? `. ${list}` : ''}`;
    return faultOfField(save, field, `${allowed}.`);
  }
}

/** The type of a plain value; undefined for what no plain field may hold. */
function plainType(value: unknown, { maxPlainBytes }: ClassPolicy): PlainType | undefined {
  // A database that does not take U+0000 fails, and Parse Server logs the whole statement.
  const isShort = (text: unknown) =>
    typeof text === 'string' && Buffer.byteLength(text) <= maxPlainBytes && !text.includes('\0');
  if (typeof value === 'string') return isShort(value) ? 'String' : undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? 'Number' : undefined;
  if (value instanceof Date) return +value >= FIRST_TIME && +value <= LAST_TIME ? 'Date' : undefined;
  if (!(value instanceof Parse.Object)) return typeof value === 'boolean' ? 'Boolean' : undefined;
  const { id, className } = value;
  return isShort(id) && isShort(className) && CLASS_NAME.test(className) ? `Pointer<${className}>` : undefined;
}

/** Whether a value is a list of this type: short, and of identifiers or Pointers, so that no text hides in it. */
function isListOf(type: string, value: unknown, policy: ClassPolicy): boolean {
  if (!Array.isArray(value) || value.length > MAX_ELEMENTS) return false;
  return value.every((element) =>
    type === 'Array<String>' ? isIdentifier(element) : `Array<${plainType(element, policy)}>` === type,
  );
}

/** Whether a field is taken away. An operation on relations leaves no value either, and stores an object. */
function isNothing({ object, values }: Save, field: string): boolean {
  return values[field] === null || (values[field] === undefined && isRemoved(object, field));
}

function notFile(save: Save): Fault | undefined {
  const { policy, values, changed } = save;
  const isGood = (key: string) => isNothing(save, key) || isEncryptedFile(values[key]);
  const field = policy.files?.find((key) => changed.includes(key) && !isGood(key));
  if (field === undefined) return;
  return faultOfField(save, field, 'must be nothing, or a Parse.File that was uploaded encrypted.');
}

function wrongSender(save: Save): Fault | undefined {
  const { object, original, user, master, policy, values, changed, storedSender } = save;
  if (!policy.sender) return;
  const { OPERATION_FORBIDDEN } = Parse.Error;
  const type = policy.types[policy.sender];
  const sender = identityIn(values[policy.sender], type);
  if (!original) {
    if (sender !== undefined && (master || sender === user?.id)) return;
    const form = type === 'Pointer<_User>' ? 'a Pointer to' : 'the objectId of';
    const what = `must be ${form} the user who saves the object.`;
    return faultOfField(save, policy.sender, what, OPERATION_FORBIDDEN);
  }
  const isSender = storedSender !== undefined && storedSender === user?.id;
  // A sender whom `protectedFields` hides may write the field all the same; a guess of anybody else is not answered.
  if (changed.includes(policy.sender) && !(isSender && sender === storedSender)) {
    return faultOfField(save, policy.sender, 'cannot change once it is saved.', OPERATION_FORBIDDEN);
  }
  if (!isSender && !master && ciphertextIn(policy).some((key) => changed.includes(key))) {
    return [OPERATION_FORBIDDEN, `Only its sender may change what is encrypted in ${object.className}.`];
  }
}

function openAcl({ object, original, master, values: { ACL }, changed }: Save): Fault | undefined {
  if (!changed.includes('ACL')) return;
  const fault = (what: string): Fault => [Parse.Error.OPERATION_FORBIDDEN, `${object.className} ${what}`];
  const grantees = Object.entries(ACL instanceof Parse.ACL ? ACL.toJSON() : {});
  if (grantees.length > MAX_GRANTEES) {
    return fault(`has an ACL of more than ${MAX_GRANTEES} users and roles: give the right to a role.`);
  }
  // Anything but rights, and a text in the place of an ID, would be stored and logged.
  const isGood = ([id, rights]: [string, unknown]) =>
    (GRANTEE.test(id) || id === PUBLIC) && RIGHTS.test(JSON.stringify(rights));
  const isTakenAway = original && (ACL instanceof Parse.ACL ? !master && isEmpty(ACL) : true);
  if (!isTakenAway && grantees.every(isGood) && !(ACL instanceof Parse.ACL && PUBLIC in rightsGiven(ACL))) return;
  return fault('needs an ACL that names users or roles: the public may neither read nor write it.');
}

/** The SDK makes an ACL that gives nobody a right of `null`: with the master key alone it is taken for what it says. */
function noAcl({ original, master, values: { ACL } }: Save): Fault | undefined {
  if (original || (ACL instanceof Parse.ACL && (master || !isEmpty(ACL)))) return;
  return [Parse.Error.OPERATION_FORBIDDEN, 'No ACL: it would be readable by its sender alone.'];
}

const isEmpty = (acl: Parse.ACL) => Object.keys(rightsGiven(acl)).length === 0;

/** Who writes the row: where the policy names no sender, the caller. */
function senderOf({ values, user, storedSender, policy: { sender, types } }: Save): string | undefined {
  if (!sender) return user?.id;
  return storedSender ?? identityIn(values[sender], types[sender]);
}

function onlyFor(owner: string | undefined): Parse.ACL {
  return new Parse.ACL(owner === undefined ? {} : { [owner]: { read: true, write: true } });
}
