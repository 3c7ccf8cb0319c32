import { type KeyObject, sign } from 'node:crypto';

const PATIENCE_MS = 10;

/**
 * Signs in Node's thread pool, so that the one thread which serves everybody does not stand still meanwhile. Log-ins fill
 * the same pool with bcrypt: a signature that is not back in 10 ms is made here and now, and the late one is dropped.
 *
 * @param algorithm the digest, or null where the key has its own
 * @throws what `crypto.sign` throws
 */
export function signOffThread(algorithm: string | null, data: Buffer, key: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let late: NodeJS.Immediate | undefined;
    sign(algorithm, data, key, (error, signature) => {
      clearTimeout(timer);
      clearImmediate(late);
      if (error) reject(error);
      else resolve(signature);
    });
    const timer = setTimeout(() => {
      // On a busy server it is we who are late: timers are looked at before what the pool has done, and this after it.
      late = setImmediate(() => {
        try {
          resolve(sign(algorithm, data, key));
        } catch (error) {
          reject(error);
        }
      });
    }, PATIENCE_MS);
  });
}
