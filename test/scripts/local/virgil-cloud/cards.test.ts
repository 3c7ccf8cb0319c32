import { createHash } from 'node:crypto';
import { KeyPairType, VirgilCrypto } from 'virgil-crypto';
import { type CardManager, Jwt, type RawSignedModel } from 'virgil-sdk';
import { makeVirgilApplication, type VirgilApplication } from '../../../support/virgil-application';
import { call, createCardManager, serveVirgilCloud } from '../../../support/virgil-cloud';
import { loadVirgilCrypto } from '../../../support/virgil-crypto';
import postQuantumCards from './post-quantum-cards.json';

let app: VirgilApplication;
let cloud: Awaited<ReturnType<typeof serveVirgilCloud>>;
let crypto: VirgilCrypto;
let alice: CardManager;
let bob: CardManager;

beforeEach(async () => {
  app = makeVirgilApplication(await loadVirgilCrypto());
  cloud = await serveVirgilCloud(app);
  crypto = new VirgilCrypto();
  alice = createCardManager(app, cloud.url, 'alice');
  bob = createCardManager(app, cloud.url, 'bob');
});
afterEach(() => cloud.close());

const publish = (manager: CardManager, identity: string, previousCardId?: string) =>
  manager.publishCard({ identity, previousCardId, ...crypto.generateKeys() });
const rawCard = (identity: string) => alice.generateRawCard({ identity, ...crypto.generateKeys() });
const post = (token: string, model: object) => call(`${cloud.url}/card/v5`, token, { body: model });
const parts = (model: RawSignedModel) => JSON.parse(JSON.stringify(model));
const encode = (content: object) => Buffer.from(JSON.stringify(content)).toString('base64');

describe('publishing', () => {
  it('gives the card back to everybody, byte for byte, under the digest of its snapshot', async () => {
    const model = parts(rawCard('alice'));
    await post(app.token('alice'), model);

    const id = createHash('sha512').update(model.content_snapshot, 'base64').digest('hex').slice(0, 64);
    expect((await call(`${cloud.url}/card/v5/${id}`, app.token('bob'))).body).toEqual(model);
    expect((await bob.searchCards('alice')).map((card) => card.id)).toEqual([id]);
  });

  it.each([
    KeyPairType.ED25519,
    KeyPairType.SECP256R1,
    KeyPairType.RSA_2048,
    KeyPairType.CURVE25519_ROUND5_ED25519_FALCON,
  ])('takes a card whose key is of type %s', async (type) => {
    const card = await alice.publishCard({ identity: 'alice', ...crypto.generateKeys(type) });
    expect((await alice.getCard(card.id)).identity).toBe('alice');
  });

  it.each(postQuantumCards)(
    'takes a post-quantum card of $sdk, whose key we could not encrypt for',
    async ({ card }) => {
      const content = JSON.parse(Buffer.from(card.content_snapshot, 'base64').toString());
      expect(() => crypto.importPublicKey({ value: content.public_key, encoding: 'base64' })).toThrow();
      expect(await post(app.token('alice'), card)).toMatchObject({ status: 200, body: card });
    },
  );

  it.each(postQuantumCards)(
    'refuses one of $sdk whose self-signature is of another card',
    async ({ card, sdk }) => {
      const [other] = postQuantumCards.filter((one) => one.sdk !== sdk);
      const forged = { ...card, signatures: other?.card.signatures };
      expect(await post(app.token('alice'), forged)).toMatchObject({ status: 400, body: { code: 30002 } });
    },
  );

  it('takes a self-signature with extra fields', async () => {
    const card = await alice.publishCard({
      identity: 'alice',
      ...crypto.generateKeys(),
      extraFields: { device: 'x' },
    });
    expect((await bob.getCard(card.id)).signatures[0]?.extraFields).toEqual({ device: 'x' });
  });

  it("refuses a card with another identity than the token's", async () => {
    const answer = await post(app.token('mallory'), rawCard('alice'));
    expect(answer).toMatchObject({ status: 403, body: { code: 30003 } });
    expect(await bob.searchCards('alice')).toEqual([]);
  });

  it('refuses a card without a self-signature', async () => {
    const answer = await post(app.token('alice'), { ...parts(rawCard('alice')), signatures: [] });
    expect(answer).toMatchObject({ status: 400, body: { code: 30002 } });
  });

  it('refuses a self-signature made with another key', async () => {
    const model = parts(rawCard('alice'));
    model.signatures = parts(rawCard('alice')).signatures;
    expect(await post(app.token('alice'), model)).toMatchObject({ status: 400, body: { code: 30002 } });
  });

  it('refuses a public key put in the place of the signed one', async () => {
    const model = parts(rawCard('alice'));
    const content = JSON.parse(Buffer.from(model.content_snapshot, 'base64').toString());
    const publicKey = crypto.exportPublicKey(crypto.generateKeys().publicKey).toString('base64');
    model.content_snapshot = encode({ ...content, public_key: publicKey });
    expect(await post(app.token('alice'), model)).toMatchObject({ status: 400, body: { code: 30002 } });
  });

  it('refuses extra fields that are not signed', async () => {
    const model = parts(rawCard('alice'));
    model.signatures[0].snapshot = encode({ admin: true });
    expect(await post(app.token('alice'), model)).toMatchObject({ status: 400, body: { code: 30002 } });
  });

  it('refuses a second self-signature, which clients could take for the first', async () => {
    const model = parts(rawCard('alice'));
    model.signatures.push(parts(rawCard('alice')).signatures[0]);
    expect(await post(app.token('alice'), model)).toMatchObject({ status: 400, body: { code: 30002 } });
  });

  it('refuses a public key that is none', async () => {
    const model = parts(rawCard('alice'));
    const content = JSON.parse(Buffer.from(model.content_snapshot, 'base64').toString());
    model.content_snapshot = encode({ ...content, public_key: 'AAAA' });
    expect(await post(app.token('alice'), model)).toMatchObject({ status: 400, body: { code: 30002 } });
  });

  it.each([
    ['no snapshot', { signatures: [] }],
    ['a snapshot that is not base64', { content_snapshot: '*', signatures: [] }],
    ['a snapshot that is not JSON', { content_snapshot: 'AAAA', signatures: [] }],
    ['a snapshot that is null', { content_snapshot: Buffer.from('null').toString('base64'), signatures: [] }],
    [
      'a snapshot without identity',
      { content_snapshot: encode({ version: '5.0', created_at: 1 }), signatures: [] },
    ],
    ['an array', []],
  ])('refuses %s', async (_, body) => {
    expect(await post(app.token('alice'), body)).toMatchObject({ status: 400, body: { code: 10001 } });
  });

  it.each(['null', '[null]', '[{"signer":1}]', '{"__proto__":[]}'])(
    'refuses %s as signatures',
    async (signatures) => {
      const { content_snapshot } = parts(rawCard('alice'));
      const body = `{"content_snapshot":"${content_snapshot}","signatures":${signatures}}`;
      expect(await call(`${cloud.url}/card/v5`, app.token('alice'), { body })).toMatchObject({
        status: 400,
        body: { code: 10001 },
      });
    },
  );

  it.each(['__proto__', 'constructor', '../../etc/passwd', 'identity-x'])(
    'treats %p as an identity like any other',
    async (identity) => {
      const card = await publish(createCardManager(app, cloud.url, identity), identity);
      expect((await bob.searchCards([identity, 'nobody'])).map(({ id }) => id)).toEqual([card.id]);
    },
  );
});

describe('superseding', () => {
  it('links the new card to the old one and marks the old one as outdated', async () => {
    const old = await publish(alice, 'alice');
    expect((await bob.getCard(old.id)).isOutdated).toBe(false);
    const current = await publish(alice, 'alice', old.id);

    const [found, ...others] = await bob.searchCards('alice');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ id: current.id, previousCardId: old.id, previousCard: { id: old.id } });
    expect((await bob.getCard(old.id)).isOutdated).toBe(true);
    expect((await bob.getCard(current.id)).isOutdated).toBe(false);
  });

  it('lets only one of two cards supersede a third', async () => {
    const old = await publish(alice, 'alice');
    const results = await Promise.allSettled([
      publish(alice, 'alice', old.id),
      publish(alice, 'alice', old.id),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await bob.searchCards('alice')).toHaveLength(1);
  });

  it("refuses to supersede another identity's card", async () => {
    const victim = await publish(alice, 'alice');
    await expect(publish(bob, 'bob', victim.id)).rejects.toMatchObject({ httpStatus: 400, errorCode: 30002 });
    expect((await bob.getCard(victim.id)).isOutdated).toBe(false);
  });

  it('refuses to supersede a revoked card', async () => {
    const card = await publish(alice, 'alice');
    await alice.revokeCard(card.id);
    await expect(publish(alice, 'alice', card.id)).rejects.toMatchObject({
      httpStatus: 400,
      errorCode: 30002,
    });
  });

  it.each(['0'.repeat(64), '__proto__'])('refuses to supersede %s, which is no card', async (id) => {
    await expect(publish(alice, 'alice', id)).rejects.toMatchObject({ httpStatus: 400, errorCode: 30002 });
  });
});

describe('revoking', () => {
  it('takes the card out of search and marks it as outdated', async () => {
    const card = await publish(alice, 'alice');
    await alice.revokeCard(card.id);
    expect(await bob.searchCards('alice')).toEqual([]);
    expect((await bob.getCard(card.id)).isOutdated).toBe(true);
  });

  it('takes the superseded cards out, too, so that none comes back to life', async () => {
    const first = await publish(alice, 'alice');
    const second = await publish(alice, 'alice', first.id);
    const third = await publish(alice, 'alice', second.id);
    await alice.revokeCard(third.id);
    expect(await bob.searchCards('alice')).toEqual([]);
    await expect(publish(alice, 'alice', first.id)).rejects.toMatchObject({ errorCode: 30002 });
  });

  it("refuses to revoke another identity's card", async () => {
    const card = await publish(alice, 'alice');
    await expect(bob.revokeCard(card.id)).rejects.toMatchObject({ httpStatus: 403, errorCode: 30003 });
    expect(await bob.searchCards('alice')).toHaveLength(1);
  });

  it('refuses to publish a revoked card again', async () => {
    const raw = rawCard('alice');
    const card = await alice.publishRawCard(raw);
    await alice.revokeCard(card.id);
    expect(await post(app.token('alice'), raw)).toMatchObject({ status: 400, body: { code: 30002 } });
  });

  it('answers 404 for a card that there is not', async () => {
    await expect(alice.revokeCard('0'.repeat(64))).rejects.toMatchObject({ httpStatus: 404 });
    await expect(alice.getCard('__proto__')).rejects.toMatchObject({ httpStatus: 404 });
  });
});

describe('searching', () => {
  it('finds the cards of many identities, or of the one in "identity"', async () => {
    const cards = [await publish(alice, 'alice'), await publish(bob, 'bob')];
    expect((await alice.searchCards(['alice', 'bob', 'nobody'])).map(({ id }) => id).sort()).toEqual(
      cards.map(({ id }) => id).sort(),
    );
    const search = `${cloud.url}/card/v5/actions/search`;
    expect((await call(search, app.token('alice'), { body: { identity: 'bob' } })).body).toHaveLength(1);
  });

  it.each([{}, { identities: 'alice' }, { identities: [1] }, { identities: [''] }, { identity: {} }])(
    'refuses %j',
    async (body) => {
      const answer = await call(`${cloud.url}/card/v5/actions/search`, app.token('alice'), { body });
      expect(answer).toMatchObject({ status: 400, body: { code: 10001 } });
    },
  );
});

describe('outdated cards', () => {
  const outdated = (body: object) =>
    call(`${cloud.url}/card/v5/actions/outdated`, app.token('alice'), { body });

  it('are told from current ones, as E3Kit for Kotlin asks about those it has kept', async () => {
    const old = await publish(alice, 'alice');
    const current = await publish(alice, 'alice', old.id);
    const revoked = await publish(bob, 'bob');
    await bob.revokeCard(revoked.id);
    const card_ids = [current.id, revoked.id, '0'.repeat(64), '__proto__', old.id];
    expect(await outdated({ card_ids })).toMatchObject({ status: 200, body: [revoked.id, old.id] });
    expect((await outdated({ card_ids: [] })).body).toEqual([]);
  });

  it.each([{}, { card_ids: 'x' }, { card_ids: [1] }, { card_ids: null }])(
    'are not looked for in %j',
    async (body) => {
      expect(await outdated(body)).toMatchObject({ status: 400, body: { code: 10001 } });
    },
  );

  it('are marked by a header that current ones do not have: the Python SDK takes "false" for true', async () => {
    const old = await publish(alice, 'alice');
    const current = await publish(alice, 'alice', old.id);
    const mark = async (id: string) =>
      (await call(`${cloud.url}/card/v5/${id}`, app.token('bob'))).headers.get('X-Virgil-Is-Superseeded');
    expect([await mark(old.id), await mark(current.id)]).toEqual(['true', null]);
  });
});

it('makes the SDK fetch a new token in place of an expired one and try again', async () => {
  const tokens = [app.token('alice', -1000), app.token('alice')];
  const manager = createCardManager(app, cloud.url, 'alice');
  manager.retryOnUnauthorized = true;
  manager.accessTokenProvider = { getToken: async () => Jwt.fromString(tokens.shift() ?? '') };
  expect(await manager.searchCards('alice')).toEqual([]);
  expect(tokens).toEqual([]);
});
