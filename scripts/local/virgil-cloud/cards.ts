import { createHash } from 'node:crypto';
import { VirgilCardCrypto, VirgilCrypto } from 'virgil-crypto';
import { ErrorCode, VirgilError } from './errors';
import {
  malformed,
  member,
  type Route,
  readBase64,
  readOptionalString,
  readString,
  readStrings,
} from './service';
import { signerKey } from './signer-key';
import type { Table } from './storage';

interface Signature {
  signer: string;
  signature: string;
  snapshot?: string;
}

/** A card as published, and what the service knows about it. */
export interface Card {
  id: string;
  identity: string;
  previousCardId?: string;
  revoked: boolean;
  /** What clients get: exactly what they sent, as its bytes are what is signed. */
  model: { content_snapshot: string; signatures: Signature[] };
}

/** Virgil's Cards Service: public keys by identity. `initCrypto` must have run. */
export function cardsService(cards: Table<Card>): Route[] {
  const crypto = new VirgilCardCrypto(new VirgilCrypto());

  const find = (id: string): Card => {
    const card = cards.get(id);
    if (!card) throw new VirgilError(404, ErrorCode.cardNotFound, 'There is no card with this id.');
    return card;
  };
  const isSuperseded = (id: string) => [...cards.values()].some((card) => card.previousCardId === id);
  const isOutdated = ({ id, revoked }: Card) => revoked || isSuperseded(id);

  return [
    [
      'post',
      '/card/v5',
      ({ identity, body }) => {
        const card = readCard(body);
        if (card.identity !== identity) {
          throw new VirgilError(
            403,
            ErrorCode.cardOfAnotherIdentity,
            "The card's identity is not the access token's.",
          );
        }
        if (!isSelfSigned(card, crypto)) throw cardRefused('its self-signature is missing or wrong');
        // Also keeps a revoked card from coming back to life.
        if (cards.get(card.id)) throw cardRefused('it has been published before');
        if (card.previousCardId !== undefined) {
          const previous = cards.get(card.previousCardId);
          if (previous?.identity !== identity)
            throw cardRefused('"previous_card_id" names no card of this identity');
          if (previous.revoked) throw cardRefused('the card that it supersedes is revoked');
          if (isSuperseded(previous.id))
            throw cardRefused('the card that it supersedes is superseded already');
        }
        cards.write([[card.id, card]]);
        return { body: card.model };
      },
    ],
    [
      'post',
      '/card/v5/actions/search',
      ({ body }) => {
        const one = readOptionalString(body, 'identity');
        const identities = new Set(one === undefined ? readStrings(body, 'identities') : [one]);
        const found = [...cards.values()].filter((card) => identities.has(card.identity) && !card.revoked);
        return { body: found.map((card) => card.model) };
      },
    ],
    [
      'get',
      '/card/v5/:id',
      ({ params: { id = '' } }) => {
        const card = find(id);
        // Never "false": the Python SDK takes any value for true.
        return {
          body: card.model,
          headers: isOutdated(card) ? { 'X-Virgil-Is-Superseeded': 'true' } : undefined,
        };
      },
    ],
    [
      'post',
      '/card/v5/actions/outdated',
      ({ body }) => {
        const known = readStrings(body, 'card_ids').flatMap((id) => cards.get(id) ?? []);
        return { body: known.filter(isOutdated).map(({ id }) => id) };
      },
    ],
    [
      'post',
      '/card/v5/actions/revoke/:id',
      ({ identity, params: { id = '' } }) => {
        const card = find(id);
        if (card.identity !== identity) {
          throw new VirgilError(
            403,
            ErrorCode.cardOfAnotherIdentity,
            'Only the identity on a card may revoke it.',
          );
        }
        // The cards that it superseded go with it: alone, the last of them would be a current card again.
        const chain: [string, Card][] = [];
        for (let link: Card | undefined = card; link; link = cards.get(link.previousCardId ?? '')) {
          chain.push([link.id, { ...link, revoked: true }]);
        }
        cards.write(chain);
        return { body: {} };
      },
    ],
  ];
}

/**
 * Who published which key: what anyone can find out who may search for cards.
 *
 * @returns identities by key ID in hex: the first 8 bytes of SHA-512 of the public key, as envelopes name recipients
 */
export function ownersOfKeys(cards: Table<Card>): Map<string, string> {
  return new Map(
    [...cards.values()].map(({ identity, model }) => {
      const content = parseJson(Buffer.from(model.content_snapshot, 'base64'));
      const publicKey = Buffer.from(readBase64(content, 'public_key'), 'base64');
      return [createHash('sha512').update(publicKey).digest('hex').slice(0, 16), identity];
    }),
  );
}

function readCard(body: unknown): Card {
  const contentSnapshot = readBase64(body, 'content_snapshot');
  const snapshotBytes = Buffer.from(contentSnapshot, 'base64');
  const content = parseJson(snapshotBytes);
  if (member(content, 'version') !== '5.0')
    throw malformed('"version" of the content snapshot must be "5.0"');
  if (!Number.isSafeInteger(member(content, 'created_at'))) {
    throw malformed('"created_at" of the content snapshot must be a Unix time in seconds');
  }
  const signatures = member(body, 'signatures');
  if (!Array.isArray(signatures)) throw malformed('"signatures" must be an array');
  return {
    id: createHash('sha512').update(snapshotBytes).digest().subarray(0, 32).toString('hex'),
    identity: readString(content, 'identity'),
    previousCardId: readOptionalString(content, 'previous_card_id'),
    revoked: false,
    model: { content_snapshot: contentSnapshot, signatures: signatures.map(readSignature) },
  };
}

function readSignature(value: unknown): Signature {
  return {
    signer: readString(value, 'signer'),
    signature: readBase64(value, 'signature'),
    snapshot: readOptionalString(value, 'snapshot') && readBase64(value, 'snapshot'),
  };
}

/** Exactly one signature by "self", over the content snapshot and its own, by the card's own key of whatever type. */
function isSelfSigned({ model }: Card, crypto: VirgilCardCrypto): boolean {
  const [self, another] = model.signatures.filter(({ signer }) => signer === 'self');
  if (!self || another) return false;
  const contentSnapshot = Buffer.from(model.content_snapshot, 'base64');
  const signed = Buffer.concat([contentSnapshot, Buffer.from(self.snapshot ?? '', 'base64')]);
  const publicKey = readBase64(parseJson(contentSnapshot), 'public_key');
  try {
    const key = crypto.importPublicKey(signerKey(Buffer.from(publicKey, 'base64')));
    return crypto.verifySignature(signed, { value: self.signature, encoding: 'base64' }, key);
  } catch {
    return false; // bytes that are no key, or no signature of that key's type
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    throw malformed('"content_snapshot" must be base64 of JSON');
  }
}

function cardRefused(reason: string): VirgilError {
  return new VirgilError(400, ErrorCode.cardRefused, `The card is refused: ${reason}.`);
}
