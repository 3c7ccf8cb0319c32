import { readFileSync } from 'node:fs';
import * as z from 'zod';
import type { ClassPolicy, PlainType, Policy } from '../../cloud/policy';
import { ERASURE_CLASS } from '../../cloud/triggers/erasure';
import { PARSE_FIELDS } from '../../cloud/triggers/guard';
import { shown } from '../command-line/shown';
import { UserError } from '../command-line/user-error';

const tokenTtlSeconds = z.int().min(60).max(86_400);
/** The form of a field's name, and of the name of a class of one's own. */
export const FIELD_NAME = /^[A-Za-z][A-Za-z0-9_]{0,127}$/;
const fieldName = z
  .string()
  .regex(FIELD_NAME, 'not a field name')
  .refine((name) => !PARSE_FIELDS.includes(name), 'Parse Server looks after it');

const plainType = z
  .string()
  .regex(
    /^(String|Number|Boolean|Date|Pointer<\w+>|Array<String>|Array<Pointer<\w+>>)$/,
    'not a type of a plain field: String, Number, Boolean, Date, Pointer<Class>, Array<String> or Array<Pointer<Class>>',
  ) as unknown as z.ZodType<PlainType>;

const plainNames = z.array(fieldName);
const plainTypes = z.record(fieldName, plainType);
/** A value of one schema or another: unlike a union it gives the path of what is wrong. */
const oneOf = <Output>(schemaFor: (value: unknown) => z.ZodType<Output>) =>
  z.unknown().transform((value, { issues }): Output => {
    const { success, data, error } = schemaFor(value).safeParse(value);
    if (success) return data;
    issues.push(...(error.issues as typeof issues));
    return z.NEVER;
  });

/** Names alone, or names with their types. */
const plainFields = oneOf<Record<string, PlainType> | string[]>((value) =>
  Array.isArray(value) ? plainNames : plainTypes,
);

const classPolicy = z
  .strictObject({
    mode: z.enum(['enforce', 'report']).default('enforce'),
    encrypted: z.array(fieldName),
    plain: plainFields,
    files: z.array(fieldName).optional(),
    sender: fieldName.optional(),
    maxPayloadBytes: z.int().min(1).default(262_144),
    maxPlainBytes: z.int().min(1).default(256),
    allowLegacyEncrypt: z.boolean().default(false),
    recipients: z
      .union([z.literal('acl'), z.array(fieldName).min(1)], 'must be "acl" or a list of plain fields')
      .optional(),
    recipientsOutage: z.enum(['accept', 'refuse']).optional(),
    group: fieldName.optional(),
  })
  .transform(({ plain, ...rest }) => ({
    ...rest,
    plain: Array.isArray(plain) ? plain : Object.keys(plain),
    types: Array.isArray(plain) ? {} : plain,
  }))
  .check(({ value, issues }) => {
    const fields = fieldsOf(value);
    const twice = fields.find((field, i) => fields.indexOf(field) !== i);
    if (twice !== undefined) {
      issues.push({ code: 'custom', input: value, message: `names the field ${twice} twice` });
    }
    for (const [path, field, ...types] of namingFields(value)) {
      const type = value.types[field];
      const isAllowed = (name: string) =>
        types.some((one) => one === name || one === name.replace(/<\w+>/, '<Class>'));
      const message = !value.plain.includes(field)
        ? 'must be one of the plain fields'
        : type !== undefined && !isAllowed(type) && `must be of type ${types.join(' or ')}`;
      if (message) issues.push({ code: 'custom', input: value, path, message });
    }
    if (value.recipientsOutage && !value.recipients) {
      const message = 'is of no use without recipients';
      issues.push({ code: 'custom', input: value, path: ['recipientsOutage'], message });
    }
  });

/** The plain fields that name users or a group: where the policy says so, the field, and the types that it may have. */
function namingFields({ sender, recipients, group }: Pick<ClassPolicy, 'sender' | 'recipients' | 'group'>) {
  const named = Array.isArray(recipients) ? recipients : [];
  const fields: [path: (string | number)[], field: string, ...types: PlainType[]][] = [];
  if (sender !== undefined) fields.push([['sender'], sender, 'String', 'Pointer<_User>']);
  for (const [i, field] of named.entries()) {
    const lists: PlainType[] = ['Array<String>', 'Array<Pointer<_User>>'];
    fields.push([['recipients', i], field, 'String', 'Pointer<_User>', ...lists]);
  }
  if (group !== undefined) fields.push([['group'], group, 'String', 'Pointer<Class>']);
  return fields;
}

const aclPath = z
  .string()
  .startsWith('/', 'not a path: it starts with /')
  .refine((path) => path !== '/**', "the server's own rights: name the paths that a user needs");

// Whoever sets NEXMO_* and names no policy gets the paths that a chat needs.
const NEXMO = {
  tokenTtlSeconds: 900,
  acl: { '/*/users/**': {}, '/*/conversations/**': {}, '/*/sessions/**': {} },
};
const nexmoPolicy = z.strictObject({ tokenTtlSeconds, acl: z.record(aclPath, z.looseObject({})) });
const nexmoOrNot = oneOf<Policy['nexmo']>((value) =>
  value === false ? z.literal(false) : nexmoPolicy,
).prefault(NEXMO);

const ENCRYPTED_FILE = 'e2ee-';
const UPLOADED_AS = 'e2ee.bin';
const plainPrefix = z
  .string()
  .regex(/^[A-Za-z0-9_][\w@. ~-]*$/, 'not how the name of a file begins')
  .refine(
    (prefix) =>
      ![ENCRYPTED_FILE, UPLOADED_AS].some((name) => name.startsWith(prefix)) &&
      !prefix.startsWith(ENCRYPTED_FILE),
    'the names of encrypted files begin like this',
  );

const filePolicy = z.strictObject({
  plain: z.array(plainPrefix).default([]),
  maxBytes: z.int().min(1).default(20_971_520),
  allowLegacyEncrypt: z.boolean().default(false),
});

const policyObject = z.strictObject({
  virgil: z.strictObject({
    tokenTtlSeconds,
    guardUserIds: z.boolean().default(false),
    eraseDeletedUsers: z.boolean().default(false),
  }),
  nexmo: nexmoOrNot,
  classes: z.record(
    z
      .string()
      .regex(FIELD_NAME, 'not the name of a class of yours')
      .refine((name) => name !== ERASURE_CLASS, 'the server keeps its orders of erasures there'),
    classPolicy,
  ),
  files: filePolicy.optional(),
});

const policySchema = policyObject.check(({ value, issues }) => {
  for (const [className, { files = [] }] of Object.entries(value.classes)) {
    if (files.length === 0 || value.files) continue;
    issues.push({
      code: 'custom',
      input: value,
      path: ['classes', className, 'files'],
      message: 'needs the policy of uploads beside it: "files": {}',
    });
  }
});

/**
 * Reads and validates a policy file.
 *
 * @returns the policy, defaults filled in
 * @throws UserError with the path of each bad value
 */
export function readPolicy(file: string): Policy {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new UserError(`${file} is not there: npx --no -- back4app-e2ee init makes it.`);
    throw new UserError(`${file} cannot be read: ${message}`);
  }
  return checkedPolicy(json, file);
}

/** The same of what is not in a file yet, or is read already. */
export function checkedPolicy(json: unknown, file: string): Policy {
  const result = policySchema.safeParse(json);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => {
    const { message } = (issue.code === 'invalid_key' && issue.issues[0]) || issue;
    return `  ${issue.path.join('.') || 'the file'}: ${message}`;
  });
  throw new UserError(`${file} is not a valid policy:\n${faults.join('\n')}`);
}

/** A field of a class, as `POST /schemas` takes it. */
export interface Column {
  type: string;
  targetClass?: string;
}

/** All fields of a class that the policy names. */
export function fieldsOf({
  encrypted,
  plain,
  files = [],
}: Pick<ClassPolicy, 'encrypted' | 'plain' | 'files'>): string[] {
  return [...encrypted, ...plain, ...files];
}

/** The column that a field of the policy needs: of the type that the policy says, else String. */
export function columnOf({ types, files }: ClassPolicy, field: string): Column {
  if (files?.includes(field)) return { type: 'File' };
  const type = types[field] ?? 'String';
  if (type.startsWith('Array<')) return { type: 'Array' };
  const [, targetClass] = /^Pointer<(\w+)>$/.exec(type) ?? [];
  return targetClass ? { type: 'Pointer', targetClass } : { type };
}

/** The types of a class's fields that may be plain. */
export const PLAIN_TYPES = ['String', 'Number', 'Boolean', 'Date', 'Pointer'];

/** As the policy writes it. */
export function typeName({ type, targetClass }: Column): string {
  return targetClass ? `${type}<${targetClass}>` : type;
}

/**
 * The fields of a live class that can never hold what the policy demands of them. A save of such a field is refused
 * by the guard or by the class, whichever is asked first.
 *
 * @param columns the class's fields, as `GET /schemas` gives them
 * @returns a sentence for each: what the field is, and what it must be
 */
export function wrongTypes(policy: ClassPolicy, columns: Record<string, Column>): string[] {
  const naming = namingFields(policy).map(([, field]) => field);
  return fieldsOf(policy).flatMap((field) => {
    const column = columns[field];
    if (!column) return [];
    const isFree = policy.plain.includes(field) && !naming.includes(field) && !policy.types[field];
    const is = typeName(column);
    const must = typeName(columnOf(policy, field));
    if (isFree ? PLAIN_TYPES.includes(column.type) : is === must) return [];
    return [
      `${field} is of type ${shown(is)}, and must be ${isFree ? `one of ${PLAIN_TYPES.join(', ')}` : must}`,
    ];
  });
}
