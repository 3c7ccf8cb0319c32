import type { Policy } from '../../cloud/policy';
import { inShort, type ParseApp, rowsIn } from '../command-line/parse-app';
import { type Finding, type Findings, fault, ok, skipped, warning } from './finding';

// With so many sessions a look-up that reads them all can be felt.
const MANY_SESSIONS = 10_000;

interface Engine {
  name: string;
  /** What only this engine's plans hold, as JSON. */
  mark: string;
  /** What a plan holds that reads every row. */
  fullScan: string;
  /** Whether Parse Server lets users write their own `objectId`. */
  idsMayChange: boolean;
  /** Makes the index that Parse Server does not make: of the field as it is stored. */
  sessionIndex: string;
}

const ENGINES: Engine[] = [
  {
    name: 'MongoDB',
    mark: '"queryPlanner":',
    fullScan: '"stage":"COLLSCAN"',
    idsMayChange: false,
    sessionIndex: "db.getCollection('_Session').createIndex({ _session_token: 1 })",
  },
  {
    name: 'PostgreSQL',
    mark: '"QUERY PLAN":',
    fullScan: '"Node Type":"Seq Scan"',
    idsMayChange: true,
    sessionIndex: 'CREATE INDEX CONCURRENTLY "_Session_sessionToken" ON "_Session" ("sessionToken");',
  },
];

/** Checks what depends on the database, which its plan of a session's look-up tells: no session is looked up. */
export async function* checkDatabase(app: ParseApp, { virgil }: Policy, masterKey: string): Findings {
  const check = 'database';
  const lookUp = new URLSearchParams({
    where: JSON.stringify({ sessionToken: 'r:doctor' }),
    limit: '1',
    explain: 'queryPlanner', // MongoDB would otherwise run it
  });
  const answer = await app.call('GET', `/sessions?${lookUp}`, undefined, { masterKey });
  const plan = JSON.stringify(answer.body);
  const engine = ENGINES.find(({ mark }) => plan.includes(mark));
  if (!engine) {
    yield skipped(check, `the server does not tell which it is (${inShort(answer)}).`);
    return;
  }
  yield engine.idsMayChange && !virgil.guardUserIds
    ? fault(
        check,
        `${engine.name}: users may change their objectId, and so take a deleted user's identity. ` +
          'Set virgil.guardUserIds to true in back4app.json, then npm run deploy.',
      )
    : ok(check, engine.name);
  yield await checkSessions(app, engine, plan, masterKey);
}

async function checkSessions(
  app: ParseApp,
  { fullScan, sessionIndex }: Engine,
  plan: string,
  masterKey: string,
): Promise<Finding> {
  const check = 'sessions';
  // A count of all would be an estimate on PostgreSQL. This one ends at the first row of interest.
  const next = `/sessions?keys=objectId&limit=1&skip=${MANY_SESSIONS}`;
  const answer = await app.call('GET', next, undefined, { masterKey });
  const results = rowsIn(answer);
  if (!results) return skipped(check, `cannot be counted (${inShort(answer)}).`);
  if (results.length === 0) return ok(check, `at most ${MANY_SESSIONS}`);
  return plan.includes(fullScan)
    ? warning(
        check,
        `more than ${MANY_SESSIONS}, and no index on session tokens: every first call reads them all. ` +
          `Make it, in the database: ${sessionIndex}`,
      )
    : ok(check, `more than ${MANY_SESSIONS}, found by an index`);
}
