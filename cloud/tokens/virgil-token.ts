import { JwtGenerator } from 'virgil-sdk';
import type { VirgilCredentials } from '../credentials';
import type { IssuedToken } from './issued-token';
import { virgilSigner } from './virgil-signer';

/**
 * Issues a Virgil JWT (formats.md, "Virgil JWT").
 *
 * @param identity whom the token is for: the user's `objectId`
 * @param lifetime in milliseconds; the token's end is rounded down to the second
 */
export function issueVirgilToken(
  credentials: VirgilCredentials,
  identity: string,
  lifetime: number,
): IssuedToken {
  const generator = new JwtGenerator({
    appId: credentials.appId,
    apiKeyId: credentials.appKeyId,
    apiKey: credentials.appKey as unknown as JwtGenerator['apiKey'],
    accessTokenSigner: virgilSigner,
    millisecondsToLive: lifetime,
  });
  const jwt = generator.generateToken(identity);
  return { token: jwt.toString(), identity, expiresAt: new Date(jwt.body.exp * 1000).toISOString() };
}
