// The process of bare-parse-server.ts.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import express from 'express';
import type { ChildSettings } from './bare-parse-server';
import { openDatabase } from './database';
import { filesAdapterFor } from './files-adapter';
import { type StoredRows, storedRows } from './stored-rows';

const settings = JSON.parse(process.argv[2] as string) as ChildSettings;
const { default: ParseServer, ParseGraphQLServer, RedisCacheAdapter } = require(settings.parseServerModule);

async function main(): Promise<void> {
  // What Parse Server 9.10 was asking Redis when that goes away is rejected, nobody catches it, and the process would end.
  if (settings.parseOptions.liveQuery?.redisURL) process.on('unhandledRejection', console.error);
  const app = express();
  // Who asks before Parse Server is there finds nobody.
  let isUp = false;
  app.use((request, _response, next) => (isUp ? next() : request.socket.destroy()));
  const server = createServer(app);
  // On a busy machine a client would now and then use a connection that is just being closed for having been idle for 5 s.
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((done) => server.listen(settings.port, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const database = await openDatabase(join(settings.folder, 'data'), settings.database, () => {});

  // Parse Server 5 starts by itself and calls back; later ones wait for start().
  let started = () => {};
  const isStarted = new Promise<void>((done) => {
    started = done;
  });
  const { liveQuery, cacheTTL } = settings.parseOptions;
  const options = {
    databaseURI: database.uri,
    databaseOptions: database.options,
    logsFolder: join(settings.folder, 'logs'),
    filesAdapter: filesAdapterFor(database.uri, join(settings.folder, 'files')),
    serverURL: `${url}/parse`,
    serverStartComplete: () => started(),
    ...settings.parseOptions,
    // It has a TTL of its own, of 30 s.
    ...(liveQuery?.redisURL && {
      cacheAdapter: new RedisCacheAdapter({ url: liveQuery.redisURL }, cacheTTL),
    }),
  };
  const parseServer = new ParseServer(options);
  await (parseServer.start.length === 0 ? parseServer.start() : isStarted);
  app.use('/parse', parseServer.app);
  new ParseGraphQLServer(parseServer, { graphQLPath: '/graphql' }).applyGraphQL(app);
  if (liveQuery) await ParseServer.createLiveQueryServer(server, { redisURL: liveQuery.redisURL }, options);

  const { databaseController } = parseServer.config;
  const rows = storedRows(databaseController);
  process.on('message', async ({ id, environment, line, sql, call, cpu, emptyCache }) => {
    if (line) parseServer.config.loggerController.error(line);
    if (environment) {
      for (const [name, value] of Object.entries<string | null>(environment)) {
        if (value === null) delete process.env[name];
        else process.env[name] = value;
      }
    }
    try {
      let result: unknown;
      if (sql) result = await databaseController.adapter._client.any(sql);
      if (call) {
        const method = rows[call.method as keyof StoredRows] as (...args: unknown[]) => unknown;
        result = await method(...call.args);
      }
      if (cpu) {
        const { user, system } = process.cpuUsage();
        result = (user + system) / 1000;
      }
      if (emptyCache) await parseServer.config.cacheController.clear();
      process.send?.({ id, result });
    } catch (error) {
      process.send?.({ id, error: (error as Error).message });
    }
  });
  process.once('disconnect', () => process.exit());
  isUp = true;
  process.send?.({ url });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
