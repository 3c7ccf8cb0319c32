// The process of bare-parse-server.ts.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import express from 'express';
import type { ChildSettings } from './bare-parse-server';
import { openDatabase } from './database';

const settings = JSON.parse(process.argv[2] as string) as ChildSettings;
const { default: ParseServer, ParseGraphQLServer } = require(settings.parseServerModule);

async function main(): Promise<void> {
  const app = express();
  const server = createServer(app);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const database = await openDatabase(join(settings.folder, 'data'), { DATABASE: 'postgres' }, () => {});

  // Parse Server 5 starts by itself and calls back; later ones wait for start().
  let started = () => {};
  const isStarted = new Promise<void>((done) => {
    started = done;
  });
  const parseServer = new ParseServer({
    databaseURI: database.uri,
    databaseOptions: database.options,
    logsFolder: join(settings.folder, 'logs'),
    serverURL: `${url}/parse`,
    serverStartComplete: () => started(),
    ...settings.parseOptions,
  });
  await (parseServer.start.length === 0 ? parseServer.start() : isStarted);
  app.use('/parse', parseServer.app);
  new ParseGraphQLServer(parseServer, { graphQLPath: '/graphql' }).applyGraphQL(app);

  process.on('message', async ({ id, environment, sql, line }) => {
    if (line) parseServer.config.loggerController.error(line);
    if (environment) {
      for (const [name, value] of Object.entries<string | null>(environment)) {
        if (value === null) delete process.env[name];
        else process.env[name] = value;
      }
    }
    const rows = sql ? await parseServer.config.databaseController.adapter._client.any(sql) : null;
    process.send?.({ id, rows });
  });
  process.once('disconnect', () => process.exit());
  process.send?.({ url });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
