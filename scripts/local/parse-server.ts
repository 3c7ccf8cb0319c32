import type { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Express } from 'express';
import { ParseGraphQLServer, ParseServer } from 'parse-server';
import type { Policy } from '../../cloud/policy';
import { ERASURE_CLASS } from '../../cloud/triggers/erasure';
import { ERASURE_FIELDS } from '../project/erasure-class';
import { type Column, columnOf } from '../project/policy';
import { filesAdapterFor } from './files-adapter';
import { hostsOf } from './host-check';

interface ParseServerSettings {
  appId: string;
  masterKey: string;
  databaseURI: string;
  databaseOptions: object;
  /** The bundle. */
  cloud: string;
  /** Where Parse Server's own logs go. */
  logsFolder: string;
  /** Where files are stored, where the database does not take them. */
  filesFolder: string;
  /** The variable `HOST`. */
  host?: string;
  classes: Policy['classes'];
}

// Options whose default changes in the next Parse Server, at their new values: it warns of each one left out.
const NEXT_DEFAULTS = {
  pages: { encodePageParamHeaders: true },
  readOnlyMasterKeyIps: ['127.0.0.1', '::1'],
  requestComplexity: {
    includeDepth: 10,
    includeCount: 100,
    subqueryDepth: 10,
    queryDepth: 10,
    graphQLDepth: 20,
    graphQLFields: 200,
    batchRequestLimit: 100,
  },
  protectedFieldsOwnerExempt: false,
  protectedFieldsTriggerExempt: true,
  protectedFieldsSaveResponseExempt: false,
  installation: { duplicateDeviceTokenActionEnforceAuth: true },
  allowAggregationForReadOnlyMasterKey: false,
};

/**
 * Starts Parse Server with LiveQuery and GraphQL on a web server that listens already.
 *
 * @param webSockets emits `upgrade` for each request that asks the web server for a WebSocket
 * @returns stops all three and closes the web server
 */
export async function startParseServer(
  app: Express,
  server: Server,
  webSockets: EventEmitter,
  url: string,
  settings: ParseServerSettings,
): Promise<() => Promise<void>> {
  const { appId, masterKey, databaseURI, databaseOptions, cloud, logsFolder, filesFolder, host, classes } =
    settings;
  const options = {
    ...NEXT_DEFAULTS,
    appId,
    masterKey,
    databaseURI,
    databaseOptions,
    cloud,
    logsFolder,
    filesAdapter: filesAdapterFor(databaseURI, filesFolder),
    // Parse Server refuses rows with files of other hosts.
    fileUpload: { allowedFileUrlDomains: hostsOf(host) },
    serverURL: `${url}/parse`,
    allowClientClassCreation: false,
    liveQuery: { classNames: Object.keys(classes) },
    // Keeps what functions return (tokens) and what triggers see (rows) out of the log, at any logLevel.
    logLevel: 'warn', // which shows the lines of a class that only reports
    silent: true, // on the terminal; the table says where the logs are
    logLevels: { cloudFunctionSuccess: 'silent', triggerBeforeSuccess: 'silent', triggerAfter: 'silent' },
    // Its type demands what the server does not.
  } as unknown as Parameters<typeof ParseServer>[0];
  const parseServer = ParseServer(options);
  await parseServer.start();
  app.use('/parse', parseServer.app);
  const graphQL = new ParseGraphQLServer(parseServer, { graphQLPath: '/graphql' });
  graphQL.applyGraphQL(app);
  parseServer.server = server;
  // Of a server it needs no more than that event.
  parseServer.liveQueryServer = await ParseServer.createLiveQueryServer(webSockets as Server, {}, options);
  const liveQuerySockets = new Set<Duplex>();
  webSockets.on('upgrade', (_request, socket) => {
    liveQuerySockets.add(socket);
    socket.once('close', () => liveQuerySockets.delete(socket));
  });
  await createClasses(`${url}/parse`, appId, masterKey, classes);
  return () => {
    const stopped = parseServer.handleShutdown();
    // Parse Server leaves these open, and waits until the last browser has gone.
    for (const socket of liveQuerySockets) socket.destroy();
    return stopped;
  };
}

/** The policy's classes, which clients may not create, and that of erasures. Plain fields without a type come with the first save. */
async function createClasses(
  serverURL: string,
  appId: string,
  masterKey: string,
  classes: Policy['classes'],
): Promise<void> {
  const headers = { 'X-Parse-Application-Id': appId, 'X-Parse-Master-Key': masterKey };
  const schemas = `${serverURL}/schemas`;
  const existing = (await (await fetch(schemas, { headers })).json()) as { results: { className: string }[] };
  const wanted: [string, Record<string, Column>][] = Object.entries(classes).map(([className, policy]) => {
    const { encrypted, sender, types, files = [] } = policy;
    const typed = [...encrypted, ...files, ...(sender ? [sender] : []), ...Object.keys(types)];
    return [className, Object.fromEntries(typed.map((field) => [field, columnOf(policy, field)]))];
  });
  for (const [className, fields] of [...wanted, [ERASURE_CLASS, ERASURE_FIELDS] as const]) {
    if (existing.results.some((schema) => schema.className === className)) continue;
    const answer = await fetch(`${schemas}/${className}`, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': 'application/json' },
      body: JSON.stringify({ className, fields }),
    });
    if (!answer.ok) throw new Error(`Class ${className} cannot be created: ${await answer.text()}`);
  }
}
