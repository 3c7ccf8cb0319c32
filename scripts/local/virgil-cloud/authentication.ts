import { createHash, type KeyObject, verify } from 'node:crypto';
import { ErrorCode, VirgilError } from './errors';

export interface VirgilApp {
  appId: string;
  appKeyId: string;
  /** The App Key's public half (Ed25519). */
  appPublicKey: KeyObject;
}

/** DER of `SEQUENCE { SEQUENCE { OID sha512, NULL }, OCTET STRING (64) }`, up to the octets of the signature. */
const SIGNATURE_PREFIX = Buffer.from('3051300d060960864801650304020305000440', 'hex');

/**
 * Answers "who is calling?" from the header `Authorization: Virgil <JWT>`.
 *
 * @returns a function from the header's value to the identity that the token was issued for. It throws a
 *   `VirgilError` with status 401 for whatever is not a valid, unexpired Virgil JWT of this application.
 */
export function authenticator({
  appId,
  appKeyId,
  appPublicKey,
}: VirgilApp): (authorization?: string) => string {
  return (authorization) => {
    const parts = /^Virgil ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(authorization ?? '');
    if (!parts) throw refused('a Virgil JWT is expected in the header "Authorization: Virgil <JWT>"');
    const [, header = '', payload = '', signature = ''] = parts;

    if (!isSigned(`${header}.${payload}`, Buffer.from(signature, 'base64url'), appPublicKey)) {
      throw refused('it is not signed by the App Key of this application');
    }
    const { alg, kid, typ, cty } = decode(header);
    if (alg !== 'VEDS512' || typ !== 'JWT' || cty !== 'virgil-jwt;v=1')
      throw refused('its header is not that of a Virgil JWT');
    if (kid !== appKeyId) throw refused('"kid" is not the App Key ID of this application');

    const { iss, sub, exp } = decode(payload);
    if (iss !== `virgil-${appId}`) throw refused('"iss" is not "virgil-" and the App ID of this application');
    if (typeof exp !== 'number' || exp <= Date.now() / 1000) throw refused('it has expired');
    if (typeof sub !== 'string' || !/^identity-./s.test(sub))
      throw refused('"sub" is not "identity-" and an identity');
    return sub.slice('identity-'.length);
  };
}

/** VEDS512: Ed25519 over the SHA-512 digest, wrapped in DER. */
function isSigned(data: string, signature: Buffer, publicKey: KeyObject): boolean {
  const prefix = signature.subarray(0, SIGNATURE_PREFIX.length);
  const octets = signature.subarray(SIGNATURE_PREFIX.length);
  const digest = createHash('sha512').update(data).digest();
  return prefix.equals(SIGNATURE_PREFIX) && verify(null, digest, publicKey, octets);
}

function decode(part: string): Record<string, unknown> {
  try {
    return { ...JSON.parse(Buffer.from(part, 'base64url').toString()) };
  } catch {
    throw refused('it is not made of JSON');
  }
}

function refused(reason: string): VirgilError {
  return new VirgilError(401, ErrorCode.accessTokenRefused, `The access token is refused: ${reason}.`);
}
