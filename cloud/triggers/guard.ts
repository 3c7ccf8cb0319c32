import { EnvelopeError } from '../envelope/envelope-error';
import { recogniseEnvelope } from '../envelope/recognise-envelope';
import type { ClassPolicy, PlainType } from '../policy';
import { invalidSession, isIdentifier } from '../session';
import { isEncryptedFile } from './file-guard';

/** The request of a `beforeSave` trigger, as far as Parse Server 5 to 9 agree on it. */
export interface SaveRequest {
  object: Parse.Object;
  original?: Parse.Object;
  user?: Parse.User;
  master: boolean;
  log?: { warn(message: string): void };
}

/** A save, and what its class demands. */
interface Save extends SaveRequest {
  policy: ClassPolicy;
  /** What the object will hold: read once, as the SDK makes it anew each time. */
  values: Record<string, unknown>;
  /** The names of the fields that the save writes. */
  written: string[];
}

type Fault = readonly [code: number, message: string];

// A user or a role, in an ACL.
const GRANTEE = /^(?:[\w.@-]{1,64}|role:[\w -]{1,128})$/;
const MAX_GRANTEES = 1000;
// The years that every database takes. One that does not fails, and Parse Server logs the whole statement.
const FIRST_TIME = Date.parse('0001-01-01T00:00:00.000Z');
const LAST_TIME = Date.parse('9999-12-31T23:59:59.999Z');
// What is no name, or a long one, may be a text, and what we say of it is logged.
const FIELD_NAME = /^[A-Za-z]\w{0,63}$/;

/** Fields that every class has, and that Parse Server looks after. */
export const PARSE_FIELDS = ['objectId', 'createdAt', 'updatedAt', 'ACL'];

/**
 * Refuses a save that would store readable text or let a stranger at somebody's message. It checks the fields that the
 * save writes, whoever writes them, and gives a new object that comes without an ACL to its sender alone.
 *
 * @param policy what the object's class demands
 * @throws Parse.Error, the first that applies: 209 nobody saves; 142 a field that the policy does not name; 116 a payload
 *   over the limit; 142 a field missing or not what it must be; 119 a sender or an ACL that may not be
 */
export function checkSave(request: SaveRequest, policy: ClassPolicy): void {
  const save = saveOf(request, policy);
  const fault = faultOf(save);
  if (fault) throw new Parse.Error(...fault);
  if (lacksAcl(save)) save.object.setACL(ownerOnly(save));
}

/**
 * Writes into the log, in one line of level `warn`, why `checkSave` would refuse a save or whom it would shut out; changes
 * and refuses nothing.
 */
export function reportSave(request: SaveRequest, policy: ClassPolicy): void {
  const save = saveOf(request, policy);
  const fault =
    faultOf(save) ??
    (lacksAcl(save) && [
      Parse.Error.OPERATION_FORBIDDEN,
      'No ACL: it would be readable by its sender alone.',
    ]);
  if (fault) request.log?.warn(`e2ee report: ${save.object.className}: ${fault.join(' ')}`);
}

function saveOf({ object, original, user, master }: SaveRequest, policy: ClassPolicy): Save {
  return { object, original, user, master, policy, values: object.attributes, written: object.dirtyKeys() };
}

function faultOf(save: Save): Fault | undefined {
  return (
    nobody(save) ??
    wrongId(save) ??
    unknownField(save) ??
    tooLarge(save) ??
    notCiphertext(save) ??
    notPlain(save) ??
    notFile(save) ??
    wrongSender(save) ??
    openAcl(save)
  );
}

function nobody({ user, master, policy }: Save): Fault | undefined {
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
  return [
    Parse.Error.VALIDATION_ERROR,
    `${name} is not in the policy: name it in back4app.json, or leave it out.`,
  ];
}

/** The fields whose values nobody but their readers can read. */
const ciphertextIn = ({ encrypted, files = [] }: ClassPolicy) => [...encrypted, ...files];

function tooLarge({ object, policy, values, written }: Save): Fault | undefined {
  const isTooLarge = (value: unknown) =>
    typeof value === 'string' && Buffer.byteLength(value) > policy.maxPayloadBytes;
  const field = policy.encrypted.find((key) => written.includes(key) && isTooLarge(values[key]));
  if (field === undefined) return;
  return [
    Parse.Error.OBJECT_TOO_LARGE,
    `${object.className}.${field} is over ${policy.maxPayloadBytes} bytes, the policy's maxPayloadBytes.`,
  ];
}

function notCiphertext({ object, original, policy, values, written }: Save): Fault | undefined {
  for (const field of policy.encrypted) {
    // On create all of them must be there.
    if (original && !written.includes(field)) continue;
    const reason = whyNotEnvelope(values[field], policy);
    if (reason === undefined) continue;
    return [
      Parse.Error.VALIDATION_ERROR,
      `${object.className}.${field} is refused: ${reason}. Encrypt it with E3Kit's authEncrypt().`,
    ];
  }
}

/** Why an encrypted field may not hold this value: a reason that repeats none of it; undefined where it may. */
export function whyNotEnvelope(value: unknown, policy: ClassPolicy): string | undefined {
  if (value === undefined || value === null) return 'missing';
  if (typeof value !== 'string') return 'not a string';
  try {
    recogniseEnvelope(value, policy);
  } catch (error) {
    if (error instanceof EnvelopeError) return error.message;
    throw error;
  }
}

function notPlain({ object, policy, values, written }: Save): Fault | undefined {
  for (const field of policy.plain) {
    if (!written.includes(field)) continue;
    const type = policy.types[field];
    if (isPlain(values[field], object.op(field), policy) && isOfType(values[field], type)) continue;
    const size = `of at most ${policy.maxPlainBytes} bytes`;
    const allowed =
      type === undefined
        ? `may hold a string ${size}, a number, a boolean, a Date or a Pointer`
        : `must be a ${type}${type === 'String' ? ` ${size}` : ''}`;
    return [Parse.Error.VALIDATION_ERROR, `${object.className}.${field} ${allowed}.`];
  }
}

function isPlain(value: unknown, op: ReturnType<Parse.Object['op']>, policy: ClassPolicy): boolean {
  // A database that does not take U+0000 fails, and Parse Server logs the whole statement.
  const isShort = (text: unknown) =>
    typeof text === 'string' && Buffer.byteLength(text) <= policy.maxPlainBytes && !text.includes('\0');
  // An operation on relations leaves no value either, and stores an object.
  if (value === undefined) return op instanceof Parse.Op.Unset;
  if (value === null) return true;
  if (typeof value === 'string') return isShort(value);
  if (value instanceof Date) return value.getTime() >= FIRST_TIME && value.getTime() <= LAST_TIME;
  if (value instanceof Parse.Object) return isShort(value.id) && isShort(value.className);
  return typeof value === 'number' ? Number.isFinite(value) : typeof value === 'boolean';
}

/** Whether a plain value is of the type that the policy gives its field. What is taken away is of every type. */
function isOfType(value: unknown, type: PlainType | undefined): boolean {
  if (type === undefined || value === undefined || value === null) return true;
  if (value instanceof Parse.Object) return type === `Pointer<${value.className}>`;
  if (value instanceof Date) return type === 'Date';
  return type.toLowerCase() === typeof value;
}

function notFile({ object, policy, values, written }: Save): Fault | undefined {
  const isNothing = (key: string) => values[key] === null || object.op(key) instanceof Parse.Op.Unset;
  const isGood = (key: string) => isNothing(key) || isEncryptedFile(values[key]);
  const field = policy.files?.find((key) => written.includes(key) && !isGood(key));
  if (field === undefined) return;
  const must = 'must be nothing, or a Parse.File that was uploaded encrypted';
  return [Parse.Error.VALIDATION_ERROR, `${object.className}.${field} ${must}.`];
}

function wrongSender({ object, original, user, master, policy, values, written }: Save): Fault | undefined {
  if (!policy.sender) return;
  const name = `${object.className}.${policy.sender}`;
  const sender = identityIn(values[policy.sender], policy);
  if (!original) {
    if (sender !== undefined && (master || sender === user?.id)) return;
    return [
      Parse.Error.OPERATION_FORBIDDEN,
      `${name} must be ${hasPointerSender(policy) ? 'a Pointer to' : 'the objectId of'} the user who saves the object.`,
    ];
  }
  const stored = identityIn(original.get(policy.sender), policy);
  // A sender that `protectedFields` hides from the caller is undefined here, and so nobody.
  if (written.includes(policy.sender) && (stored === undefined || sender !== stored)) {
    return [Parse.Error.OPERATION_FORBIDDEN, `${name} cannot change once it is saved.`];
  }
  const isSender = stored !== undefined && stored === user?.id;
  if (!isSender && !master && ciphertextIn(policy).some((key) => written.includes(key))) {
    return [
      Parse.Error.OPERATION_FORBIDDEN,
      `Only its sender may change what is encrypted in ${object.className}.`,
    ];
  }
}

/**
 * The identity that a sender field holds, as a string or as a Pointer to a user; undefined where it holds none: "*" and
 * "role:…" are nobody's objectId, and an ACL made of one would let the public in.
 */
function identityIn(value: unknown, policy: ClassPolicy): string | undefined {
  const isUser = value instanceof Parse.Object && value.className === '_User';
  const id = hasPointerSender(policy) ? isUser && value.id : value;
  return isIdentifier(id) ? id : undefined;
}

function hasPointerSender({ sender, types }: ClassPolicy): boolean {
  return sender !== undefined && types[sender] === 'Pointer<_User>';
}

function openAcl({ object, original, written }: Save): Fault | undefined {
  if (!written.includes('ACL')) return;
  const acl = object.getACL();
  const grantees = Object.keys(acl?.toJSON() ?? {});
  const isTakenAway = original && !acl;
  // "*" is the public; a text in the place of an ID would be stored and logged.
  if (!isTakenAway && grantees.length <= MAX_GRANTEES && grantees.every((id) => GRANTEE.test(id))) return;
  return [
    Parse.Error.OPERATION_FORBIDDEN,
    `${object.className} needs an ACL that names users or roles: the public may neither read nor write it.`,
  ];
}

function lacksAcl({ object, original }: Save): boolean {
  return !original && !object.getACL();
}

function ownerOnly({ values, user, policy }: Save): Parse.ACL {
  const owner = policy.sender ? identityIn(values[policy.sender], policy) : user?.id;
  const acl = new Parse.ACL();
  if (owner !== undefined) {
    acl.setReadAccess(owner, true);
    acl.setWriteAccess(owner, true);
  }
  return acl;
}
