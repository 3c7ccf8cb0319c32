import { createHash, randomBytes } from 'node:crypto';
import { VirgilPythiaCrypto } from '@virgilsecurity/pythia-crypto';
import { ErrorCode, VirgilError } from './errors';
import { malformed, type Route, readBase64, readOptionalString } from './service';
import type { Table } from './storage';

/**
 * Virgil's Pythia Service, as far as BrainKey goes: the server's half of making a strong key from a password
 * that the server does not see. `initPythia` must have run.
 *
 * @param secrets keeps the application's one transformation key; made here when there is none yet
 * @param intervalMs how long an identity has to wait between two keys; 0: not at all
 */
export function brainKeyService(secrets: Table<string>, intervalMs: number): Route[] {
  const pythia = new VirgilPythiaCrypto();
  const transformationPrivateKey = secrets.get('transformationPrivateKey') ?? newPrivateKey(pythia);
  secrets.write([['transformationPrivateKey', transformationPrivateKey]]);
  const lastCalls = new Map<string, number>();

  return [
    [
      'post',
      '/pythia/v1/brainkey',
      ({ identity, body }) => {
        const blindedPassword = readBase64(body, 'blinded_password');
        const brainKeyId = readOptionalString(body, 'brainkey_id') ?? '';
        const now = performance.now();
        if (now - (lastCalls.get(identity) ?? Number.NEGATIVE_INFINITY) < intervalMs) {
          throw new VirgilError(
            429,
            ErrorCode.tooManyBrainKeys,
            'Too many BrainKey requests. Try again in a while.',
          );
        }
        if (intervalMs > 0) lastCalls.set(identity, now);
        // Pythia takes a tweak of 1 to 128 bytes.
        const tweak = createHash('sha512')
          .update(JSON.stringify([identity, brainKeyId]))
          .digest();
        try {
          const { transformedPassword } = pythia.transform({
            blindedPassword,
            tweak,
            transformationPrivateKey,
          });
          return { body: { seed: transformedPassword.toString('base64') } };
        } catch {
          throw malformed('"blinded_password" is not a blinded password');
        }
      },
    ],
  ];
}

function newPrivateKey(pythia: VirgilPythiaCrypto): string {
  const { privateKey } = pythia.computeTransformationKeyPair({
    transformationKeyId: randomBytes(32),
    pythiaSecret: randomBytes(32),
    pythiaScopeSecret: randomBytes(32),
  });
  return privateKey.toString('base64');
}
