import { createPublicKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, relative, resolve } from 'node:path';
import { config as readDotEnv } from 'dotenv';
import express from 'express';
import { CredentialError, type VirgilCredentials, virgilCredentials } from '../cloud/credentials';
import type { Policy } from '../cloud/policy';
import { runCommand } from './command-line/command';
import { UserError } from './command-line/user-error';
import { openDatabase } from './local/database';
import { addDevelopmentCredentials } from './local/development-credentials';
import { refuseForeign } from './local/host-check';
import { playgroundClasses } from './local/playground/message-class';
import { takeStateFolder } from './local/state-folder';
import { webSocketsOf } from './local/upgrades';
import { openVirgilCloud, type VirgilCloud } from './local/virgil-cloud';
import { bundle, bundleFile, isPackaged, projectRoot } from './project/bundle';
import { readPolicy } from './project/policy';

runCommand('start', async ({ fresh }) => {
  readDotEnv({ quiet: true });
  const environment = process.env;
  const folder = resolve('.local');
  const undo: (() => unknown)[] = [takeStateFolder(folder, fresh)];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  let isStopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // The signal comes again, when the server of GraphQL has stopped itself: it must not end us before we have stopped.
    process.on(signal, () => {
      if (!isStopping) stop().then(() => process.exit(0));
      isStopping = true;
    });
  }
  try {
    await start(environment, folder, undo);
  } catch (error) {
    await stop();
    throw error;
  }
});

/** @param undo takes what stops each part, in the order in which they were started */
async function start(environment: NodeJS.ProcessEnv, folder: string, undo: (() => unknown)[]): Promise<void> {
  const policy = readPolicy(join(projectRoot, 'back4app.json'));
  if (!isPackaged) Object.assign(policy.classes, playgroundClasses(policy));
  // An app has a main.js of its own, which requires the bundle.
  const cloud = isPackaged ? join(projectRoot, 'cloud/main.js') : join(folder, 'main.js');
  if (isPackaged && !existsSync(cloud))
    throw new UserError(`${cloud} is not there: npx --no -- back4app-e2ee init.`);
  const { version } = require('parse-server/package.json');
  if (Number.parseInt(version, 10) < 6)
    throw new UserError(`The local stack needs Parse Server 6 to 9, and this project has ${version}.`);
  const host = environment.HOST || '127.0.0.1';
  const appId = environment.PARSE_APP_ID || 'e2ee-local';

  let ready = false;
  const app = express().disable('x-powered-by');
  app.use(refuseForeign(environment.HOST));
  app.get('/health', (_request, response) => {
    response.status(ready ? 200 : 503).json({ status: ready ? 'ok' : 'starting' });
  });
  const server = createServer(app);
  // Until LiveQuery is there these end: a browser that reconnects would wait instead of trying again.
  const webSockets = webSocketsOf(server, environment.HOST);
  const port = await listen(server, host, portOf(environment.PORT));
  undo.push(() => server.close());
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;

  const isMade = addDevelopmentCredentials(folder, environment);
  const virgilUrl = `${await urlOnThisMachine(app, url, undo)}/virgil`;
  environment.VIRGIL_API_URL ||= virgilUrl;
  const page = isPackaged ? undefined : openPage(appId, policy); // while the database opens
  page?.catch(() => {}); // until it is awaited
  const database = await openDatabase(folder, environment, console.log);
  undo.push(database.close);
  const virgilCloud = await mountVirgilCloud(app, folder, environment, undo);
  await bundle({ outfile: isPackaged ? bundleFile : cloud, policy });
  const logsFolder = join(folder, 'logs');
  // Read when the module is loaded; without it Parse Server makes a folder `logs` here before it sees its options.
  environment.PARSE_SERVER_LOGS_FOLDER = logsFolder;
  // It takes the host and the user of a PostgreSQL from databaseOptions, and calls them invalid keys: in its log, not here.
  require('parse-server/lib/defaults').default.silent = true;
  const masterKey = environment.PARSE_MASTER_KEY as string;
  const { startParseServer } = await import('./local/parse-server');
  undo.push(
    await startParseServer(app, server, webSockets, url, {
      appId,
      masterKey,
      databaseURI: database.uri,
      databaseOptions: database.options,
      cloud,
      logsFolder,
      filesFolder: join(folder, 'files'),
      host: environment.HOST,
      policy,
      isOwnDatabase: Boolean(environment.DATABASE_URI),
    }).catch((error: Error) => {
      if (!environment.DATABASE_URI || !isOfDatabase(error)) throw error;
      throw new UserError(`Parse Server cannot start on ${database.name}: ${error.message}`);
    }),
  );
  if (page && typeof virgilCloud !== 'string') {
    const { ownersOfKeys } = virgilCloud;
    app.use((await page)({ serverURL: `${url}/parse`, appId, masterKey, ownersOfKeys }));
  }
  ready = true;
  console.log(table(url, appId, database.name, virgilCloud, folder));
  if (typeof virgilCloud !== 'string') console.log(forAnotherServer(virgilUrl, folder, isMade));
  console.log('\n  Ctrl-C stops it.');
  process.send?.({ url }); // for a process that has started this one
}

/**
 * The URL by which servers on this machine call this one: they speak http:// to this machine alone. Where `HOST` is another
 * of its addresses, the same port of 127.0.0.1 is taken too.
 */
async function urlOnThisMachine(app: express.Express, url: string, undo: (() => unknown)[]): Promise<string> {
  const { hostname, port } = new URL(url);
  if (['127.0.0.1', 'localhost', '[::1]'].includes(hostname)) return url;
  if (['0.0.0.0', '[::]'].includes(hostname)) return `http://localhost:${port}`;
  const server = createServer(app);
  await listen(server, '127.0.0.1', Number(port));
  undo.push(() => server.close());
  return `http://127.0.0.1:${port}`;
}

/** Whether MongoDB, PostgreSQL or the way there has failed, and not the app's Cloud Code. */
function isOfDatabase(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name.startsWith('Mongo') || 'severity' in error || 'syscall' in error;
}

/** The page of this repository, which the package leaves out. */
async function openPage(appId: string, policy: Policy) {
  const { playground } = await import('./local/playground');
  const { buildPage } = await import('./local/playground/build-page');
  const page = await buildPage(appId, policy);
  return (settings: Parameters<typeof playground>[1]) => playground(page, settings);
}

/** @returns the local Virgil Cloud, or why it is not running */
async function mountVirgilCloud(
  app: express.Express,
  folder: string,
  environment: NodeJS.ProcessEnv,
  undo: (() => unknown)[],
): Promise<VirgilCloud | string> {
  let credentials: VirgilCredentials;
  try {
    credentials = virgilCredentials(environment);
  } catch (error) {
    if (error instanceof CredentialError) return error.message;
    throw error;
  }
  const { appId, appKeyId, appKey } = credentials;
  const cloud = await openVirgilCloud({
    appId,
    appKeyId,
    appPublicKey: createPublicKey(appKey),
    dataFile: join(folder, 'virgil-cloud.jsonl'),
  });
  undo.push(cloud.close);
  app.use('/virgil', cloud.router);
  return cloud;
}

function portOf(value = '1337'): number {
  const port = Number(value);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new UserError('PORT must be 0 to 65535.');
  return port;
}

function listen(server: ReturnType<typeof createServer>, host: string, port: number): Promise<number> {
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      fail(
        new UserError(
          error.code === 'EADDRINUSE'
            ? `Port ${port} is in use: stop what listens there, or set PORT.`
            : `Cannot listen on ${host}:${port}: ${error.message}.`,
        ),
      );
    });
    server.listen(port, host, () => done((server.address() as AddressInfo).port));
  });
}

function table(
  url: string,
  appId: string,
  database: string,
  virgilCloud: VirgilCloud | string,
  folder: string,
): string {
  const isRunning = typeof virgilCloud !== 'string';
  const rows = [
    ...(isPackaged
      ? []
      : [
          [
            'See it work',
            url,
            isRunning ? 'two phones and the server between them' : 'needs the Virgil Cloud',
          ],
        ]),
    ['Parse Server', `${url}/parse`, `application ID ${appId}`],
    ['LiveQuery', `${url.replace('http', 'ws')}/parse`, ''],
    ['GraphQL', `${url}/graphql`, ''],
    ['Virgil Cloud', `${url}/virgil`, isRunning ? 'for development only' : `not running: ${virgilCloud}`],
    ['Health', `${url}/health`, ''],
    ['Database', database, `state in ${relative('.', folder)}/`],
    [
      'Master key',
      `${relative('.', folder)}/credentials.json`,
      `Parse Server's logs in ${relative('.', folder)}/logs/`,
    ],
  ];
  return [
    '',
    ...rows.map(([what, where, note]) => `  ${what?.padEnd(14)}${where?.padEnd(36)}${note}`.trimEnd()),
    '',
    '  Try it: sign up a user, and get a session token.',
    `  curl -H 'X-Parse-Application-Id: ${appId}' -H 'X-Parse-Revocable-Session: 1' \\`,
    `    -H 'Content-Type: application/json' -d '{"username":"alice","password":"secret"}' ${url}/parse/users`,
  ].join('\n');
}

/**
 * The lines for a shell, from which a Parse Server of the user's own then works with this Virgil Cloud.
 *
 * @param isMade whether the Virgil application is the one in the folder. Its App Key is not for a terminal
 */
function forAnotherServer(virgilUrl: string, folder: string, isMade: boolean): string {
  const file = JSON.stringify(join(folder, 'credentials.json'));
  const variables = `Object.entries(require(${file})).filter(([name]) => name.startsWith("VIRGIL_"))`;
  return [
    '',
    '  Your own Parse Server with this Virgil Cloud: in its shell, before it starts.',
    `  export VIRGIL_API_URL=${virgilUrl}`,
    isMade
      ? `  export $(node -p '${variables}.map((pair) => pair.join("=")).join(" ")')`
      : '  Also export VIRGIL_APP_ID, VIRGIL_APP_KEY_ID and VIRGIL_APP_KEY, as this server has them.',
  ].join('\n');
}
