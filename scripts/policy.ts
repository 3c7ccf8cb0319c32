import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Policy } from '../cloud/policy';
import { PARSE_FIELDS } from '../cloud/triggers/guard';
import { UserError } from './user-error';

const tokenTtlSeconds = z.int().min(60).max(86_400);
const fieldName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_]*$/, 'not a field name')
  .refine((name) => !PARSE_FIELDS.includes(name), 'Parse Server looks after it');

const classPolicy = z
  .strictObject({
    encrypted: z.array(fieldName),
    plain: z.array(fieldName),
    sender: fieldName.optional(),
    maxPayloadBytes: z.int().min(1).default(262_144),
    maxPlainBytes: z.int().min(1).default(256),
    allowLegacyEncrypt: z.boolean().default(false),
  })
  .check(({ value, issues }) => {
    const fields = [...value.encrypted, ...value.plain];
    const twice = fields.find((field, i) => fields.indexOf(field) !== i);
    if (twice !== undefined) {
      issues.push({ code: 'custom', input: value, message: `names the field ${twice} twice` });
    }
    if (value.sender !== undefined && !value.plain.includes(value.sender)) {
      issues.push({
        code: 'custom',
        input: value,
        path: ['sender'],
        message: 'must be one of the plain fields',
      });
    }
  });

const aclPath = z
  .string()
  .startsWith('/', 'not a path: it starts with /')
  .refine((path) => path !== '/**', "the server's own rights: name the paths that a user needs");

// Whoever sets NEXMO_* and names no policy gets the paths that a chat needs.
const nexmoPolicy = z.strictObject({ tokenTtlSeconds, acl: z.record(aclPath, z.looseObject({})) }).default({
  tokenTtlSeconds: 900,
  acl: { '/*/users/**': {}, '/*/conversations/**': {}, '/*/sessions/**': {} },
});

const policySchema = z.strictObject({
  virgil: z.strictObject({ tokenTtlSeconds, guardUserIds: z.boolean().default(false) }),
  nexmo: nexmoPolicy,
  classes: z.record(
    z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/, 'not the name of a class of yours'),
    classPolicy,
  ),
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
    throw new UserError(`${file} cannot be read: ${(error as Error).message}`);
  }
  const result = policySchema.safeParse(json);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => {
    const { message } = (issue.code === 'invalid_key' && issue.issues[0]) || issue;
    return `  ${issue.path.join('.') || 'the file'}: ${message}`;
  });
  throw new UserError(`${file} is not a valid policy:\n${faults.join('\n')}`);
}
