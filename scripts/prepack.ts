import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runCommand } from './command-line/command';
import { PARTS } from './local/parts';
import { licencesOf } from './package/licences';
import { allFeatures, compile, compileOpenBundle, openBundle, packageRoot } from './project/bundle';

const DIST = join(packageRoot, 'dist');
// Beside the program, where Virgil's library looks for it.
const WASM = 'libfoundation.wasm';

runCommand('prepack', async () => {
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(join(packageRoot, dirname(openBundle([]))), { recursive: true });
  for (const features of allFeatures()) {
    writeFileSync(join(packageRoot, openBundle(features)), await compileOpenBundle(features));
  }

  const { bin } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  const program = join(packageRoot, bin['back4app-e2ee']);
  const { metafile } = await compile('scripts/command-line/back4app-e2ee.ts', program, {
    target: 'node20',
    banner: { js: '#!/usr/bin/env node' },
    define: { PACKAGED: 'true' },
    alias: { 'fetch-ponyfill': './scripts/package/native-fetch.ts' },
    // What makes the bundle and the page, and what an app adds for `start`.
    external: [
      'esbuild',
      './local/playground',
      './local/playground/build-page',
      ...PARTS,
      ...PARTS.map((part) => `${part}/*`),
    ],
    metafile: true,
  });
  chmodSync(program, 0o755);

  const wasm = join(packageRoot, 'node_modules/@virgilsecurity/core-foundation', WASM);
  copyFileSync(wasm, join(DIST, WASM));
  const files = [...Object.keys(metafile?.inputs ?? {}).map((file) => join(packageRoot, file)), wasm];
  writeFileSync(join(DIST, 'THIRD-PARTY-LICENCES.txt'), licencesOf(files));
  copyFileSync(join(packageRoot, 'scripts/package/e2ee.d.ts'), join(DIST, 'e2ee.d.ts'));
});
