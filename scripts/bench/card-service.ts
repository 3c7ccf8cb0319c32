import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { VirgilCrypto } from 'virgil-crypto';

/** Says of the first identity that it is asked for that it has the first of so many keys, and so on, until `stop`. */
export async function serveCards(crypto: VirgilCrypto, count: number) {
  const keys = Array.from({ length: count }, () => crypto.generateKeys());
  const publicKeys = keys.map(({ publicKey }) => publicKey);
  const service = await serve(({ identities }) =>
    (identities as string[]).map((identity, i) => {
      const publicKey = crypto.exportPublicKey(publicKeys[i] as (typeof publicKeys)[0]);
      const card = { identity, public_key: publicKey.toString('base64') };
      return { content_snapshot: Buffer.from(JSON.stringify(card)).toString('base64') };
    }),
  );
  const [first] = keys;
  return {
    ...service,
    /** For all of the keys. */
    message: crypto
      .signAndEncrypt(Buffer.alloc(400), first?.privateKey as never, publicKeys, true)
      .toString('base64'),
  };
}

/** Answers requests in JSON, until `stop`. */
export async function serve(answer: (body: Record<string, unknown>) => unknown) {
  const server = createServer(async (request, response) => {
    response.end(JSON.stringify(answer((await json(request)) as Record<string, unknown>)));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => server.close(),
  };
}
