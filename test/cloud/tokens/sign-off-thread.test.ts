import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueNexmoToken } from '../../../cloud/tokens/nexmo-token';
import { signOffThread } from '../../../cloud/tokens/sign-off-thread';
import { issueVirgilToken } from '../../../cloud/tokens/virgil-token';

const { sign } = crypto;
const data = Buffer.from('what is signed');
const appKey = crypto.generateKeyPairSync('ed25519').privateKey;
const right = sign(null, data, appKey);
const turn = () => new Promise(setImmediate);

const signing = jest.spyOn(crypto, 'sign');
const madeHere = () => signing.mock.calls.filter(({ length }) => length < 4).length;
/** Gives the pool's answer. */
let answer: (error: Error | null, signature?: Buffer) => void;

/** A pool that is as late as we like. Signatures that are made at once are real ones. */
function holdThePool(): void {
  signing.mockImplementation(((...args: Parameters<typeof sign>) => {
    if (args.length < 4) return sign(...args);
    answer = args[3] as unknown as typeof answer;
  }) as typeof sign);
}

beforeEach(() => signing.mockReset().mockImplementation(sign));
afterAll(() => signing.mockRestore());

describe('a signature', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'clearImmediate'] });
  });
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0); // it leaves none behind
    jest.useRealTimers();
  });

  test('is made in the thread pool, and not here', async () => {
    expect(await signOffThread(null, data, appKey)).toEqual(right);
    expect(signing).toHaveBeenCalledTimes(1);
    expect(madeHere()).toBe(0);
  });

  test('that is not back in 10 ms is made here, once', async () => {
    holdThePool();
    const made = signOffThread(null, data, appKey);
    jest.advanceTimersByTime(9);
    await turn();
    expect(madeHere()).toBe(0);
    jest.advanceTimersByTime(1);
    expect(await made).toEqual(right);
    expect(madeHere()).toBe(1);
  });

  test.each([
    ['another', null, Buffer.from('another one')],
    ['an error', new Error('late'), undefined],
  ])(
    'that is made here: %s that comes from the pool later changes nothing',
    async (_name, error, signature) => {
      holdThePool();
      const made = signOffThread(null, data, appKey);
      jest.advanceTimersByTime(10);
      await turn();
      answer(error, signature);
      expect(await made).toEqual(right);
      expect(madeHere()).toBe(1);
    },
  );

  test('that is back, but was not looked at since this thread was busy, is not made again', async () => {
    holdThePool();
    const made = signOffThread(null, data, appKey);
    jest.advanceTimersByTime(1000);
    answer(null, right);
    expect(await made).toBe(right);
    await turn();
    expect(madeHere()).toBe(0);
  });

  describe('that fails is an error for the caller, and no uncaught one', () => {
    test('of the pool', async () => {
      holdThePool();
      const made = signOffThread(null, data, appKey);
      answer(new Error('the pool fails'));
      await expect(made).rejects.toThrow('the pool fails');
      expect(madeHere()).toBe(0);
    });

    test('here, after 10 ms', async () => {
      signing.mockImplementation((...args: unknown[]) => {
        if (args.length < 4) throw new Error('it fails here too');
        return undefined as never;
      });
      const made = signOffThread(null, data, appKey);
      jest.advanceTimersByTime(10);
      await expect(made).rejects.toThrow('it fails here too');
    });

    test('before the pool gets it', async () => {
      await expect(signOffThread('no digest of this name', data, appKey)).rejects.toThrow('Invalid digest');
    });
  });
});

describe('while the pool is full, as log-ins fill it', () => {
  const rsaKey = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const virgil = { appId: 'a'.repeat(32), appKeyId: 'b'.repeat(32), appKey };
  const nexmo = { appId: 'an application', privateKey: rsaKey };
  let folder: string;
  let pipes: string[];
  let free: number;
  let waiting: Promise<unknown>;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'e2ee-pool-'));
    const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
    pipes = Array.from({ length: threads }, (_, i) => join(folder, `${i}`));
    execFileSync('mkfifo', pipes);
    free = 0;
    // Each takes a thread, until somebody writes.
    waiting = Promise.all(pipes.map((pipe) => readFile(pipe).then(() => free++)));
  });
  afterEach(async () => {
    for (const pipe of pipes) closeSync(openSync(pipe, 'w'));
    await waiting;
    rmSync(folder, { recursive: true });
  });

  test.each([
    ['a Virgil JWT', () => issueVirgilToken(virgil, 'identity', 60_000)],
    ['a Nexmo JWT', () => issueNexmoToken(nexmo, 'identity', {}, 60_000)],
  ])('%s comes all the same, signed here', async (_name, issue) => {
    expect((await issue()).token.split('.')).toHaveLength(3);
    expect([free, madeHere()]).toEqual([0, 1]);
  });
});
