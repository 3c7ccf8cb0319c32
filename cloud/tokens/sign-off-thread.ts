import { type KeyObject, sign } from 'node:crypto';

const PATIENCE_MS = 10;

/**
 * Signs in Node's thread pool: the one thread that serves everybody is free meanwhile. Log-ins fill the same pool with
 * bcrypt, so a signature that is not back in 10 ms is made here and now, and the pool's dropped.
 * @param digest null where the key has its own
 */
export async function signOffThread(digest: string | null, data: Buffer, key: KeyObject): Promise<Buffer> {
  const inPool = new Promise<Buffer>((resolve, reject) => {
    sign(digest, data, key, (error, signature) => (error ? reject(error) : resolve(signature)));
  });
  let timer: NodeJS.Timeout | undefined;
  // On a busy server the timer is late, and still comes before what the pool has done; `setImmediate` comes after that.
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(setImmediate, PATIENCE_MS, resolve as () => void);
  });
  try {
    return (await Promise.race([inPool, late])) ?? sign(digest, data, key);
  } finally {
    clearTimeout(timer);
  }
}
