import { initCrypto, VirgilCardCrypto, VirgilCrypto, type VirgilPublicKey } from 'virgil-crypto';
import { CardManager, Jwt, VirgilCardVerifier } from 'virgil-sdk';
import { request } from '../command-line/bounded-request';

/** What the doctor tries to save. In the clear it must be refused. */
export const PLAINTEXT = 'The doctor asks: is plaintext refused?';
/** What the doctor writes where a field names a group. */
export const GROUP_ID = 'doctors-group';

/** What E3Kit's `authEncrypt` makes for this key; for one that nobody has where none is given. */
export async function makeEnvelope(recipient?: VirgilPublicKey): Promise<string> {
  await initCrypto();
  const crypto = new VirgilCrypto();
  const { privateKey, publicKey } = crypto.generateKeys();
  return crypto.signAndEncrypt(PLAINTEXT, privateKey, [recipient ?? publicKey], true).toString('base64');
}

/** What E3Kit's `group.encrypt` makes, in the group that `GROUP_ID` names. */
export async function makeGroupMessage(): Promise<string> {
  await initCrypto();
  const crypto = new VirgilCrypto();
  const message = crypto.generateGroupSession(GROUP_ID).encrypt(PLAINTEXT, crypto.generateKeys().privateKey);
  return message.toString('base64');
}

interface ProbeCard {
  publicKey: VirgilPublicKey;
  /** Takes back the card that was published for this. */
  close(): Promise<void>;
}

/**
 * The card of a user, who may have none: then one is published, for a key that nobody keeps.
 *
 * @param token a Virgil JWT of that user
 * @throws what Virgil's own client does where Virgil Cloud does not answer as it should
 */
export async function openCard(apiUrl: string, token: string, identity: string): Promise<ProbeCard> {
  await initCrypto();
  const crypto = new VirgilCrypto();
  const cardCrypto = new VirgilCardCrypto(crypto);
  const manager = new CardManager({
    // The manager hands this to its client, which takes a connection in place of a URL.
    apiUrl: boundedConnection(apiUrl) as unknown as string,
    cardCrypto,
    cardVerifier: new VirgilCardVerifier(cardCrypto, {
      verifySelfSignature: true,
      verifyVirgilSignature: false,
    }),
    accessTokenProvider: { getToken: async () => Jwt.fromString(token) },
    retryOnUnauthorized: false,
  });
  const [card] = await manager.searchCards(identity);
  if (card) return { publicKey: card.publicKey as VirgilPublicKey, close: async () => {} };
  const { privateKey, publicKey } = crypto.generateKeys();
  const { id } = await manager.publishCard({ privateKey, publicKey, identity });
  return { publicKey, close: () => manager.revokeCard(id) };
}

/** In place of Virgil's own connection, which reads an answer of any size and follows redirects with the token. */
function boundedConnection(apiUrl: string) {
  return {
    async post(endpoint: string, token: string, data: object = {}): Promise<Response> {
      const { status, text } = await request(apiUrl + endpoint, {
        method: 'POST',
        headers: { Authorization: `Virgil ${token}`, 'Content-Type': 'application/json' },
        body: JSON.stringify(data),
      });
      return new Response(text || null, { status });
    },
  };
}
