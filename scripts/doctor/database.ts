import type { Policy } from '../../cloud/policy';
import { inShort, type ParseApp } from '../parse-app';
import { type Findings, fault, ok, skipped } from './finding';

interface Engine {
  name: string;
  /** What only this engine's plans hold, as JSON. */
  mark: string;
  /** Whether Parse Server lets users write their own `objectId`. */
  idsMayChange: boolean;
}

const ENGINES: Engine[] = [
  {
    name: 'MongoDB',
    mark: '"queryPlanner":',
    idsMayChange: false,
  },
  {
    name: 'PostgreSQL',
    mark: '"QUERY PLAN":',
    idsMayChange: true,
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
  const answer = await app.call<{ results: unknown }>('GET', `/sessions?${lookUp}`, undefined, { masterKey });
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
}
