import { type BareParseServer, startBareParseServer } from '../../../scripts/local/bare-parse-server';
import { envelopeMaker } from '../../support/envelopes';
import { type Answer, type Caller, restClient } from '../../support/rest';
import { loadVirgilCrypto } from '../../support/virgil-crypto';

const SECRET = 'Xylophone';

const guarded = { encrypted: ['body'], plain: ['tag'] };
const policy = {
  virgil: { tokenTtlSeconds: 1200 },
  classes: Object.fromEntries(
    [
      ...['Before', 'Handler', 'Throws', 'Options', 'Function', 'Subclass', 'Replaced', 'Twice', 'Deceit'],
      ...['User', 'Master', 'Fields', 'Roles', 'AllRoles', 'UserKeys', 'Hands'],
    ].map((name) => [name, guarded]),
  ),
};

const cloudCode = `
  Parse.Cloud.beforeSave('Before', ({ object }) => object.set('tag', 'defined before'));

  const { guard } = require('./e2ee');

  Parse.Cloud.beforeSave('Handler', async ({ object }) => {
    const order = object.get('tag');
    object.set('tag', 'seen by the app');
    if (order === 'forge the ciphertext') object.set('body', '${SECRET} set by the trigger');
    if (order === 'add a stray field') object.set('note', '${SECRET} in a stray field');
    if (order === 'open the ACL') object.setACL(new Parse.ACL({ '*': { read: true } }));
    return { object: { body: '${SECRET} from the handler' } };
  });
  Parse.Cloud.beforeSave('Throws', ({ object }) => { throw 'not today'; });
  Parse.Cloud.beforeSave('Options', ({ object }) => { object.set('tag', 'not for the master'); },
    { skipWithMasterKey: true });
  Parse.Cloud.beforeSave('Function', () => {}, ({ object }) => { if (object.get('tag') === 'no') throw 'not valid'; });
  class Subclass extends Parse.Object { constructor() { super('Subclass'); } }
  Parse.Object.registerSubclass('Subclass', Subclass);
  Parse.Cloud.beforeSave(Subclass, ({ object }) => { object.set('tag', 'subclass'); });
  Parse.Cloud.beforeSave('Replaced', (request) => {
    request.object = new Parse.Object('Replaced', { body: '${SECRET} replaced' });
  });
  Parse.Cloud.beforeSave('Twice', ({ object }) => { object.set('tag', 'first'); });
  Parse.Cloud.beforeSave('Twice', ({ object }) => { object.set('tag', 'second'); });
  Parse.Cloud.beforeSave('Deceit', (request) => {
    request.master = true;
    request.original = undefined;
  });
  Parse.Cloud.beforeSave('User', () => {}, { requireUser: true });
  Parse.Cloud.beforeSave('Master', () => {}, { requireMaster: true });
  Parse.Cloud.beforeSave('Fields', () => {}, { fields: { tag: { required: true, options: (tag) => tag === 'fine' } } });
  Parse.Cloud.beforeSave('Roles', () => {}, { requireAnyUserRoles: ['Writers'] });
  Parse.Cloud.beforeSave('AllRoles', () => {}, { requireAllUserRoles: ['Writers'] });
  Parse.Cloud.beforeSave('UserKeys', () => {}, { requireUserKeys: ['nickname'] });
  Parse.Cloud.beforeSave('Hands', ({ object }) => {
    object.set('tag', Object.keys(object.toJSON()).sort().join() + '; ' + JSON.parse(JSON.stringify(object)).tag);
  });
  Parse.Cloud.beforeSave('Free', ({ object }) => { object.set('tag', 'unguarded'); });

  Parse.Cloud.define('ask-guard', async ({ params, user }) => {
    const object = new Parse.Object(params.className, params.fields);
    return guard({ object, user, master: false }).then(() => 'accepted', (error) => String(error.code ?? error.message));
  });
`;

let server: BareParseServer;
let rest: ReturnType<typeof restClient>;
let envelope: ReturnType<typeof envelopeMaker>;
let caller: Caller;

beforeAll(async () => {
  envelope = envelopeMaker(await loadVirgilCrypto());
  server = await startBareParseServer({ policy, cloudCode });
  rest = restClient(server);
  caller = await rest.signUp();
});
afterAll(() => server?.stop());

const save = (className: string, fields: object, by: Caller = caller): Promise<Answer> =>
  rest.call('POST', `/classes/${className}`, fields, by);
const read = async (className: string, { body }: Answer) =>
  (await rest.call('GET', `/classes/${className}/${body.objectId}`, undefined, { master: true })).body;

test("an app's own trigger runs, and the guard after it", async () => {
  const saved = await save('Handler', { body: envelope() });
  const row = await read('Handler', saved);
  expect(row.tag).toBe('seen by the app');
  expect(row.body).toMatch(/^MI/);
  expect((await save('Handler', { body: `${SECRET}!` })).body.code).toBe(142);
});

test.each([
  ['forge the ciphertext', 142],
  ['add a stray field', 142],
  ['open the ACL', 119],
])('what it leaves is guarded: %s', async (tag, code) => {
  expect((await save('Handler', { body: envelope(), tag })).body.code).toBe(code);
});

test('a trigger that throws refuses the save with its own error', async () => {
  expect((await save('Throws', { body: envelope() })).body).toEqual({ code: 141, error: 'not today' });
  expect((await save('Throws', { body: `${SECRET} thrown` })).body).toEqual({
    code: 141,
    error: 'not today',
  });
});

test('skipWithMasterKey skips the trigger, and not the guard', async () => {
  const skipped = await save('Options', { body: envelope() }, { master: true });
  expect(await read('Options', skipped)).not.toHaveProperty('tag');
  expect(await read('Options', await save('Options', { body: envelope() }))).toMatchObject({
    tag: 'not for the master',
  });
  expect((await save('Options', { body: `${SECRET}!` }, { master: true })).body.code).toBe(142);
});

test('a validator function runs, and has nothing it refuses logged', async () => {
  expect((await save('Function', { body: `${SECRET}!`, tag: 'no' })).body).toEqual({
    code: 142,
    error: 'not valid',
  });
  expect((await save('Function', { body: `${SECRET}!`, tag: 'yes' })).body.code).toBe(142);
  expect((await save('Function', { body: envelope(), tag: 'yes' })).status).toBe(201);
});

describe('a validator that is an object', () => {
  // What it refuses is in the log: the last test looks for the secret there.
  test.each(['User', 'Master', 'Fields', 'Roles', 'AllRoles', 'UserKeys'])(
    'refuses, of %s',
    async (className) => {
      for (const by of className === 'User' ? [{}] : [caller, {}]) {
        const { body } = await save(className, { body: `${SECRET} refused by a validator`, tag: SECRET }, by);
        expect(body.code).toBe(142);
        expect(body.error).toMatch(/^Validation failed|^Please login/);
      }
    },
  );

  test('sees the values that are saved, and lets the guard see them', async () => {
    expect((await save('Fields', { body: envelope(), tag: 'fine' })).status).toBe(201);
    expect((await save('Fields', { body: `${SECRET}!`, tag: 'fine' })).body.error).toMatch(/Encrypt it/);
    expect((await save('User', { body: envelope() })).status).toBe(201);
    expect((await save('Master', { body: envelope() }, { master: true })).status).toBe(201);
  });
});

test("an app's own trigger sees the object as it is", async () => {
  const row = await read('Hands', await save('Hands', { body: envelope(), tag: 'mine' }));
  expect(row.tag).toBe('body,tag; mine');
});

test('a trigger given by the constructor of a subclass counts', async () => {
  expect(await read('Subclass', await save('Subclass', { body: envelope() }))).toMatchObject({
    tag: 'subclass',
  });
  expect((await save('Subclass', { body: `${SECRET}!` })).body.code).toBe(142);
});

test('an object that a trigger puts in the place of the saved one is guarded', async () => {
  expect((await save('Replaced', { body: envelope() })).body.code).toBe(142);
});

test('of two triggers the last counts, as Parse has it, and the guard with it', async () => {
  expect(await read('Twice', await save('Twice', { body: envelope() }))).toMatchObject({ tag: 'second' });
  expect((await save('Twice', { body: `${SECRET}!` })).body.code).toBe(142);
});

test('a trigger cannot talk the guard into another caller', async () => {
  const { body } = await save('Deceit', { body: envelope() });
  const taken = await rest.call(
    'PUT',
    `/classes/Deceit/${body.objectId}`,
    { ACL: { __op: 'Delete' } },
    caller,
  );
  expect(taken.body.code).toBe(119);
});

test('a trigger defined before the bundle is required runs too, and the guard after it', async () => {
  expect(await read('Before', await save('Before', { body: envelope() }))).toMatchObject({
    tag: 'defined before',
  });
  expect((await save('Before', { body: `${SECRET}!` })).body.code).toBe(142);
});

test('a class outside the policy is left to the app', async () => {
  expect(await read('Free', await save('Free', { anything: 'goes' }))).toMatchObject({ tag: 'unguarded' });
});

test('the exported guard answers for any class of the policy', async () => {
  const ask = async (className: string, fields: object) =>
    (await rest.run('ask-guard', { className, fields }, caller)).body.result;
  expect(await ask('Handler', { body: envelope() })).toBe('accepted');
  expect(await ask('Handler', { body: 'text' })).toBe('142');
  expect(await ask('Free', {})).toBe('Free is not a class of back4app.json.');
});

test('what an accepted save holds is in no log with default levels either', async () => {
  const saved = await save('Handler', { body: envelope(), tag: 'a tag for the log' });
  const { body } = await read('Handler', saved);
  const logged = await server.logged();
  expect(logged).toContain('beforeSave triggered for Handler');
  for (const value of [body, 'a tag for the log', 'seen by the app'])
    expect(logged.includes(value)).toBe(false);
});

test('of all plain text refused above, nothing is in the database or in a log with default levels', async () => {
  expect((await server.logged()).includes('beforeSave failed for Function')).toBe(true);
  expect((await server.logged()).includes(SECRET)).toBe(false);
  expect((await server.stored()).includes(SECRET)).toBe(false);
});
