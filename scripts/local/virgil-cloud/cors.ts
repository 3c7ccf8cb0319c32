import type { RequestHandler } from 'express';

const LOCAL_ORIGIN = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/;

/** Lets web apps on this machine, on whatever port, call the local Virgil Cloud; answers their preflights. */
export const allowLocalOrigins: RequestHandler = (request, response, next) => {
  response.vary('Origin');
  const { origin } = request.headers;
  if (origin && LOCAL_ORIGIN.test(origin)) {
    response.set({
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Methods': 'GET, POST, PUT',
      'Access-Control-Allow-Headers':
        'Authorization, Content-Type, Virgil-Agent, Virgil-Keyknox-Previous-Hash',
      'Access-Control-Expose-Headers': 'Virgil-Keyknox-Hash, X-Virgil-Is-Superseeded',
    });
  }
  if (request.method === 'OPTIONS') response.sendStatus(204);
  else next();
};
