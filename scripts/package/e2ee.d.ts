/** What `require('./e2ee')` gives an app in TypeScript: `const { guard }: typeof import('back4app-e2ee') = require('./e2ee')`. */

/** The request of a `beforeSave` trigger. */
export interface SaveRequest {
  object: { className: string };
  original?: { className: string };
  user?: { id?: string };
  master: boolean;
  log?: { warn(message: string): void };
}

/** The request of a Cloud Function. */
export interface FunctionRequest {
  user?: { id?: string };
  params: Record<string, unknown>;
  log: { error(message: string): void };
}

/**
 * Answers a call as `virgil-jwt` does, for an app that adds a check of its own. Return its result at once from a function of
 * another name, as what runs in between may have Parse Server log the token.
 *
 * @returns rejects with the `Parse.Error` that the client would get
 */
export const virgilJwt: (
  request: FunctionRequest,
) => Promise<{ token: string; identity: string; expiresAt: string }>;

/**
 * Asks the guard, which runs in each guarded class's `beforeSave` anyway, about a save of your own code.
 *
 * @param request of a class that is in `back4app.json`
 * @returns rejects with the `Parse.Error` that the client would get
 */
export const guard: (request: SaveRequest) => Promise<void>;

/**
 * For an app that only marks users as deleted: takes the cards and key backups of one off Virgil Cloud. Revoke the user's
 * sessions and refuse log-in first.
 *
 * @param identity the user's `objectId`
 * @returns resolves when the order is stored and, within 3 s, carried out; what is left is tried again. Rejects where it
 *   cannot be stored, or `virgil.eraseDeletedUsers` is off
 */
export const eraseIdentity: (identity: string) => Promise<void>;
