import { createHash, type KeyObject } from 'node:crypto';
import type { VirgilCredentials } from '../credentials';
import { base64url, type IssuedToken, issueJwt } from './jwt';
import { signOffThread } from './sign-off-thread';

// SEQUENCE { SEQUENCE { OID sha512, NULL }, OCTET STRING (64) }, docs/formats.md "Virgil JWT".
const SIGNATURE_PREFIX = Buffer.from('3051300d060960864801650304020305000440', 'hex');

/** The first part of a token, which is always the same. */
const headers = new WeakMap<VirgilCredentials, string>();

/**
 * Issues a Virgil JWT (docs/formats.md, "Virgil JWT"): what `virgil-sdk`'s JwtGenerator makes of the same values, byte for byte.
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
    headers.get(credentials) ?? base64url({ alg: 'VEDS512', kid: appKeyId, typ: 'JWT', cty: 'virgil-jwt;v=1' });
  headers.set(credentials, header);
  const claims = { iss: `virgil-${appId}`, sub: `identity-${identity}` };
  const sign = (signingInput: string) => virgilSignature(signingInput, appKey);
  return { identity, ...(await issueJwt(header, claims, lifetime, sign)) };
}

/**
 * Signs as `virgil-crypto` does, byte for byte: Ed25519 (RFC 8032) over the SHA-512 digest of the text's UTF-8, wrapped in
 * DER.
 * @param appKey an Ed25519 private key
 */
export async function virgilSignature(text: string, appKey: KeyObject): Promise<Buffer> {
  const digest = createHash('sha512').update(text).digest();
  return Buffer.concat([SIGNATURE_PREFIX, await signOffThread(null, digest, appKey)]);
}
