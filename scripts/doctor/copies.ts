import { inShort, type ParseApp, pathTo } from '../command-line/parse-app';
import { UserError } from '../command-line/user-error';
import { type Findings, fault, ok } from './finding';

// Text of at least 62 characters that begins as the base64 of an envelope does is taken for one.
const PLAINTEXT = '^(?!(M[A-P]|CA)[A-Za-z0-9+/]{62})';

/**
 * Counts rows that hold readable copies of what is encrypted elsewhere: an app's own trigger may have written the text into
 * a `lastMessage` or a preview, which nothing but its developer knows. No content is read.
 * @param copies `Class.field`, with commas between
 * @throws UserError for another form
 */
export async function* checkCopies(app: ParseApp, copies: string, masterKey: string): Findings {
  for (const copy of copies.split(',').map((name) => name.trim())) {
    const [, className, field] = /^([A-Za-z_]\w*)\.([A-Za-z]\w*)$/.exec(copy) ?? [];
    if (!className || !field) throw new UserError('--copies takes Class.field, with commas between.');
    const parameters = new URLSearchParams({
      where: JSON.stringify({ [field]: { $regex: PLAINTEXT } }),
      count: '1',
      limit: '0',
    });
    const answer = await app.call('GET', `${pathTo`/classes/${className}`}?${parameters}`, undefined, {
      masterKey,
    });
    const { count } = answer.body;
    const check = `${copy} copies`;
    if (!Number.isInteger(count)) yield fault(check, `cannot be counted (${inShort(answer)}).`);
    else if (count === 0) yield ok(check, 'no row holds readable text');
    else {
      yield fault(
        check,
        `${count} rows hold readable text. Remove it (unset the field, with the master key), and have the trigger that writes ` +
          'it write something else.',
      );
    }
  }
}
