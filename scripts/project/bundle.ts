import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { UserError } from '../command-line/user-error';
import { readPolicy } from './policy';

export const projectRoot = dirname(dirname(__dirname));
/** The largest bundle that is deployed. */
export const MAX_BUNDLE_BYTES = 200 * 1024;

/**
 * Compiles `cloud/main.ts` and a policy into one CommonJS file that needs nothing but Node's own modules.
 *
 * @param options.policyFile default: the project's `back4app.json`
 * @throws UserError for a bad policy or a file that cannot be written
 */
export async function bundle(options: { outfile: string; policyFile?: string }): Promise<void> {
  const policy = readPolicy(options.policyFile ?? join(projectRoot, 'back4app.json'));
  await compile('cloud/main.ts', options.outfile, {
    define: { POLICY: JSON.stringify(policy) },
    // The file travels alone, and its licence with it.
    banner: { js: `/*!\n${readFileSync(join(projectRoot, 'LICENSE'), 'utf8')}*/` },
  });
}

/**
 * Compiles as for Back4App.
 *
 * @param entry relative to the project's root
 * @throws UserError
 */
export async function compile(entry: string, outfile: string, options: BuildOptions): Promise<void> {
  await build({
    entryPoints: [join(projectRoot, entry)],
    outfile: resolve(outfile),
    // Names in the file's comments do not depend on where the build was started.
    absWorkingDir: projectRoot,
    bundle: true,
    platform: 'node',
    target: 'node16',
    format: 'cjs',
    minifySyntax: true,
    logLevel: 'silent',
    ...options,
  }).catch((error: Error) => {
    throw new UserError(`The build failed: ${error.message}`);
  });
}
