import { createPrivateKey } from 'node:crypto';
import fc from 'fast-check';
import { VirgilAccessTokenSigner } from 'virgil-crypto';
import { virgilSigner } from '../../../cloud/tokens/virgil-signer';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

test("signatures equal virgil-crypto's byte for byte, on random keys and inputs", async () => {
  const crypto = await loadVirgilCrypto();
  const signer = new VirgilAccessTokenSigner(crypto);
  expect(virgilSigner.getAlgorithm()).toBe(signer.getAlgorithm());
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 64 }),
      fc.string({ unit: 'grapheme' }),
      (seed, text) => {
        const { privateKey } = crypto.generateKeysFromKeyMaterial(Buffer.concat([seed, Buffer.alloc(32, 7)]));
        const der = crypto.exportPrivateKey(privateKey);
        const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
        for (const data of [text, Buffer.from(text), { value: text, encoding: 'utf8' as const }]) {
          const ours = virgilSigner.generateTokenSignature(data, key as never);
          expect(ours.equals(signer.generateTokenSignature(data, privateKey))).toBe(true);
        }
      },
    ),
    { seed: 20_261_122 },
  );
});
