/** The names of encrypted files. Parse Server puts 32 digits in front, unless its `preserveFileName` is on. */
export const ENCRYPTED_FILE = /^(?:[0-9a-f]{32}_)?e2ee-[0-9a-f]{32}\.bin$/;

/** Whether a value is a stored file, and an encrypted one by its name. Its address may carry a query. */
export function isEncryptedFile(value: unknown): boolean {
  const { name, url }: Record<string, unknown> = value instanceof Parse.File ? value.toJSON() : {};
  if (typeof name !== 'string' || typeof url !== 'string') return false;
  return ENCRYPTED_FILE.test(name) && url.replace(/[?#].*/s, '').endsWith(name);
}
