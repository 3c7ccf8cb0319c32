import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { VirgilAccessTokenSigner, type VirgilCrypto } from 'virgil-crypto';
import { GeneratorJwtProvider, JwtGenerator, JwtVerifier } from 'virgil-sdk';

/**
 * A Virgil application with a key of its own: its credentials, the library's own verifier of its tokens, and tokens made by
 * the library's own generator.
 */
export function makeVirgilApplication(crypto: VirgilCrypto) {
  const { privateKey, publicKey } = crypto.generateKeys();
  const der = crypto.exportPrivateKey(privateKey);
  const appKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const appId = randomBytes(16).toString('hex');
  const appKeyId = randomBytes(16).toString('hex');
  const accessTokenSigner = new VirgilAccessTokenSigner(crypto);
  const generator = (millisecondsToLive: number) =>
    new JwtGenerator({
      appId,
      apiKeyId: appKeyId,
      apiKey: privateKey,
      accessTokenSigner,
      millisecondsToLive,
    });
  return {
    appId,
    appKeyId,
    appKey,
    appPublicKey: createPublicKey(appKey),
    environment: {
      VIRGIL_APP_ID: appId,
      VIRGIL_APP_KEY_ID: appKeyId,
      VIRGIL_APP_KEY: der.toString('base64'),
    },
    verifier: new JwtVerifier({ accessTokenSigner, apiPublicKey: publicKey, apiKeyId: appKeyId }),
    token: (identity: string, millisecondsToLive = 60_000) =>
      generator(millisecondsToLive).generateToken(identity).toString(),
    tokenProvider: (identity: string) => new GeneratorJwtProvider(generator(60_000), undefined, identity),
  };
}

export type VirgilApplication = ReturnType<typeof makeVirgilApplication>;
