import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { runCommand } from './command-line/command';
import { UserError } from './command-line/user-error';
import { bundle, bundleFile, MAX_BUNDLE_BYTES } from './project/bundle';

runCommand('build', async ({ outfile = bundleFile }) => {
  await bundle({ outfile });
  const { size } = statSync(outfile);
  if (size > MAX_BUNDLE_BYTES) {
    throw new UserError(`${outfile} has ${size} bytes, over ${MAX_BUNDLE_BYTES}.`);
  }
  console.log(`${resolve(outfile)}  ${(size / 1024).toFixed(0)} KB`);
});
