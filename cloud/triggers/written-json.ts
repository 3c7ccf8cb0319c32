// Once a class has a trigger, Parse Server 5 to 9 needs time that grows with the square of these. No honest client sends as many.
const MAX_UNNAMED_FIELDS = 100;
const MAX_OPERANDS = 1000;
// MongoDB's own limit.
const MAX_DEPTH = 100;
/** What a field, a class, a type or an operation may be called: anything else may be a text. */
const NAME = /^\w{1,128}$/;

/** Of what `unstorable` finds. */
export const UNSTORABLE =
  'contains a File without a url, or an invalid Date: upload the file first, or set a valid Date.';

/**
 * Why a write would block the server: more fields than `named` and 100 others (a field with a dot counts too), or one
 * operation on more than 1,000 elements; or why it would crash the server, as `unstorable` says.
 * @param body the request's JSON
 * @param named how many fields the policy names
 */
export function harmIn(body: object, named: number): string | undefined {
  const { length } = Object.keys(body);
  const limit = named + MAX_UNNAMED_FIELDS;
  if (length > limit) return `is sent ${length} fields at once, of at most ${limit}: send those that have changed.`;
  const isTooLong = (list: unknown) => Array.isArray(list) && list.length > MAX_OPERANDS;
  return faultIn(body, ({ __op, objects, ops }) => {
    if (__op === undefined || (!isTooLong(objects) && !isTooLong(ops))) return;
    return `is sent an operation on more than ${MAX_OPERANDS} elements.`;
  });
}

/**
 * Why what is written would crash Parse Server 5.6 to 9.10: a `File` without a `url`, or an invalid Date, at any depth; or
 * more than 100 levels of lists and objects, which its recursions may not bear.
 */
export function unstorable(json: unknown): string | undefined {
  return faultIn(json, () => undefined);
}

/**
 * Whether a write has names where names belong. Parse Server repeats others in its error and in its log, and spends time on
 * those with a dot that grows with the square of their number.
 */
export function hasOnlyNames(body: object): boolean {
  const isName = (name: unknown) => name === undefined || (typeof name === 'string' && NAME.test(name));
  return (
    Object.keys(body).every(isName) &&
    !faultIn(body, ({ __type, __op, className }) => {
      const names = __type === undefined && __op === undefined ? [] : [__type, __op, className];
      return names.every(isName) ? undefined : 'has another';
    })
  );
}

/** Looks at each object and list in a JSON, the outermost first. */
function faultIn(
  json: unknown,
  faultOf: (part: Record<string, unknown>) => string | undefined,
  depth = 0,
): string | undefined {
  if (typeof json !== 'object' || json === null) return;
  if (depth > MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels.`;
  const part = json as Record<string, unknown>;
  const { __type, url, iso } = part;
  if (__type === 'File' && (typeof url !== 'string' || url === '')) return UNSTORABLE;
  if (__type === 'Date' && Number.isNaN(Number(new Date(iso as string)))) return UNSTORABLE;
  const fault = faultOf(part);
  if (fault) return fault;
  for (const value of Object.values(part)) {
    const deeper = faultIn(value, faultOf, depth + 1);
    if (deeper) return deeper;
  }
}
