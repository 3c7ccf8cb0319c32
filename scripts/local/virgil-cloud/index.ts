import { initPythia } from '@virgilsecurity/pythia-crypto';
import express, { type Router } from 'express';
import { initCrypto } from 'virgil-crypto';
import { UserError } from '../../command-line/user-error';
import { authenticator, type VirgilApp } from './authentication';
import { brainKeyService } from './brainkey';
import { type Card, cardsService, ownersOfKeys } from './cards';
import { allowCrossOrigin } from './cors';
import { answerError, ErrorCode, VirgilError } from './errors';
import { keyknoxV1Service, keyknoxV2Service, type Ticket, type Value } from './keyknox';
import { openStorage } from './storage';

export interface VirgilCloudOptions extends VirgilApp {
  /** Where the state is kept between starts; without it, in memory. One process at a time may use it. */
  dataFile?: string;
  /** How many milliseconds an identity waits between two BrainKeys (Virgil's own: 2000). Default: 0, not at all. */
  brainKeyIntervalMs?: number;
}

export interface VirgilCloud {
  /** The services, for `app.use('/virgil', router)`; that path's URL is E3Kit's `apiUrl`. Put `refuseForeign` before it. */
  router: Router;
  /** Identities by the key IDs of their published keys, in hex. */
  ownersOfKeys(): Map<string, string>;
  /** Waits until all is on disk and lets go of the file. */
  close(): Promise<void>;
}

/**
 * Opens the local Virgil Cloud: a stand-in for Virgil's Cards, Keyknox and Pythia (BrainKey) services, for one
 * application. For development and tests only: it has no limits on use, and no cards signed by Virgil.
 *
 * What was answered with success is on disk.
 *
 * @throws UserError with `NODE_ENV=production`, or when `dataFile` is damaged
 */
export async function openVirgilCloud(options: VirgilCloudOptions): Promise<VirgilCloud> {
  if (process.env.NODE_ENV === 'production') {
    throw new UserError(
      'The local Virgil Cloud is for development only and does not start with NODE_ENV=production.',
    );
  }
  await Promise.all([initCrypto(), initPythia()]);

  const storage = await openStorage(options.dataFile);
  const table = <Row>(service: string) => storage.table<Row>(`${options.appId}/${service}`);
  const cards = table<Card>('cards');
  const routes = [
    ...cardsService(cards),
    ...keyknoxV1Service(table<Value>('keyknox-v1')),
    ...keyknoxV2Service(table<Ticket>('keyknox-v2')),
    ...brainKeyService(table<string>('brainkey'), options.brainKeyIntervalMs ?? 0),
  ];

  const router = express.Router();
  router.use(allowCrossOrigin);
  const authenticate = authenticator(options);
  router.use((request, response, next) => {
    response.locals.identity = authenticate(request.headers.authorization);
    next();
  });
  // JSON it is, whatever the Content-Type says: Python's says that of a form.
  router.use(express.json({ limit: '1mb', type: () => true }));
  for (const [method, path, handle] of routes) {
    router[method](path, async (request, response) => {
      const { body, headers } = handle({
        identity: response.locals.identity,
        body: request.body,
        params: request.params,
        header: (name) => request.get(name),
      });
      await storage.saved();
      response.set(headers).json(body);
    });
  }
  router.use(() => {
    throw new VirgilError(404, ErrorCode.notFound, 'The local Virgil Cloud has no such endpoint.');
  });
  router.use(answerError);

  return { router, ownersOfKeys: () => ownersOfKeys(cards), close: storage.close };
}
