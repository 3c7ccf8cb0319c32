import { createPrivateKey } from 'node:crypto';
import fc from 'fast-check';
import { VirgilAccessTokenSigner } from 'virgil-crypto';
import { virgilSignature } from '../../../cloud/tokens/virgil-token';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

test("signatures equal virgil-crypto's byte for byte, on random keys and texts", async () => {
  const crypto = await loadVirgilCrypto();
  const signer = new VirgilAccessTokenSigner(crypto);
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 32, maxLength: 64 }),
      fc.string({ unit: 'grapheme' }),
      async (seed, text) => {
        const { privateKey } = crypto.generateKeysFromKeyMaterial(Buffer.concat([seed, Buffer.alloc(32, 7)]));
        const der = crypto.exportPrivateKey(privateKey);
        const ours = await virgilSignature(
          text,
          createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }),
        );
        expect(ours.equals(signer.generateTokenSignature(text, privateKey))).toBe(true);
      },
    ),
    { seed: 20_261_122 },
  );
});
