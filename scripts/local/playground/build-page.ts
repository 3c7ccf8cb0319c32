import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { build } from 'esbuild';
import type { Policy } from '../../../cloud/policy';

const source = join(__dirname, 'page');

/** A file of the page: its path under the page's own, and what is in it. */
export type PageFile = readonly [path: string, contents: Uint8Array];

/**
 * Builds the page, in memory.
 *
 * @param parseAppId the application ID that the page gives to the Parse SDK
 * @param policy the app's, which says what the page can show
 */
export async function buildPage(parseAppId: string, policy: Policy): Promise<PageFile[]> {
  const { outputFiles } = await build({
    entryPoints: [join(source, 'page.tsx'), join(source, 'page.css')],
    outdir: source,
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    // What E3Kit needs of a bundler: its two WASM files beside the script, and the globals of Node that it uses.
    loader: { '.wasm': 'file', '.woff2': 'file' },
    inject: [join(source, 'node-globals.ts')],
    define: {
      global: 'globalThis',
      PARSE_APP_ID: JSON.stringify(parseAppId),
      ERASES_USERS: String(policy.virgil.eraseDeletedUsers),
      HAS_FILES: String(policy.files !== undefined),
    },
    logLevel: 'silent',
  });
  return [
    ['', await readFile(join(source, 'index.html'))],
    ['icon.svg', await readFile(join(source, 'icon.svg'))],
    ...outputFiles.map(({ path, contents }) => [relative(source, path), contents] as const),
  ];
}
