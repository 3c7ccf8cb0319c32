import type { RequestHandler } from 'express';

/** Lets web apps, which are on other ports, call the local Virgil Cloud; answers their preflights. `refuseForeign` says whose. */
export const allowCrossOrigin: RequestHandler = (request, response, next) => {
  response.set({
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Allow-Methods': 'GET, POST, PUT',
    'Access-Control-Allow-Headers': 'Authorization, Content-Type, Virgil-Agent, Virgil-Keyknox-Previous-Hash',
    'Access-Control-Expose-Headers': 'Virgil-Keyknox-Hash, X-Virgil-Is-Superseeded',
  });
  if (request.method === 'OPTIONS') response.sendStatus(204);
  else next();
};
