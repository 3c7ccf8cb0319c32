import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PARTS } from '../../scripts/local/parts';
import { projectRoot } from '../../scripts/project/bundle';
import { makeProject } from './project';
import { type Commands, commandsIn, type Run } from './run';

export interface TestApp extends Commands {
  /** Where npm has put the package. */
  package: string;
  /** The package's program. */
  program: string;
  /**
   * Puts what `start` needs into the app, as npm would.
   *
   * @param parseServer the folder of another Parse Server than ours
   */
  addParts(parseServer?: string): void;
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
      const modules = join(app, 'node_modules');
      const installed = join(modules, 'back4app-e2ee');
      const program = join(installed, 'dist/back4app-e2ee.js');
      return {
        ...commandsIn(app, (command) => [program, command]),
        package: installed,
        program,
        addParts(parseServer = join(projectRoot, 'node_modules/parse-server')) {
          for (const part of PARTS) {
            const path = join(modules, part);
            mkdirSync(dirname(path), { recursive: true });
            symlinkSync(
              part === 'parse-server' ? parseServer : join(projectRoot, 'node_modules', part),
              path,
            );
          }
        },
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
