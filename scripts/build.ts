import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from './bundle';
import { runCommand, UserError } from './user-error';

const MAX_BYTES = 200 * 1024;

runCommand(async () => {
  const { values } = parseArgs({ options: { outfile: { type: 'string', default: 'cloud/main.js' } } });
  await bundle({ outfile: values.outfile });
  const { size } = statSync(values.outfile);
  if (size > MAX_BYTES) throw new UserError(`${values.outfile} has ${size} bytes, over ${MAX_BYTES}.`);
  console.log(`${resolve(values.outfile)}  ${(size / 1024).toFixed(0)} KB`);
});
