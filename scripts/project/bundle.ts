import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { BuildOptions, BuildResult, OutputFile } from 'esbuild';
import type { Feature, Policy } from '../../cloud/policy';
import { UserError } from '../command-line/user-error';
import { readPolicy } from './policy';

/** Set where `npm run prepack` compiles the package's command-line file, and nowhere else. */
declare const PACKAGED: true | undefined;

/** Whether this is the package in an app's `node_modules`, and not its repository. */
export const isPackaged = typeof PACKAGED !== 'undefined';
export const packageRoot = isPackaged ? dirname(__dirname) : dirname(dirname(__dirname));
/** The project that the commands are for: the repository itself, or the app in whose folder the package is called. */
export const projectRoot = isPackaged ? process.cwd() : packageRoot;
/** How a `main.js` that is an ES module takes the bundle: by a name that makes it CommonJS there too. */
export const BUNDLE_IMPORT = /^\s*import\s*['"]\.\/e2ee\.cjs['"]/m;
/** Where a project has its bundle. An app's own `main.js` requires it. */
export const bundleFile = join(projectRoot, isPackaged ? bundleOfApp() : 'cloud/main.js');
/** In the package, the bundle before it has a policy: one file for each choice of features. */
export const openBundle = (features: readonly Feature[]) =>
  `dist/bundles/${['core', ...features].join('+')}.js`;
const FEATURES: readonly Feature[] = ['recipients', 'erasure', 'files', 'nexmo'];
/** The largest bundle that is deployed. */
export const MAX_BUNDLE_BYTES = 200 * 1024;

const USE_STRICT = '"use strict";';

function bundleOfApp(): string {
  const main = join(projectRoot, 'cloud/main.js');
  const isImported = existsSync(main) && BUNDLE_IMPORT.test(readFileSync(main, 'utf8'));
  return isImported ? 'cloud/e2ee.cjs' : 'cloud/e2ee.js';
}

/**
 * Writes one CommonJS file that needs nothing but Node's own modules: `cloud/main.ts`, compiled, with a policy in front.
 *
 * @param options.policy default: that of the project's `back4app.json`
 * @throws UserError for a bad policy or a file that cannot be written
 */
export async function bundle(options: { outfile: string; policy?: Policy }): Promise<void> {
  const code = await bundleWith(options.policy ?? readPolicy(join(projectRoot, 'back4app.json')));
  try {
    mkdirSync(dirname(resolve(options.outfile)), { recursive: true });
    writeFileSync(options.outfile, code);
  } catch (error) {
    throw new UserError(`The build failed: ${(error as Error).message}`);
  }
}

/** @returns what `bundle` writes */
export async function bundleWith(policy: Policy): Promise<string> {
  const features = featuresOf(policy);
  const open = isPackaged
    ? readFileSync(join(packageRoot, openBundle(features)), 'utf8')
    : await compileOpenBundle(features);
  // A directive counts only where no statement is above it.
  return open.replace(USE_STRICT, () => `${USE_STRICT}\nconst POLICY = ${JSON.stringify(policy)};\n`);
}

/** What a policy uses, and so what is in its bundle. */
function featuresOf({ classes, virgil, files, nexmo }: Policy): Feature[] {
  const uses: Record<Feature, boolean> = {
    recipients: Object.values(classes).some(({ recipients, group }) => recipients || group),
    erasure: virgil.eraseDeletedUsers,
    files: files !== undefined,
    nexmo: nexmo !== false,
  };
  return FEATURES.filter((feature) => uses[feature]);
}

/** Each choice of features. */
export function allFeatures(): Feature[][] {
  return FEATURES.reduce<Feature[][]>((all, one) => all.flatMap((some) => [some, [...some, one]]), [[]]);
}

/** @returns the bundle without its policy: it loads only with a `POLICY` in front */
export async function compileOpenBundle(features: readonly Feature[]): Promise<string> {
  // The file travels alone, and its licence with it.
  const licence = readFileSync(join(packageRoot, 'LICENSE'), 'utf8');
  const { outputFiles } = await compile('cloud/main.ts', openBundle(features), {
    write: false,
    // One by one: of an object esbuild would leave all code in.
    define: Object.fromEntries(FEATURES.map((one) => [`USES.${one}`, `${features.includes(one)}`])),
    banner: { js: `/*!\n${licence}*/` },
    // A third smaller: read the sources in its place. It keeps lines that a stack trace can point at.
    minifyWhitespace: true,
    minifyIdentifiers: true,
    lineLimit: 120,
  });
  return (outputFiles as OutputFile[]).map(({ text }) => text).join('');
}

/**
 * Compiles as for Back4App.
 *
 * @param entry relative to the repository's root
 * @throws UserError
 */
export async function compile(entry: string, outfile: string, options: BuildOptions): Promise<BuildResult> {
  // Not in the package, whose bundle is compiled.
  const { build } = await import('esbuild');
  return build({
    entryPoints: [join(packageRoot, entry)],
    outfile: resolve(outfile),
    // Names in the file's comments do not depend on where the build was started.
    absWorkingDir: packageRoot,
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
