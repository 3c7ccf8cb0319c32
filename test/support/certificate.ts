import { generateKeyPairSync, sign } from 'node:crypto';
import { leaf, node, putTogether, takeApart } from './der-tree';

// Tags of X.690; context() as in cloud/envelope/der.ts.
const [INTEGER, BIT_STRING, OID, UTF8_STRING, UTC_TIME, SEQUENCE, SET] = [2, 3, 6, 12, 23, 0x30, 0x31];
const context = (number: number) => 0xa0 + number;
const ED25519 = node(SEQUENCE, leaf(OID, '2b6570')); // 1.3.101.112

/** A certificate that is signed by its own key (RFC 5280), in PEM, good for the years from `since` (two digits) to `until`. */
export function makeCertificate(host: string, since: string, until: string): { cert: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const text = (tag: number, value: string) => leaf(tag, Buffer.from(value).toString('hex'));
  const commonName = leaf(OID, '550403'); // 2.5.4.3
  const name = node(SEQUENCE, node(SET, node(SEQUENCE, commonName, text(UTF8_STRING, host))));
  const toBeSigned = node(
    SEQUENCE,
    node(context(0), leaf(INTEGER, '02')),
    leaf(INTEGER, '01'),
    ED25519,
    name,
    node(SEQUENCE, text(UTC_TIME, `${since}0101000000Z`), text(UTC_TIME, `${until}0101000000Z`)),
    name,
    takeApart(publicKey.export({ format: 'der', type: 'spki' })).root,
  );
  const signature = sign(null, putTogether(toBeSigned), privateKey);
  const der = putTogether(
    node(SEQUENCE, toBeSigned, ED25519, leaf(BIT_STRING, `00${signature.toString('hex')}`)),
  );
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}
