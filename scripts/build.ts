import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle, MAX_BUNDLE_BYTES } from './bundle';
import { runCommand, UserError } from './user-error';

runCommand(async () => {
  const { values } = parseArgs({ options: { outfile: { type: 'string', default: 'cloud/main.js' } } });
  await bundle({ outfile: values.outfile });
  const { size } = statSync(values.outfile);
  if (size > MAX_BUNDLE_BYTES) {
    throw new UserError(`${values.outfile} has ${size} bytes, over ${MAX_BUNDLE_BYTES}.`);
  }
  console.log(`${resolve(values.outfile)}  ${(size / 1024).toFixed(0)} KB`);
});
