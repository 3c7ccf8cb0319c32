import type { VirgilCredentials } from '../credentials';
import type { IssuedToken } from './issued-token';
import { base64url, issueJwt } from './jwt';
import { virgilSignature } from './virgil-signer';

/** The first part of a token, which is always the same. */
const headers = new WeakMap<VirgilCredentials, string>();

/**
 * Issues a Virgil JWT (docs/formats.md, "Virgil JWT"): what `virgil-sdk`'s JwtGenerator makes of the same values, byte for byte.
 *
 * @param identity whom the token is for: the user's `objectId`
 * @param lifetime in milliseconds; the token's end is rounded down to the second
 * @throws TypeError for an identity that is not ASCII. What other encoders make of it, or of part of it, may be the
 *   identity of somebody else
 */
export async function issueVirgilToken(
  credentials: VirgilCredentials,
  identity: string,
  lifetime: number,
): Promise<IssuedToken> {
  if (!/^[\x21-\x7e]+$/.test(identity)) throw new TypeError('An identity is printable ASCII.');
  const { appId, appKeyId, appKey } = credentials;
  const header =
    headers.get(credentials) ??
    base64url({ alg: 'VEDS512', kid: appKeyId, typ: 'JWT', cty: 'virgil-jwt;v=1' });
  headers.set(credentials, header);
  const claims = { iss: `virgil-${appId}`, sub: `identity-${identity}` };
  const sign = (signingInput: string) => virgilSignature(signingInput, appKey);
  return { identity, ...(await issueJwt(header, claims, lifetime, sign)) };
}
