import type { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Express } from 'express';
import { ParseGraphQLServer, ParseServer } from 'parse-server';
import type { Policy } from '../../cloud/policy';
import type { ClassSchema } from '../command-line/parse-app';
import { asTyped } from '../command-line/typed';
import { changesOf } from '../project/class-changes';
import { filesAdapterFor } from './files-adapter';
import { hostsOf } from './host-check';

// Without types.
const { FileUploadOptions } = require('parse-server/lib/Options/Definitions');

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
  policy: Policy;
  /** Whether the database is the user's own, and not one that we have made. */
  isOwnDatabase: boolean;
}

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
  const { appId, masterKey, databaseURI, databaseOptions, cloud, logsFolder, filesFolder, host, policy } =
    settings;
  const options = {
    appId,
    masterKey,
    masterKeyIps: ['127.0.0.1', '::1', ...ownAddress(server)],
    databaseURI,
    databaseOptions,
    cloud,
    logsFolder,
    filesAdapter: filesAdapterFor(databaseURI, filesFolder),
    // Where Parse Server knows the option it rejects rows with files of other hosts; where not, some versions do not start.
    ...('allowedFileUrlDomains' in FileUploadOptions && {
      fileUpload: { allowedFileUrlDomains: hostsOf(host) },
    }),
    serverURL: `${url}/parse`,
    allowClientClassCreation: false,
    liveQuery: { classNames: Object.keys(policy.classes) },
    // Shows the lines of a class that only reports, and neither what functions return nor what triggers see.
    logLevel: 'warn',
    silent: true, // on the terminal; the table says where the logs are
    // Its type demands what the server does not.
  } as unknown as Parameters<typeof ParseServer>[0];
  const parseServer = ParseServer(options);
  await startQuietly(parseServer);
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
  await alignClasses(`${url}/parse`, settings);
  return () => {
    const stopped = parseServer.handleShutdown();
    // Parse Server leaves these open, and waits until the last browser has gone.
    for (const socket of liveQuerySockets) socket.destroy();
    return stopped;
  };
}

/** Starts Parse Server. It prints an error whole before it throws it: only the caller says what is wrong. */
async function startQuietly(parseServer: { start(): Promise<unknown> }): Promise<void> {
  const { error: print } = console;
  const held: unknown[] = [];
  let thrown: unknown;
  console.error = (...line) => (line.length === 1 ? held.push(line[0]) : print(...line));
  try {
    await parseServer.start();
  } catch (error) {
    thrown = error;
    throw error;
  } finally {
    console.error = print;
    for (const line of held) if (line !== thrown) print(line);
  }
}

/** The one address on which a web server listens: from there this process calls itself. */
function ownAddress(server: Server): string[] {
  const { address } = server.address() as AddressInfo;
  return ['0.0.0.0', '::'].includes(address) ? [] : [address];
}

/**
 * Brings the server's classes in line with the policy, as `npm run schema` does: clients may not create any. In a database
 * of the user's own it changes no class that is there.
 */
async function alignClasses(
  serverURL: string,
  { appId, masterKey, policy, isOwnDatabase }: ParseServerSettings,
): Promise<void> {
  const headers = {
    'X-Parse-Application-Id': appId,
    'X-Parse-Master-Key': masterKey,
    'Content-Type': 'application/json',
  };
  const schemas = `${serverURL}/schemas`;
  const answer = (await (await fetch(schemas, { headers })).json()) as { results: ClassSchema[] };
  const existing = new Map(answer.results.map((schema) => [schema.className, schema]));
  const changes = changesOf(policy, existing).filter((change) => !change.existing || !isOwnDatabase);
  const faults = changes.flatMap((change) => change.faults);
  if (faults.length > 0) {
    const lines =
      `A type cannot be changed while the field is there:\n  ${faults.join('\n  ')}\n` +
      'Name another field in back4app.json, or another type; or begin anew: npm start -- --fresh';
    console.log(asTyped(lines));
  }
  for (const change of changes.filter(({ lines }) => lines.length > 0)) {
    const response = await fetch(`${schemas}/${change.className}`, {
      method: change.existing ? 'PUT' : 'POST',
      headers,
      body: JSON.stringify(change.body),
    });
    if (!response.ok) throw new Error(`Class ${change.className} cannot be made: ${await response.text()}`);
  }
}
