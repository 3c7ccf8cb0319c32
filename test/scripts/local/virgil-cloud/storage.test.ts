import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initPythia, VirgilBrainKeyCrypto } from '@virgilsecurity/pythia-crypto';
import { VirgilCrypto } from 'virgil-crypto';
import { openVirgilCloud } from '../../../../scripts/local/virgil-cloud';
import { openStorage } from '../../../../scripts/local/virgil-cloud/storage';
import { makeVirgilApplication, type VirgilApplication } from '../../../support/virgil-application';
import { call, createCardManager, serveVirgilCloud } from '../../../support/virgil-cloud';
import { loadVirgilCrypto } from '../../../support/virgil-crypto';

let folder: string;
let dataFile: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virgil-cloud-'));
  dataFile = join(folder, 'new folder', 'virgil-cloud.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

describe('a local Virgil Cloud that is killed', () => {
  let app: VirgilApplication;
  let child: ChildProcess;
  let url: string;

  const start = async () => {
    const { appId, appKeyId } = app;
    const appPublicKey = app.appPublicKey.export({ type: 'spki', format: 'pem' });
    const options = JSON.stringify({ appId, appKeyId, appPublicKey, dataFile });
    const script = join(__dirname, '../../../support/virgil-cloud-process.ts');
    child = spawn(process.execPath, ['--require', 'tsx/cjs', script, options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (!child.stdout) throw new Error('no output');
    const [line] = await once(child.stdout, 'data');
    url = String(line).trim();
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };

  beforeEach(async () => {
    app = makeVirgilApplication(await loadVirgilCrypto());
    await start();
  });
  afterEach(async () => {
    if (child.exitCode === null && child.signalCode === null) await kill();
  });

  /** Publishes a card for each of many identities, all at once; returns the identities whose card was accepted. */
  async function publishMany(
    count: number,
    onAnswer: (answered: number) => void = () => {},
  ): Promise<string[]> {
    const crypto = new VirgilCrypto();
    const manager = createCardManager(app, url, 'nobody');
    const requests = Array.from({ length: count }, (_, n) => {
      const identity = `user-${n}`;
      const body = manager.generateRawCard({ identity, ...crypto.generateKeys() });
      return { identity, token: app.token(identity), body };
    });
    const accepted: string[] = [];
    await Promise.allSettled(
      requests.map(async ({ identity, token, body }) => {
        const { status } = await call(`${url}/card/v5`, token, { body });
        if (status === 200) accepted.push(identity);
        onAnswer(accepted.length);
      }),
    );
    return accepted;
  }

  const found = async (identities: string[]) => {
    const cards = await createCardManager(app, url, 'reader').searchCards(identities);
    return cards.map(({ identity }) => identity).sort();
  };

  it('has every one of a thousand cards that were published at once', async () => {
    const accepted = await publishMany(1000);
    expect(accepted).toHaveLength(1000);
    await kill();
    await start();
    expect(await found(accepted)).toEqual(accepted.sort());
  });

  it('has whatever it accepted before it was killed in the middle', async () => {
    const accepted = await publishMany(1000, (answered) => {
      if (answered === 100) child.kill('SIGKILL');
    });
    expect(accepted.length).toBeGreaterThanOrEqual(100);
    await start();
    expect(await found(accepted)).toEqual(accepted.sort());
  });

  it('has revocations, Keyknox values and the BrainKey secret, too', async () => {
    const token = app.token('alice');
    const alice = createCardManager(app, url, 'alice');
    const card = await alice.publishCard({ identity: 'alice', ...new VirgilCrypto().generateKeys() });
    await alice.revokeCard(card.id);
    const v1 = { method: 'PUT', body: { meta: 'AAAA', value: 'BBBB' } };
    const pushed = await call(`${url}/keyknox/v1`, token, v1);
    const at = { root: 'root', path: 'path', key: 'key' };
    const v2 = { ...at, identities: ['alice', 'bob'], meta: 'CCCC', value: 'DDDD' };
    await call(`${url}/keyknox/v2/push`, token, { body: v2 });
    await initPythia();
    const { blindedPassword } = new VirgilBrainKeyCrypto().blind('password');
    const brainKey = { body: { blinded_password: blindedPassword.toString('base64') } };
    const { seed } = (await call(`${url}/pythia/v1/brainkey`, token, brainKey)).body;

    await kill();
    await start();
    expect(await found(['alice'])).toEqual([]);
    const pulled = await call(`${url}/keyknox/v1`, token);
    expect(pulled.body).toEqual(pushed.body);
    expect(pulled.headers.get('Virgil-Keyknox-Hash')).toBe(pushed.headers.get('Virgil-Keyknox-Hash'));
    const shared = await call(`${url}/keyknox/v2/pull`, app.token('bob'), {
      body: { ...at, identity: 'alice' },
    });
    expect(shared.body).toMatchObject(v2);
    expect((await call(`${url}/pythia/v1/brainkey`, token, brainKey)).body).toEqual({ seed });
  });
});

it('keeps the state of applications apart that use the same file', async () => {
  const publishAndSearch = async (app: VirgilApplication, identity: string) => {
    const cloud = await serveVirgilCloud({ ...app, dataFile });
    try {
      const manager = createCardManager(app, cloud.url, identity);
      await manager.publishCard({ identity, ...new VirgilCrypto().generateKeys() });
      return (await manager.searchCards(['alice', 'bob'])).map((card) => card.identity);
    } finally {
      await cloud.close();
    }
  };
  const app = makeVirgilApplication(await loadVirgilCrypto());
  expect(await publishAndSearch(app, 'alice')).toEqual(['alice']);
  expect(await publishAndSearch(makeVirgilApplication(await loadVirgilCrypto()), 'bob')).toEqual(['bob']);
  expect(await publishAndSearch(app, 'bob')).toEqual(['alice', 'bob']);
});

describe('the journal', () => {
  const write = async (...keys: string[]) => {
    const storage = await openStorage(dataFile);
    for (const key of keys) storage.table('t').write([[key, key]]);
    await storage.close();
  };
  const read = async () => {
    const storage = await openStorage(dataFile);
    await storage.close();
    return [...storage.table('t').values()];
  };

  it('drops a last line that was cut off, and goes on after the line before', async () => {
    await write('a', 'b');
    const whole = await readFile(dataFile, 'utf8');
    await appendFile(dataFile, '["t",[["c","💬'.slice(0, -1));
    expect(await read()).toEqual(['a', 'b']);
    await write('d');
    expect(await read()).toEqual(['a', 'b', 'd']);
    expect(await readFile(dataFile, 'utf8')).toBe(`${whole}["t",[["d","d"]]]\n`);
  });

  it('is refused with the number of the line when another line is damaged', async () => {
    await write('a', 'b', 'c');
    const lines = (await readFile(dataFile, 'utf8')).split('\n');
    lines[1] = '["t",[["b"';
    await writeFile(dataFile, lines.join('\n'));
    await expect(openStorage(dataFile)).rejects.toThrow(`${dataFile} is damaged at line 2`);
  });

  it('never again says that all is on disk once a write has failed', async () => {
    const storage = await openStorage(dataFile);
    await storage.close(); // whatever is written now fails
    for (const key of ['a', 'b']) {
      storage.table('t').write([[key, key]]);
      await expect(storage.saved()).rejects.toThrow();
    }
  });

  it('can be read by its owner alone: the BrainKey secret is in it', async () => {
    await (await openVirgilCloud({ ...makeVirgilApplication(await loadVirgilCrypto()), dataFile })).close();
    expect((await stat(dataFile)).mode & 0o777).toBe(0o600);
  });

  it('keeps rows named like members of Object.prototype', async () => {
    await write('__proto__', 'constructor');
    expect(await read()).toEqual(['__proto__', 'constructor']);
  });
});
