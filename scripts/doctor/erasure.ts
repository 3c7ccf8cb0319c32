import { ERASURE_CLASS } from '../../cloud/triggers/erasure';
import { inShort, type ParseApp, rowsIn } from '../command-line/parse-app';
import { type Finding, type Findings, fault, ok, skipped, warning } from './finding';

// Parse.Error codes.
const INVALID_KEY_NAME = 105;
const USERNAME_MISSING = 200;

const DAY_MS = 86_400_000;
const MAX_COUNTED = 1000;

/** Checks whether clients may choose the ID of a new user: nobody is signed up, as there is no name. */
export async function checkCustomIds(app: ParseApp): Promise<Finding> {
  const check = 'IDs of users';
  const answer = await app.call('POST', '/users', { objectId: 'doctor' });
  if (answer.code === INVALID_KEY_NAME) return ok(check, 'are given by the server');
  return answer.code === USERNAME_MISSING
    ? warning(
        check,
        'clients may choose them (allowCustomObjectId): somebody can sign up with the ID of a deleted user, and is that user to all others. Switch it off.',
      )
    : skipped(check, `the server gives no answer of its own (${inShort(answer)}).`);
}

/** Checks that orders of erasures are closed to clients, and that none is left undone. */
export async function* checkErasures(app: ParseApp, masterKey: string): Findings {
  const open = await app.call('GET', `/classes/${ERASURE_CLASS}?limit=1`);
  yield open.status === 200
    ? fault(`${ERASURE_CLASS} permissions`, 'open to the public: npm run schema.')
    : ok(`${ERASURE_CLASS} permissions`, 'closed to clients');

  const check = 'erasures';
  const yesterday = { __type: 'Date', iso: new Date(Date.now() - DAY_MS).toISOString() };
  const overdue = new URLSearchParams({
    where: JSON.stringify({ again: { $lt: yesterday } }),
    keys: 'objectId',
    limit: `${MAX_COUNTED}`,
  });
  const answer = await app.call('GET', `/classes/${ERASURE_CLASS}?${overdue}`, undefined, { masterKey });
  const results = rowsIn(answer);
  if (!results) yield skipped(check, `cannot be read (${inShort(answer)}).`);
  else if (results.length === 0) {
    yield ok(
      check,
      'none is overdue. One Virgil application per database: in a copy of this one, give the copy an application of its own',
    );
  } else {
    yield fault(
      check,
      `${results.length} overdue by more than a day: is the job virgil-erase scheduled, and what does the server's log say of it?`,
    );
  }
}
