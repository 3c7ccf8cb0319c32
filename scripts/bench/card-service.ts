import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { VirgilCrypto } from 'virgil-crypto';

/** Says of the first identity that it is asked for that it has the first of so many keys, and so on, until `stop`. */
export async function serveCards(crypto: VirgilCrypto, count: number) {
  const keys = Array.from({ length: count }, () => crypto.generateKeys());
  const publicKeys = keys.map(({ publicKey }) => publicKey);
  const server = createServer(async (request, response) => {
    const { identities } = (await json(request)) as { identities: string[] };
    const cards = identities.map((identity, i) => {
      const publicKey = crypto.exportPublicKey(publicKeys[i] as (typeof publicKeys)[0]);
      const card = { identity, public_key: publicKey.toString('base64') };
      return { content_snapshot: Buffer.from(JSON.stringify(card)).toString('base64') };
    });
    response.end(JSON.stringify(cards));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const [first] = keys;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** For all of the keys. */
    message: crypto
      .signAndEncrypt(Buffer.alloc(400), first?.privateKey as never, publicKeys, true)
      .toString('base64'),
    stop: () => server.close(),
  };
}
