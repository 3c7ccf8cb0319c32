import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { bundle, MAX_BUNDLE_BYTES } from './bundle';
import { runCommand } from './command';
import { UserError } from './user-error';

runCommand('build', async ({ outfile }) => {
  await bundle({ outfile });
  const { size } = statSync(outfile);
  if (size > MAX_BUNDLE_BYTES) {
    throw new UserError(`${outfile} has ${size} bytes, over ${MAX_BUNDLE_BYTES}.`);
  }
  console.log(`${resolve(outfile)}  ${(size / 1024).toFixed(0)} KB`);
});
