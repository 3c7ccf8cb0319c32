import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { projectRoot } from '../../scripts/project/bundle';

interface Call {
  cwd: string;
  command: string;
  args: string[];
  hasCredentials: boolean;
}

/**
 * A `b4a` that keeps a record of its calls, and whose live release is a folder. As the real one does, it works in a folder
 * that is linked to an app, and what it deploys takes the place of the whole release. The command that `B4A_FAILS` names fails.
 *
 * @param folder for itself
 */
export function installB4a(folder: string) {
  const release = join(folder, 'release');
  const calls = join(folder, 'calls');
  const script = `#!${process.execPath}
    const { appendFileSync, cpSync, existsSync, rmSync } = require('node:fs');
    const { join } = require('node:path');
    const [command, ...args] = process.argv.slice(2);
    if (command === 'version') process.exit();
    const { cwd, env } = process;
    appendFileSync(${JSON.stringify(calls)}, JSON.stringify({ cwd: cwd(), command, args, hasCredentials: 'VIRGIL_APP_KEY' in env }) + '\\n');
    const fail = (message) => {
      console.error(message);
      process.exit(1);
    };
    if (env.B4A_FAILS === command) fail('Account key not configured');
    if (!['.parse.project', '.parse.local'].every((file) => existsSync(file))) fail('Command must be run inside a Parse project.');
    const release = ${JSON.stringify(release)};
    if (command === 'download') {
      if (!existsSync(release)) fail('Nothing to download. Not yet deployed to the app.');
      cpSync(release, args[args.indexOf('-l') + 1], { recursive: true });
    } else {
      require(${JSON.stringify(require.resolve('tsx/cjs'))});
      const { uploadedFiles } = require(${JSON.stringify(join(projectRoot, 'scripts/deploy/upload-rules.ts'))});
      rmSync(release, { recursive: true, force: true });
      for (const file of uploadedFiles(cwd())) cpSync(file, join(release, file));
      console.log('New release is named v2 (using Parse JavaScript SDK v4.0.0)');
    }
  `;
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'b4a'), script);
  chmodSync(join(bin, 'b4a'), 0o755);

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
    live: () => contentsOf(release),
    setLive(files: Record<string, string>) {
      for (const [file, content] of Object.entries(files)) {
        mkdirSync(dirname(join(release, file)), { recursive: true });
        writeFileSync(join(release, file), content, 'latin1');
      }
    },
    /** No release is live, and nothing was called. */
    reset() {
      for (const made of [release, calls]) rmSync(made, { recursive: true, force: true });
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
