import { createPublicKey, type KeyObject } from 'node:crypto';
import { initCrypto, VirgilAccessTokenSigner, VirgilCrypto } from 'virgil-crypto';
import { Jwt, JwtVerifier } from 'virgil-sdk';
import * as z from 'zod';
import type { VirgilCredentials } from '../../cloud/credentials';

/** How far the server's clock may be off. */
export const CLOCK_SKEW_SECONDS = 300;

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const MAX_TOKEN_CHARACTERS = 8192;

const claims = z.object({
  header: z.object({ alg: z.string(), typ: z.string(), cty: z.string(), kid: z.string() }),
  body: z.object({ iss: z.string(), sub: z.string(), iat: z.number(), exp: z.number() }),
});

/** @returns the token in what a server calls one; undefined where it lacks a part or a claim of a Virgil JWT */
export function readToken(text: unknown): Jwt | undefined {
  if (typeof text !== 'string' || text.length > MAX_TOKEN_CHARACTERS || !JWT.test(text)) return undefined;
  try {
    const jwt = Jwt.fromString(text);
    return claims.safeParse(jwt).success ? jwt : undefined;
  } catch {
    return undefined;
  }
}

export interface ExpectedToken {
  /** The `objectId` of the user it is for. */
  identity: string;
  /** The end of the user's session, in milliseconds since 1970. */
  sessionEnd: number;
  /** The policy's lifetime. */
  tokenTtlSeconds: number;
}

/**
 * Checks every header parameter and claim of a Virgil JWT (docs/formats.md, "Virgil JWT") but the signature.
 *
 * @returns what is wrong with it
 */
export function claimFaults(jwt: Jwt, { identity, sessionEnd, tokenTtlSeconds }: ExpectedToken): string[] {
  const { header, body } = jwt;
  const now = Date.now() / 1000;
  const lifetime = body.exp - body.iat;
  const faults: [boolean, string][] = [
    [header.alg !== 'VEDS512', 'alg is not VEDS512'],
    [header.typ !== 'JWT', 'typ is not JWT'],
    [header.cty !== 'virgil-jwt;v=1', 'cty is not virgil-jwt;v=1'],
    [!/^[0-9a-f]{32}$/i.test(header.kid), 'kid is not an App Key ID'],
    [!/^virgil-[0-9a-f]{32}$/i.test(body.iss), 'iss is not "virgil-" and an App ID'],
    [body.sub !== `identity-${identity}`, 'sub is not "identity-" and the user\'s objectId'],
    [
      !(Math.abs(body.iat - now) <= CLOCK_SKEW_SECONDS),
      "iat is not now: the server's clock is off, or this one's",
    ],
    [!(lifetime > 0), 'exp is not after iat'],
    [lifetime > tokenTtlSeconds, "exp is later than the policy's tokenTtlSeconds allows: deploy again"],
    // The end is rounded down to the second.
    [
      lifetime < tokenTtlSeconds - 1 && body.exp * 1000 <= sessionEnd - 1000,
      "exp is earlier than the policy's tokenTtlSeconds says: deploy again",
    ],
    [body.exp * 1000 > sessionEnd, 'exp is after the end of the session'],
  ];
  return faults.filter(([isFault]) => isFault).map(([, message]) => message);
}

/** Whether the App Key made this token's signature: as Virgil Cloud verifies it, with Virgil's own library. */
export async function isSignedWith(jwt: Jwt, { appKey, appKeyId }: VirgilCredentials): Promise<boolean> {
  await initCrypto();
  const crypto = new VirgilCrypto();
  const verifier = new JwtVerifier({
    accessTokenSigner: new VirgilAccessTokenSigner(crypto),
    apiPublicKey: crypto.importPublicKey(publicHalf(appKey)),
    apiKeyId: appKeyId,
  });
  return verifier.verifyToken(jwt);
}

/** DER, RFC 8410. */
export function publicHalf(appKey: KeyObject): Buffer {
  return createPublicKey(appKey as unknown as Parameters<typeof createPublicKey>[0]).export({
    format: 'der',
    type: 'spki',
  });
}
