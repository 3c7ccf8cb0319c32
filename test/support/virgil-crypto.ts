import { initCrypto, type VirgilCrypto, VirgilCrypto as VirgilCryptoClass } from 'virgil-crypto';

/** Loads the WASM once a test file. */
export async function loadVirgilCrypto(): Promise<VirgilCrypto> {
  await initCrypto();
  return new VirgilCryptoClass();
}
