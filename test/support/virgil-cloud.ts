import type { AddressInfo } from 'node:net';
import express, { type RequestHandler } from 'express';
import { VirgilCardCrypto, VirgilCrypto } from 'virgil-crypto';
import { CardManager, VirgilCardVerifier } from 'virgil-sdk';
import { refuseForeign } from '../../scripts/local/host-check';
import { openVirgilCloud, type VirgilCloudOptions } from '../../scripts/local/virgil-cloud';
import type { VirgilApplication } from './virgil-application';

/**
 * Serves a local Virgil Cloud at `url` on a free port, until `close`.
 *
 * @param before what a test puts before it, to look at requests or to have them fail
 */
export async function serveVirgilCloud(
  options: VirgilCloudOptions,
  before: RequestHandler = (_request, _response, next) => next(),
) {
  const cloud = await openVirgilCloud(options);
  const app = express().use(refuseForeign()).use(before).use('/virgil', cloud.router);
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/virgil`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await cloud.close();
    },
  };
}

/** The official card client of one identity, with its own check of self-signatures on. */
export function createCardManager(app: VirgilApplication, apiUrl: string, identity: string): CardManager {
  const cardCrypto = new VirgilCardCrypto(new VirgilCrypto());
  return new CardManager({
    cardCrypto,
    cardVerifier: new VirgilCardVerifier(cardCrypto, {
      verifySelfSignature: true,
      verifyVirgilSignature: false,
    }),
    accessTokenProvider: app.tokenProvider(identity),
    retryOnUnauthorized: false,
    apiUrl,
  });
}

/** A bare call, for what official clients would not send. */
export async function call(
  url: string,
  token: string,
  { body, method = body === undefined ? 'GET' : 'POST', headers = {} }: CallOptions = {},
) {
  const response = await fetch(url, {
    method,
    headers: { Authorization: `Virgil ${token}`, 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'object' ? JSON.stringify(body) : body,
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : JSON.parse(text),
  };
}

interface CallOptions {
  method?: string;
  headers?: Record<string, string>;
  /** A string is sent as it is, an object as JSON. */
  body?: string | object;
}
