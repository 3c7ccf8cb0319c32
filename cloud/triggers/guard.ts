import { type Envelope, envelopeIn } from '../envelope/recognise-envelope';
import type { ClassPolicy, PlainType } from '../policy';
import { identityIn, invalidSession, isIdentifier } from '../session';
import { isEncryptedFile } from './file-guard';
import type { Write } from './parse-server-internals';
import { recipientsFault } from './recipients';
import { harmIn, hasOnlyNames } from './written-json';

/** The request of a `beforeSave` trigger, as far as Parse Server 5 to 9 agree on it. */
export interface SaveRequest {
  object: Parse.Object;
  original?: Parse.Object;
  user?: Parse.User;
  master: boolean;
  log?: { warn(message: string): void };
}

/** A save, and what its class demands. */
export interface Save extends SaveRequest {
  policy: ClassPolicy;
  /** What the object will hold: read once, as the SDK makes it anew each time. */
  values: Record<string, unknown>;
  /** The names of the fields that the save writes. */
  written: string[];
  /** What encrypted fields hold, as they are recognised. */
  envelopes: Map<string, Envelope>;
}

export type Fault = readonly [code: number, message: string];

/** The fault of one field: 142, where it has no other code. */
export function faultOfField({ object }: Save, field: string, what: string, code?: number): Fault {
  return [code ?? Parse.Error.VALIDATION_ERROR, `${object.className}.${field} ${what}`];
}

// A user or a role, in an ACL.
const GRANTEE = /^(?:[\w.@-]{1,64}|role:[\w -]{1,128})$/;
// What one of them may do, as JSON.
const RIGHTS = /^\{(?:"(?:read|write)":(?:true|false),?){0,2}\}$/;
const MAX_GRANTEES = 1000;
// The years that every database takes. One that does not fails, and Parse Server logs the whole statement.
const FIRST_TIME = Date.parse('0001-01-01T00:00:00.000Z');
const LAST_TIME = Date.parse('9999-12-31T23:59:59.999Z');
// What is no name, or a long one, may be a text, and what we say of it is logged.
const FIELD_NAME = /^[A-Za-z]\w{0,63}$/;

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
 * Refuses a save that would store readable text or let a stranger at somebody's message. It checks the fields that the
 * save writes, whoever writes them, and gives a new object that comes without an ACL to its sender alone. Where the policy's
 * mode is `report` it changes and refuses nothing, but writes a line of level `warn` into the log.
 * @param policy what the object's class demands
 * @throws Parse.Error, the first that applies: 209 nobody saves; 142 a field that the policy does not name; 116 a payload
 *   over the limit; 142 a field missing or not what it must be; 119 a sender or an ACL that may not be. Where the policy
 *   has `recipients` or `group` a promise follows, which rejects with what `recipientsFault` finds
 */
export function checkSave(request: SaveRequest, policy: ClassPolicy): void | Promise<void> {
  const { object, original, user, master, log } = request;
  const [values, written] = [object.attributes, object.dirtyKeys()];
  const save = { object, original, user, master, log, policy, values, written, envelopes: new Map() };
  const isReport = policy.mode === 'report';
  const act = (fault: Fault | undefined) => {
    if (fault && !isReport) throw new Parse.Error(...fault);
    if (fault) log?.warn(`e2ee report: ${object.className}: ${fault.join(' ')}`);
  };
  const fault = faultOf(save) ?? (isReport ? noAcl(save) : undefined);
  act(fault);
  if (fault) return;
  if (noAcl(save)) object.setACL(onlyFor(senderOf(save)));
  if (policy.recipients || policy.group) return recipientsFault(save, senderOf(save)).then(act);
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

function unknownField({ object, policy, written }: Save): Fault | undefined {
  const known = [...PARSE_FIELDS, ...ciphertextIn(policy), ...policy.plain];
  const field = written.find((key) => !known.includes(key));
  if (field === undefined) return;
  const name = FIELD_NAME.test(field) ? `${object.className}.${field}` : `A field of ${object.className}`;
  const message = `${name} is not in the policy: name it in back4app.json, or leave it out.`;
  return [Parse.Error.VALIDATION_ERROR, message];
}

/** The fields whose values nobody but their readers can read. */
const ciphertextIn = ({ encrypted, files = [] }: ClassPolicy) => [...encrypted, ...files];

function tooLarge(save: Save): Fault | undefined {
  const { policy, values, written } = save;
  const isTooLarge = (value: unknown) => typeof value === 'string' && Buffer.byteLength(value) > policy.maxPayloadBytes;
  const field = policy.encrypted.find((key) => written.includes(key) && isTooLarge(values[key]));
  if (field === undefined) return;
  const what = `is over ${policy.maxPayloadBytes} bytes, the policy's maxPayloadBytes.`;
  return faultOfField(save, field, what, Parse.Error.OBJECT_TOO_LARGE);
}

function notCiphertext(save: Save): Fault | undefined {
  const { original, policy, values, written, envelopes } = save;
  for (const field of policy.encrypted) {
    // On create all of them must be there.
    if (original && !written.includes(field)) continue;
    const envelope = envelopeIn(values[field], policy);
    if (typeof envelope === 'string') {
      const call = policy.group && values[policy.group] ? 'group.encrypt' : 'authEncrypt';
      return faultOfField(save, field, `is refused: ${envelope}. Encrypt it with E3Kit's ${call}().`);
    }
    envelopes.set(field, envelope);
  }
}

function notPlain(save: Save): Fault | undefined {
  const { policy, values, written } = save;
  for (const field of policy.plain) {
    if (!written.includes(field) || isNothing(save, field)) continue;
    const type = policy.types[field];
    const held = plainType(values[field], policy);
    if (held && held === (type ?? held)) continue;
    const size = `of at most ${policy.maxPlainBytes} bytes`;
    const allowed = type
      ? `must be a ${type}${type === 'String' ? ` ${size}` : ''}`
      : `may hold a string ${size}, a number, a boolean, a Date or a Pointer`;
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
  return isShort(value.id) && isShort(value.className) ? `Pointer<${value.className}>` : undefined;
}

/** Whether a field is taken away. An operation on relations leaves no value either, and stores an object. */
function isNothing({ object, values }: Save, field: string): boolean {
  return values[field] === null || (values[field] === undefined && object.op(field) instanceof Parse.Op.Unset);
}

function notFile(save: Save): Fault | undefined {
  const { policy, values, written } = save;
  const isGood = (key: string) => isNothing(save, key) || isEncryptedFile(values[key]);
  const field = policy.files?.find((key) => written.includes(key) && !isGood(key));
  if (field === undefined) return;
  return faultOfField(save, field, 'must be nothing, or a Parse.File that was uploaded encrypted.');
}

function wrongSender(save: Save): Fault | undefined {
  const { object, original, user, master, policy, values, written } = save;
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
  const stored = identityIn(original.get(policy.sender), type);
  // A sender that `protectedFields` hides from the caller is undefined here, and so nobody.
  if (written.includes(policy.sender) && (stored === undefined || sender !== stored)) {
    return faultOfField(save, policy.sender, 'cannot change once it is saved.', OPERATION_FORBIDDEN);
  }
  const isSender = stored !== undefined && stored === user?.id;
  if (!isSender && !master && ciphertextIn(policy).some((key) => written.includes(key))) {
    return [OPERATION_FORBIDDEN, `Only its sender may change what is encrypted in ${object.className}.`];
  }
}

function openAcl({ object, original, values: { ACL }, written }: Save): Fault | undefined {
  if (!written.includes('ACL')) return;
  const grantees = Object.entries(ACL instanceof Parse.ACL ? ACL.toJSON() : {});
  const isGood = ([id, rights]: [string, unknown]) => GRANTEE.test(id) && RIGHTS.test(JSON.stringify(rights));
  const isTakenAway = original && !(ACL instanceof Parse.ACL);
  // "*" is the public; a text in the place of an ID would be stored and logged.
  if (!isTakenAway && grantees.length <= MAX_GRANTEES && grantees.every(isGood)) return;
  const what = 'needs an ACL that names users or roles: the public may neither read nor write it.';
  return [Parse.Error.OPERATION_FORBIDDEN, `${object.className} ${what}`];
}

function noAcl({ original, values }: Save): Fault | undefined {
  if (original || values.ACL instanceof Parse.ACL) return;
  return [Parse.Error.OPERATION_FORBIDDEN, 'No ACL: it would be readable by its sender alone.'];
}

/** Who writes the row: where the policy names no sender, the caller. */
function senderOf({ values, user, policy: { sender, types } }: Save): string | undefined {
  return sender ? identityIn(values[sender], types[sender]) : user?.id;
}

function onlyFor(owner: string | undefined): Parse.ACL {
  return new Parse.ACL(owner === undefined ? {} : { [owner]: { read: true, write: true } });
}
