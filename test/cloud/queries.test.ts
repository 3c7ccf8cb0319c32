import { type BenchServer, startBenchServer } from '../../scripts/bench/bench-server';
import { countQueries } from '../../scripts/bench/queries';
import { onPGlite } from '../support/engine';

// PGlite counts nothing.
(onPGlite ? describe.skip : describe)('queries, as the database counts them', () => {
  let server: BenchServer;
  beforeAll(async () => {
    server = await startBenchServer();
  });
  afterAll(() => server?.stop());

  test('neither a token of a header session nor a guarded save makes more of them, nor does an option that is off', async () => {
    expect(await countQueries(server)).toEqual([
      { call: '`virgil-jwt`, first call of a header session', withoutUs: 2, withUs: 2 },
      { call: '`virgil-jwt`, renewal', withoutUs: 0, withUs: 0 },
      { call: '`virgil-jwt`, renewal, the session as a parameter too', withoutUs: 0, withUs: 0 },
      { call: '`virgil-jwt`, renewal when Parse Server has forgotten the session', withoutUs: 2, withUs: 2 },
      { call: '`virgil-jwt`, parameter session', withoutUs: 2, withUs: 2 },
      { call: 'guarded save of a new message', withoutUs: 1, withUs: 1 },
      { call: 'guarded save of a changed message', withoutUs: 3, withUs: 3 },
      { call: 'change of a user, every option off', withoutUs: 4, withUs: 4 },
      { call: 'deletion of a user, every option off', withoutUs: 3, withUs: 3 },
      { call: 'deletion of a user, `eraseDeletedUsers` on', withoutUs: 3, withUs: 13 },
    ]);
  });
});
