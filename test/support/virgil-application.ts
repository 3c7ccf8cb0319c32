import { randomBytes } from 'node:crypto';
import { VirgilAccessTokenSigner, type VirgilCrypto } from 'virgil-crypto';
import { JwtVerifier } from 'virgil-sdk';

/** A Virgil application with a key of its own: its credentials, and the library's own verifier of its tokens. */
export function makeVirgilApplication(crypto: VirgilCrypto) {
  const { privateKey, publicKey } = crypto.generateKeys();
  const appKeyId = randomBytes(16).toString('hex');
  return {
    environment: {
      VIRGIL_APP_ID: randomBytes(16).toString('hex'),
      VIRGIL_APP_KEY_ID: appKeyId,
      VIRGIL_APP_KEY: crypto.exportPrivateKey(privateKey).toString('base64'),
    },
    verifier: new JwtVerifier({
      accessTokenSigner: new VirgilAccessTokenSigner(crypto),
      apiPublicKey: publicKey,
      apiKeyId: appKeyId,
    }),
  };
}
