import { ErrorCode, VirgilError } from './errors';

/** An authenticated request. */
export interface Call {
  /** Whom the token was issued for. */
  identity: string;
  /** The parsed JSON, if any came. */
  body: unknown;
  /** The parameters in the path. */
  params: Record<string, string>;
  header(name: string): string | undefined;
}

/** A successful answer. */
export interface Answer {
  body: unknown;
  headers?: Record<string, string>;
}

/**
 * An endpoint. Handlers are synchronous, so nothing comes between what they check and what they change; the
 * answer is sent once the change is on disk.
 */
export type Route = [method: 'get' | 'post' | 'put', path: string, handle: (call: Call) => Answer];

/** A member of a JSON object, or `undefined`; inherited ones do not count. */
export function member(object: unknown, name: string): unknown {
  if (typeof object !== 'object' || object === null || !Object.hasOwn(object, name)) return undefined;
  return (object as Record<string, unknown>)[name];
}

/** Reads a string that must be there and not empty. */
export function readString(body: unknown, name: string): string {
  const value = member(body, name);
  if (typeof value !== 'string' || value === '') throw malformed(`"${name}" must be a string, and not empty`);
  return value;
}

/** Reads a string that may be left out (`null` counts as such). */
export function readOptionalString(body: unknown, name: string): string | undefined {
  return (member(body, name) ?? undefined) === undefined ? undefined : readString(body, name);
}

/** Reads a list of strings, none empty. */
export function readStrings(body: unknown, name: string): string[] {
  const value = member(body, name);
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string' && item !== '')) {
    throw malformed(`"${name}" must be an array of strings, none empty`);
  }
  return value;
}

/** Reads standard base64 (padded, no line breaks) that must be there and not empty. */
export function readBase64(body: unknown, name: string): string {
  const value = readString(body, name);
  if (Buffer.from(value, 'base64').toString('base64') !== value) throw malformed(`"${name}" must be base64`);
  return value;
}

export function malformed(message: string): VirgilError {
  return new VirgilError(400, ErrorCode.malformedRequest, `${message}.`);
}
