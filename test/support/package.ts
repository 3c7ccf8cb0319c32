import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { makeProject } from './project';
import { type Commands, commandsIn, type Run } from './run';

export interface TestApp extends Commands {
  /** Where npm has put the package. */
  package: string;
  /** Runs a command as a user types it. */
  npx(args: string[]): Run;
}

/** Packs the package once, and installs it into the projects of apps, by npm. */
export function packPackage() {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-package-'));
  const project = makeProject();
  const environment = { PATH: process.env.PATH, npm_config_cache: join(folder, 'cache') };
  const npm = (args: string[], cwd: string) =>
    execFileSync('npm', args, { cwd, env: environment, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const [packed] = JSON.parse(
    npm(['pack', '--json', '--silent', '--pack-destination', folder], project.folder),
  );
  project.remove();
  const tarball = join(folder, packed.filename);
  let apps = 0;

  return {
    /** What npm says of it. */
    packed: packed as { filename: string; size: number; unpackedSize: number; files: { path: string }[] },
    /**
     * An app's project with the package in it.
     *
     * @param files of it, by their paths
     */
    makeApp(files: Record<string, string>): TestApp {
      const app = join(folder, `app-${++apps}`);
      mkdirSync(app);
      spawnSync('git', ['init', '--quiet', app]);
      for (const [file, content] of Object.entries(files)) {
        mkdirSync(dirname(join(app, file)), { recursive: true });
        writeFileSync(join(app, file), content);
      }
      // Told where: a `node_modules` above would else be taken for the app's.
      npm(['install', '--prefix', app, '--offline', '--save-dev', tarball], app);
      const installed = join(app, 'node_modules/back4app-e2ee');
      return {
        ...commandsIn(app, (command) => [join(installed, 'dist/back4app-e2ee.js'), command]),
        package: installed,
        npx: (args) =>
          spawnSync('npx', ['--no', '--', 'back4app-e2ee', ...args], {
            cwd: app,
            env: environment,
            encoding: 'utf8',
          }),
      };
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}
