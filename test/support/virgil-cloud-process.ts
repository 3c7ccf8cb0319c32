// A local Virgil Cloud in a process of its own, to be killed: virgil-cloud-process.ts <options as JSON>.
// Prints its URL when it is ready.
import { createPublicKey } from 'node:crypto';
import { serveVirgilCloud } from './virgil-cloud';

const { appPublicKey, ...options } = JSON.parse(process.argv[2] ?? '{}');
serveVirgilCloud({ ...options, appPublicKey: createPublicKey(appPublicKey) }).then(({ url }) =>
  console.log(url),
);
