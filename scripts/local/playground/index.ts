import { extname } from 'node:path';
import express, { type ErrorRequestHandler, type RequestHandler, type Router } from 'express';
import { UserError } from '../../command-line/user-error';
import type { PageFile } from './build-page';
import { type MessageStore, readStoredMessages, tamperWithMessage } from './stored-messages';

/**
 * The page that `npm start` serves at `/`, and under `/playground` what it asks of this machine: the rows as the database
 * holds them, and to tamper with one. The page itself never holds the master key. Put `refuseForeign` before it.
 */
export function playground(files: PageFile[], store: MessageStore): Router {
  const router = express.Router();
  for (const [path, contents] of files) {
    router.get(`/${path}`, (request, response) => {
      response
        .set({
          'Content-Security-Policy': contentSecurityPolicy(request.headers.host),
          'Cache-Control': 'no-cache', // Express answers 304 while the ETag is the same
          'X-Content-Type-Options': 'nosniff',
        })
        .type(extname(path) || 'html')
        .send(Buffer.from(contents));
    });
  }
  router.use('/playground', onlyForThePage);
  router.get('/playground/messages', async (request, response) => {
    response.json(await readStoredMessages(store, String(request.query.threadId)));
  });
  router.post('/playground/messages/:id/tamper', async (request, response) => {
    await tamperWithMessage(store, request.params.id);
    response.status(204).end();
  });
  router.use('/playground', answerError);
  return router;
}

/** No inline script, and nothing from another host. Not every browser lets 'self' cover WebSockets (LiveQuery). */
function contentSecurityPolicy(host = ''): string {
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'", // WASM is E3Kit's cryptography
    `connect-src 'self' ws://${host}`,
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self' blob:", // a photo that a phone has decrypted
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** Every browser names the site that makes it send a request; other sites could make it send one here too. */
const onlyForThePage: RequestHandler = (request, response, next) => {
  if (request.headers['sec-fetch-site'] === 'same-origin') return next();
  response.status(403).json({ error: 'This is for the page at / alone, opened on this machine.' });
};

const answerError: ErrorRequestHandler = (error, _request, response, next) => {
  if (!(error instanceof UserError)) return next(error);
  response.status(400).json({ error: error.message });
};
