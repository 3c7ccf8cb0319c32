import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { buildSync } from 'esbuild';

interface Call {
  cwd: string;
  command: string;
  args: string[];
  /** The ID of the app that was meant. */
  id: string;
  pid: number;
  /** Of the program that has called it. */
  ppid: number;
  hasCredentials: boolean;
}

/** The user's account at Back4App, the account key on this machine, and what goes wrong between them. */
export interface Account {
  email: string;
  password: string;
  validKey: string;
  /** What b4a is configured with. */
  key: string | null;
  /** How often Back4App fails with status 500, by what b4a asks of it: `accountkey`, `download` or `deploy`. */
  failures: Record<string, number>;
  /** What Back4App says then. */
  reason: string;
  /** What Back4App tells everyone who calls it. */
  notice?: string;
  /** Where b4a stays, and for how long. */
  pause?: { at: 'download' | 'deploy'; ms: number };
}

export const DEFAULT_ACCOUNT: Account = {
  email: 'me@example.com',
  password: 'the password of Back4App',
  validKey: 'tWc2xZ8rQk5LmN7vB3dF6gH9jK1pS4uY0aE2iO5q',
  key: 'tWc2xZ8rQk5LmN7vB3dF6gH9jK1pS4uY0aE2iO5q',
  failures: {},
  reason: 'Back4App is out of order',
};

/** The link of a project to two apps. The first is the one that b4a uses by default. */
export const LINK = {
  '.parse.project': '{"project_type":1,"parse":{"jssdk":"4.0.0"}}',
  '.parse.local': JSON.stringify({
    applications: {
      'My App': { applicationId: 'ID1' },
      other: { applicationId: 'ID2' },
      _default: { link: 'My App' },
    },
  }),
};

/**
 * Installs a program that stands in for b4a 3.3.1, and keeps a record of its calls (but for those that fail by their
 * arguments). The releases of each app are folders.
 *
 * @param folder for itself
 */
export function installB4a(folder: string) {
  const calls = join(folder, 'calls');
  const bin = join(folder, 'bin');
  const program = join(folder, 'b4a.js');
  // Compiled once: it is called often.
  buildSync({
    entryPoints: [join(__dirname, 'b4a-program.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    logLevel: 'error',
  });
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'b4a'), `#!/bin/sh\nexec '${process.execPath}' '${program}' '${folder}' "$@"\n`);
  chmodSync(join(bin, 'b4a'), 0o755);
  const setAccount = (changes: Partial<Account>) =>
    writeFileSync(join(folder, 'account.json'), JSON.stringify({ ...DEFAULT_ACCOUNT, ...changes }));
  setAccount({});

  const releasesOf = (id: string): { live?: string; all: { name: string }[] } =>
    existsSync(join(folder, id, 'releases.json'))
      ? JSON.parse(readFileSync(join(folder, id, 'releases.json'), 'utf8'))
      : { all: [] };
  const calledWith = (): Call[] =>
    existsSync(calls)
      ? readFileSync(calls, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : [];
  return {
    environment: { PATH: bin + delimiter + process.env.PATH },
    calls: calledWith,
    deployments: () => calledWith().filter(({ command }) => command === 'deploy'),
    /** What is live: the content of each file, by its path. */
    live(id = 'ID1'): Record<string, string> {
      const { live } = releasesOf(id);
      return live ? contentsOf(join(folder, id, live)) : {};
    },
    /** Makes a release, as the dashboard does: every byte and every name stays. */
    setLive(files: Record<string, string>, id = 'ID1') {
      const { all } = releasesOf(id);
      const name = `v${all.length + 1}`;
      for (const [file, content] of Object.entries(files)) {
        const path = join(folder, id, name, file);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, content, 'latin1');
      }
      const release = { name, description: '', sdk: '3.0.0', checksums: {} };
      writeFileSync(
        join(folder, id, 'releases.json'),
        JSON.stringify({ live: name, all: [...all, release] }),
      );
    },
    setAccount,
    /** No app has a release, nothing was called, and nothing goes wrong. */
    reset() {
      for (const made of ['ID1', 'ID2', 'calls'])
        rmSync(join(folder, made), { recursive: true, force: true });
      setAccount({});
    },
  };
}

/** The content of each file under a folder, by its path. */
export function contentsOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(
    paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'latin1')]),
  );
}
