// Measures what needs no server. Compiled as `cloud/main.js` is, and run with --expose-gc in a process of its own; prints
// JSON.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { initCrypto, VirgilCrypto } from 'virgil-crypto';
import { recogniseEnvelope } from '../../cloud/envelope/recognise-envelope';
import { issueVirgilToken } from '../../cloud/tokens/virgil-token';
import { envelopeOf } from './envelopes';
import { interleave, type Ratio, ratioOf, timer } from './rounds';

export interface InProcess {
  /** Of this thread's CPU time, the pool's threads having theirs. Linux alone tells it. */
  token?: Ratio;
  /** In the order of RECOGNISED. */
  recogniser: Ratio[];
  refusal: Ratio;
  /** Megabytes that the heap grows by, from 1,000 to 100,000 tokens and recognised payloads. */
  memoryGrowth: number;
}

const ROUNDS = 25;
const IN_FLIGHT = 8;
const strict = { allowLegacyEncrypt: false };

async function tokenAgainstSignature(): Promise<Ratio> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const credentials = { appId: 'a'.repeat(32), appKeyId: 'b'.repeat(32), appKey: privateKey };
  const digest = createHash('sha512').update('a token').digest();
  const threadTimeOf = (work: () => Promise<unknown> | unknown) => async () => {
    const before = threadTime();
    await inFlight(2000, work);
    return threadTime() - before;
  };
  const { token, signature } = await interleave(
    {
      token: threadTimeOf(() => issueVirgilToken(credentials, 'anIdentity', 1_200_000)),
      signature: threadTimeOf(() => sign(null, digest, privateKey)),
    },
    ROUNDS,
  );
  return ratioOf(token, signature);
}

/** Does it so many times, eight at once. */
async function inFlight(times: number, work: (n: number) => Promise<unknown> | unknown): Promise<void> {
  let begun = 0;
  const one = async () => {
    while (begun < times) await work(begun++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, one));
}

/** Nanoseconds for which the main thread has run (proc(5), `schedstat`). */
function threadTime(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]);
}

async function recogniserAgainstBase64(
  crypto: VirgilCrypto,
  size: number,
  recipients: number,
): Promise<Ratio> {
  const payload = envelopeOf(crypto, size, recipients);
  const calls = Math.ceil(2_000_000 / payload.length);
  const { recognise, base64 } = await interleave(
    {
      recognise: timer(() => recogniseEnvelope(payload, strict), calls),
      base64: timer(() => Buffer.from(payload, 'base64').toString('base64'), calls),
    },
    ROUNDS,
  );
  return ratioOf(recognise, base64);
}

async function refusalAgainstBase64(size: number): Promise<Ratio> {
  const text = 'Plain text, as somebody might send it by mistake. '.repeat(size / 50);
  const { refuse, base64 } = await interleave(
    {
      refuse: timer(() => {
        try {
          recogniseEnvelope(text, strict);
        } catch {
          return;
        }
        throw new Error('Plain text was taken for an envelope.');
      }, 20),
      base64: timer(() => Buffer.from(text, 'base64').toString('base64'), 20),
    },
    ROUNDS,
  );
  return ratioOf(refuse, base64);
}

async function memoryGrowth(crypto: VirgilCrypto): Promise<number> {
  const { publicKey, privateKey } = crypto.generateKeys();
  const payload = crypto.signAndEncrypt(Buffer.alloc(1000), privateKey, publicKey, true).toString('base64');
  const appKey = generateKeyPairSync('ed25519').privateKey;
  const credentials = { appId: 'a'.repeat(32), appKeyId: 'b'.repeat(32), appKey };
  const work = (times: number) =>
    inFlight(times, async (n) => {
      await issueVirgilToken(credentials, `user${n}`, 1_200_000);
      recogniseEnvelope(payload, strict);
    });
  const used = () => {
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  await work(1_000);
  const before = used();
  await work(99_000);
  return (used() - before) / 2 ** 20;
}

async function main(): Promise<void> {
  await initCrypto();
  const crypto = new VirgilCrypto();
  const recogniser: Ratio[] = [];
  for (const [size, recipients] of JSON.parse(process.argv[2] as string) as [number, number][]) {
    recogniser.push(await recogniserAgainstBase64(crypto, size, recipients));
  }
  const measured: InProcess = {
    recogniser,
    ...(process.platform === 'linux' && { token: await tokenAgainstSignature() }),
    refusal: await refusalAgainstBase64(2 ** 20),
    memoryGrowth: await memoryGrowth(crypto),
  };
  console.log(JSON.stringify(measured));
}

main();
