import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { initCrypto, VirgilCrypto } from 'virgil-crypto';
import { compile } from '../project/bundle';
import { POLICY } from './bench-server';
import { serveCards } from './card-service';
import type { PolicyOption } from './over-http';

/** A guarded save that asks whom it is for, beside one that does not. */
export const recipientsOption: PolicyOption = {
  measure: 'guarded save, `recipients` on and all cards remembered',
  against: 'off',
  rateTarget: { atLeast: 0.97 },
  policy: {
    ...POLICY,
    classes: { Message: { ...POLICY.classes.Message, recipients: 'acl', recipientsOutage: 'refuse' } },
  },
  async start() {
    await initCrypto();
    const { url, message, stop } = await serveCards(new VirgilCrypto(), 1);
    return {
      environment: { VIRGIL_API_URL: url },
      calls: (server, count) => {
        const { sessionToken } = server;
        const body = { ...server.message(), body: message };
        return Array(count).fill({ path: '/classes/Message', sessionToken, body });
      },
      stop,
    };
  },
};

/** @returns microseconds for a check of so many readers, whose cards are remembered */
export async function measureCheck(readers: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-bench-'));
  try {
    const program = join(folder, 'warm-check.js');
    const external = ['virgil-crypto', 'parse/node'].map((name) => [name, require.resolve(name)] as const);
    await compile('scripts/bench/warm-check.ts', program, {
      alias: Object.fromEntries(external),
      external: external.map(([, file]) => file),
    });
    const { stdout } = await promisify(execFile)(process.execPath, [program, `${readers}`]);
    return Number(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
