import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Runs `act` with an `npm start` of its own, in an empty folder that goes with it, however it ends.
 *
 * @param act gets the folder, and the server's URL as soon as it is up; that rejects with what the server says where it
 *   does not come up
 */
export async function withTemporaryServer(
  act: (folder: string, url: Promise<string>) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-temporary-'));
  // With only these variables, the server is the same whatever the shell or a .env says, and looks for nothing to download.
  const environment = { PATH: process.env.PATH, PORT: '0', DATABASE: 'postgres' };
  const server = fork(join(__dirname, '../start.ts'), { cwd: folder, env: environment, silent: true });
  const ended = new Promise<void>((done) => server.once('close', () => done()));
  const cleanUp = async () => {
    server.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => cleanUp().then(() => process.exit(1)));
  }
  let said = '';
  server.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  server.stdout?.resume();
  const url = new Promise<string>((resolve, reject) => {
    server.once('message', (message) => resolve((message as { url: string }).url));
    server.once('close', () => reject(new Error(said.trim() || 'the server has been killed.')));
  });
  url.catch(() => {}); // until it is awaited
  try {
    await act(folder, url);
  } finally {
    await cleanUp();
  }
}
