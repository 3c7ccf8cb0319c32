// Measures a check of recipients whose cards are remembered. Compiled as `cloud/main.js` is, and run in a process of its own with
// the number of readers; prints microseconds.
import ParseSdk from 'parse/node';
import { initCrypto, VirgilCrypto } from 'virgil-crypto';
import { recogniseEnvelope } from '../../cloud/envelope/recognise-envelope';
import type { ClassPolicy } from '../../cloud/policy';
import type { Save } from '../../cloud/triggers/guard';
import { recipientsCheck } from '../../cloud/triggers/recipients';
import { serveCards } from './card-service';

const CALLS = 2_000;
const ROUNDS = 50;

async function main(): Promise<void> {
  Object.assign(globalThis, { Parse: ParseSdk });
  await initCrypto();
  const crypto = new VirgilCrypto();
  const readers = Array.from(
    { length: Number(process.argv[2]) },
    (_, i) => `aReader${String(i).padStart(3, '0')}`,
  );
  const [sender] = readers;
  const cards = await serveCards(crypto, readers.length);
  Object.assign(process.env, {
    VIRGIL_APP_ID: 'a'.repeat(32),
    VIRGIL_APP_KEY_ID: 'b'.repeat(32),
    VIRGIL_APP_KEY: crypto.exportPrivateKey(crypto.generateKeys().privateKey).toString('base64'),
    VIRGIL_API_URL: cards.url,
  });
  const policy: ClassPolicy = {
    mode: 'enforce',
    encrypted: ['body'],
    plain: [],
    types: {},
    maxPayloadBytes: 262_144,
    maxPlainBytes: 256,
    allowLegacyEncrypt: false,
    recipients: 'acl',
    recipientsOutage: 'refuse',
  };
  const acl = Object.fromEntries(readers.map((reader) => [reader, { read: true }]));
  const object = new ParseSdk.Object('Message', { body: cards.message });
  object.setACL(new ParseSdk.ACL(acl));
  const save: Save = {
    object,
    master: false,
    policy,
    values: object.attributes,
    changed: ['body', 'ACL'],
    storedSender: undefined,
    envelopes: new Map([['body', recogniseEnvelope(cards.message, policy)]]),
  };
  const check = recipientsCheck();
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let call = 0; call < CALLS; call++) {
      const fault = await check(save, sender);
      if (fault) throw new Error(fault.join(' '));
    }
    rounds.push(Number(process.hrtime.bigint() - start) / 1000 / CALLS);
  }
  cards.stop();
  console.log(rounds.sort((a, b) => a - b)[ROUNDS / 2]);
}

main();
