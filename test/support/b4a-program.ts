// Stands in for b4a 3.3.1 and for Back4App behind it: the words, the exit codes and the files are those of the real one.
// Its first argument is the folder with its state; see b4a.ts.
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { uploadedFiles } from '../../scripts/deploy/upload-rules';
import type { Account } from './b4a';

const [state = '', command = '', ...args] = process.argv.slice(2);
const account: Account = readJson(join(state, 'account.json'));
const SDK = '4.0.0';
const LOGIN_REJECTED = `Sorry, we do not have a user with this username and password.
If you do not remember your password, please follow instructions at:
  http://back4app.com/password/forgot
to reset your password`;

/** What a release is, beside its files. */
interface ReleaseInfo {
  name: string;
  description: string;
  sdk: string;
  /** Of the files as they were on the machine that has deployed them. */
  checksums: Record<string, string>;
}

/** An app's releases, oldest first. The files of each are in a folder of its name. */
interface Releases {
  live?: string;
  all: ReleaseInfo[];
}

const FLAGS = {
  deploy: {
    description: { type: 'string', short: 'd', default: '' },
    force: { type: 'boolean', short: 'f', default: false },
    verbose: { type: 'boolean', short: 'v', default: true },
    retries: { type: 'string', short: 'n', default: '3' },
  },
  download: {
    force: { type: 'boolean', short: 'f', default: false },
    location: { type: 'string', short: 'l', default: '' },
  },
  rollback: { release: { type: 'string', short: 'r', default: '' } },
  releases: { version: { type: 'string', short: 'v', default: '' } },
} as const;

/** Ends with this on stderr, and 1. */
class Failure extends Error {}

process.on('SIGINT', () => process.exit(1));
main().catch((error: Error) => {
  if (!(error instanceof Failure)) throw error;
  console.error(error.message);
  process.exit(1);
});

async function main(): Promise<void> {
  const flags = Object.hasOwn(FLAGS, command) && FLAGS[command as keyof typeof FLAGS];
  if (!flags) throw new Failure(`Error: unknown command "${command}" for "parse"`);
  const { values, positionals, tokens } = parseArgs({
    args,
    options: flags as Record<string, { type: 'string' | 'boolean'; short: string }>,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'option' && !Object.hasOwn(flags, token.name)) {
      const what = token.rawName.startsWith('--')
        ? `flag: ${token.rawName}`
        : `shorthand flag: '${token.name}' in ${token.rawName}`;
      throw new Failure(`Error: unknown ${what}\nUsage:\n  parse ${command} [app] [flags]\n`);
    }
  }
  if (positionals.length > 1) {
    throw new Failure(
      `unexpected arguments, only an optional app name is expected:[${positionals.join(' ')}]\n`,
    );
  }
  const root = projectRoot();
  const id = appId(root, positionals[0] ?? '_default');
  const { cwd, env, pid, ppid } = process;
  appendFileSync(
    join(state, 'calls'),
    `${JSON.stringify({ cwd: cwd(), command, args, id, pid, ppid, hasCredentials: 'VIRGIL_APP_KEY' in env })}\n`,
  );
  if (account.notice) console.error(account.notice);
  await logIn(root);
  if (command === 'download') await download(root, id, values as { force: boolean; location: string });
  else if (command === 'deploy') await retry(root, id, values as unknown as DeployFlags);
  else if (command === 'rollback') rollBack(id, values.release as string);
  else for (const { name, description } of [...releasesOf(id).all].reverse()) console.log(name, description);
}

function readJson(file: string) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

function projectRoot(): string {
  if (process.env.PARSE_ROOT) return process.env.PARSE_ROOT;
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (['.parse.project', '.parse.local'].every((file) => existsSync(join(folder, file)))) return folder;
    if (dirname(folder) === folder) return process.cwd();
  }
}

function appId(root: string, name: string): string {
  const link = readJson(join(root, 'config/global.json')) ?? readJson(join(root, '.parse.local'));
  if (!link || !existsSync(join(root, '.parse.project'))) {
    throw new Failure('Command must be run inside a Parse project.');
  }
  const app = link.applications?.[name];
  if (!app)
    throw new Failure(name === '_default' ? 'No default app configured.' : `App "${name}" wasn't found.`);
  return app.link ? appId(root, app.link) : app.applicationId;
}

/** By the account key, or else by an e-mail address and a password, for which it asks three times. */
async function logIn(root: string): Promise<void> {
  const { key, email } = account;
  const mask = (text: string) => '*'.repeat(Math.max(text.length - 4, 0)) + text.slice(-4);
  const wanted = process.env.PARSER_EMAIL ?? readJson(join(root, '.parse.project')).email ?? email;
  if (key === null) console.log('To save time logging in, you should create an account key.');
  else {
    const error = takeFailure('accountkey')
      ? account.reason
      : key !== account.validKey
        ? `Sorry, the account key: "${mask(key)}" you provided is not valid.\nPlease follow instructions.\n`
        : wanted === email
          ? undefined
          : `Account key "${mask(key)}" does not belong to "${wanted}"`;
    if (error === undefined) return;
    console.error(`Account key could not be used.\nError: ${error}\n`);
    console.log('Please login to Back4App using your email and password.');
  }
  for (let tries = 1; ; tries++) {
    process.stdout.write('Email: ');
    const given = readLine();
    process.stdout.write('Password (will be hidden): ');
    const password = readLine();
    process.stdout.write('\n');
    if (given === email && password === account.password) return;
    if (tries === 3) throw new Failure(LOGIN_REJECTED);
    console.error(`${LOGIN_REJECTED}\nPlease try again...`);
  }
}

function readLine(): string {
  const byte = Buffer.alloc(1);
  let line = '';
  while (readSync(0, byte) > 0 && byte.toString() !== '\n') line += byte.toString();
  return line;
}

/** @returns whether the server fails this time */
function takeFailure(request: string): boolean {
  const left = account.failures[request] ?? 0;
  account.failures[request] = left - 1;
  writeFileSync(join(state, 'account.json'), JSON.stringify(account));
  return left > 0;
}

function releasesOf(id: string): Releases {
  return readJson(join(state, id, 'releases.json')) ?? { all: [] };
}

function store(id: string, releases: Releases): void {
  writeFileSync(join(state, id, 'releases.json'), JSON.stringify(releases));
}

function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return entries.filter((entry) => statSync(join(folder, entry)).isFile());
}

/** Cloud Code travels as JSON text. */
function asText(file: string, content: Buffer): Buffer {
  return file.startsWith('cloud/') ? Buffer.from(content.toString('utf8')) : content;
}

function writeTo(folder: string, file: string, content: Buffer): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), content);
}

/** Once: it does not try again. */
async function download(
  root: string,
  id: string,
  flags: { force: boolean; location: string },
): Promise<void> {
  const { live } = releasesOf(id);
  if (!live) throw new Failure('Nothing to download. Not yet deployed to the app.');
  const folder = join(state, id, live);
  const location = flags.location || join(state, 'downloaded');
  for (const [i, file] of filesIn(folder).entries()) {
    // After the first file, so that something is there to be left behind.
    if (i === 1) await pauseAt('download');
    if (takeFailure('download')) throw new Failure(`Failed to download Cloud Code.\n${account.reason}`);
    writeTo(location, file, asText(file, readFileSync(join(folder, file))));
  }
  if (flags.force) cpSync(location, root, { recursive: true });
  else console.log(`Successfully downloaded Cloud Code to "${location}".`);
}

/** Goes on when the time is over, or never. */
async function pauseAt(step: string): Promise<void> {
  if (account.pause?.at === step) await setTimeout(account.pause.ms);
}

interface DeployFlags {
  description: string;
  force: boolean;
  verbose: boolean;
  retries: string;
}

async function retry(root: string, id: string, flags: DeployFlags): Promise<void> {
  const retries = Number(flags.retries);
  for (let tries = 0; tries < retries; tries++) {
    try {
      return await deploy(root, id, flags);
    } catch (error) {
      if (tries === retries - 1) throw error;
      console.error(
        `Deploy failed with error:\n${(error as Error).message}\nWill retry in ${tries} seconds.\n`,
      );
      await setTimeout(tries * 1000);
    }
  }
}

async function deploy(root: string, id: string, flags: DeployFlags): Promise<void> {
  const project = readJson(join(root, '.parse.project'));
  if (!project.parse.jssdk) {
    console.error('JS SDK version not set, setting it to latest available JS SDK version');
    project.parse.jssdk = SDK;
    writeFileSync(join(root, '.parse.project'), JSON.stringify(project, null, 2));
  }
  if (takeFailure('deploy')) throw new Failure(account.reason);
  const files = uploadedFiles(root);
  if (files.length === 0) throw new Failure('No files to upload');
  const { all, live } = releasesOf(id);
  const release: ReleaseInfo = {
    name: `v${all.length + 1}`,
    description: flags.description,
    sdk: project.parse.jssdk,
    checksums: Object.fromEntries(
      files.map((file) => [
        file,
        createHash('md5')
          .update(readFileSync(join(root, file)))
          .digest('hex'),
      ]),
    ),
  };
  const before = all.find(({ name }) => name === live);
  const isSame =
    before?.sdk === release.sdk &&
    String(Object.entries(before.checksums)) === String(Object.entries(release.checksums));
  if (isSame && !flags.force) {
    if (flags.verbose) console.log('Not creating a release because no files have changed');
    return;
  }
  await pauseAt('deploy');
  for (const file of files)
    writeTo(join(state, id, release.name), file, asText(file, readFileSync(join(root, file))));
  store(id, { live: release.name, all: [...all, release] });
  console.log(`New release is named ${release.name} (using Parse JavaScript SDK v${release.sdk})`);
}

function rollBack(id: string, name: string): void {
  const releases = releasesOf(id);
  const release = releases.all.find((one) => one.name === name);
  if (!release) throw new Failure('Rollback failed with no such release');
  store(id, { ...releases, live: name });
  console.log(`Rolled back to version ${name}`);
}
