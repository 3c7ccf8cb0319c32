import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { VirgilCrypto } from 'virgil-crypto';
import { type BareParseServer, startBareParseServer } from '../../scripts/local/bare-parse-server';
import { envelopeMaker } from '../support/envelopes';
import { startHttpServer, unusedUrl } from '../support/http-server';
import { makeProject } from '../support/project';
import { restClient } from '../support/rest';
import type { Run } from '../support/run';
import { loadVirgilCrypto } from '../support/virgil-crypto';

const project = makeProject();
let crypto: VirgilCrypto;
let server: BareParseServer;
let client: ReturnType<typeof restClient>;

beforeAll(async () => {
  crypto = await loadVirgilCrypto();
  server = await startBareParseServer({ parseOptions: { allowClientClassCreation: false } });
  client = restClient(server);
});

afterAll(async () => {
  await server.stop();
  project.remove();
});

const master = { master: true };
const schemas = async () => (await client.call('GET', '/schemas', undefined, master)).body.results;
const schemaOf = async (className: string) =>
  (await client.call('GET', `/schemas/${className}`, undefined, master)).body;

function schema(args: string[] = ['--yes'], environment: Record<string, string> = {}): Promise<Run> {
  const app = ['--server', server.url, '--app-id', server.appId];
  return project.run('schema', [...app, ...args], { PARSE_MASTER_KEY: server.masterKey, ...environment });
}

test('without --yes, and no terminal to ask on: shows the difference, changes nothing, and fails', async () => {
  const before = await schemas();
  const { status, stdout, stderr } = await schema([]);
  expect(status).toBe(1);
  expect(stdout).toContain('Message (new)\n  + field body: String\n');
  expect(stderr).toContain('Nothing was changed');
  expect(await schemas()).toEqual(before);
});

test('on a terminal it asks, does not show the master key, and takes no for an answer', async () => {
  const before = await schemas();
  const { status, shown } = await project.runOnTerminal(
    'schema',
    ['--server', server.url, '--app-id', server.appId],
    [
      ['Master key', server.masterKey],
      ['Change this on', 'no'],
    ],
  );
  expect(status).toBe(1);
  expect(shown).toContain('Nothing was changed.');
  expect(shown).not.toContain(server.masterKey);
  expect(await schemas()).toEqual(before);
});

describe('a class that is there already', () => {
  const rows = () => client.call('GET', '/classes/ChatThread', undefined, master);

  beforeAll(async () => {
    await client.call(
      'POST',
      '/schemas/ChatThread',
      {
        className: 'ChatThread',
        fields: {
          senderId: { type: 'String' },
          createdAtDate: { type: 'Number' },
          preview: { type: 'String' },
        },
        classLevelPermissions: {
          find: { '*': true },
          get: { requiresAuthentication: true },
          create: { 'role:admin': true },
          update: { '*': true },
          protectedFields: { '*': ['preview'] },
        },
      },
      master,
    );
    expect(await server.rows.find('ChatThread', {})).toEqual([]);
    await server.rows.insert('ChatThread', [{ objectId: 'old', preview: 'an old row' }]);
  });

  test('keeps its fields, their types, its rows, and what else its owner has set', async () => {
    const before = (await rows()).body;
    expect(before.results).toHaveLength(1);
    const { status, stdout } = await schema();
    expect(status).toBe(0);
    expect(stdout).toContain('ChatThread\n  + field senderUsername: String\n');
    expect(stdout).toContain('~ find: the public -> signed-in users (callers without a session lose it)\n');
    expect(stdout).toContain('~ update: the public -> signed-in users (callers without a session lose it)\n');
    expect(stdout).not.toMatch(/~ (get|count|create|delete)/);
    const after = await schemaOf('ChatThread');
    expect(after.fields).toMatchObject({
      preview: { type: 'String' },
      createdAtDate: { type: 'Number' },
      recipientId: { type: 'String' },
    });
    expect(after.classLevelPermissions.protectedFields).toEqual({ '*': ['preview'] });
    expect((await rows()).body).toEqual(before);
  });

  test('keeps each permission that is narrower than that of a new class', async () => {
    const signedIn = { requiresAuthentication: true };
    expect((await schemaOf('ChatThread')).classLevelPermissions).toMatchObject({
      find: signedIn,
      get: signedIn,
      count: {},
      create: { 'role:admin': true },
      update: signedIn,
      delete: {},
      addField: {},
    });
    const {
      find,
      get,
      count,
      create,
      update,
      delete: remove,
      addField,
    } = (await schemaOf('Message')).classLevelPermissions;
    for (const operation of [find, get, count, create, update, remove]) expect(operation).toEqual(signedIn);
    expect(addField).toEqual({});
  });

  test('whose rows lack an ACL is named, with their number and who may get at them', async () => {
    const own = { _rperm: ['somebody'], _wperm: ['somebody'] };
    await server.rows.insert('ChatThread', [
      { objectId: 'readable', ...own, _rperm: ['*', 'somebody'] },
      { objectId: 'writable', ...own, _wperm: ['*'] },
      { objectId: 'closed', ...own },
      { objectId: 'nobodys', _rperm: [], _wperm: [] },
    ]);
    expect((await schema([])).stdout).toContain(
      "ChatThread: rows without an ACL, or with one that lets everybody in: 3. Only the class's permissions keep others from them " +
        '(find: signed-in users; get: signed-in users; update: signed-in users; delete: nobody).',
    );
  });
});

describe("a class of an app's own", () => {
  const typed = makeProject();
  afterAll(() => typed.remove());
  const run = (mode: string, plain: object) => {
    const chat = { mode, encrypted: ['text'], plain, sender: 'from' };
    typed.write(
      'back4app.json',
      JSON.stringify({ virgil: { tokenTtlSeconds: 1200 }, classes: { Chat: chat } }),
    );
    const app = ['--server', server.url, '--app-id', server.appId];
    return typed.run('schema', [...app, '--yes'], { PARSE_MASTER_KEY: server.masterKey });
  };
  const plain = { from: 'Pointer<_User>', sentAt: 'Date', order: 'Number' };

  test('that reports gets its fields, of their types, and keeps its permissions, which come later', async () => {
    const classLevelPermissions = { find: { '*': true }, get: { '*': true }, create: { '*': true } };
    await client.call('POST', '/schemas/Chat', { className: 'Chat', classLevelPermissions }, master);
    const before = await schemaOf('Chat');
    const { status, stdout } = await run('report', plain);
    expect(status).toBe(0);
    expect(stdout).toContain(
      'Chat reports. At "mode": "enforce" come:\n    find: the public -> signed-in users (callers without',
    );
    expect(stdout).toContain(
      'Chat\n  + field text: String\n  + field from: Pointer<_User>\n  + field sentAt: Date\n',
    );
    const after = await schemaOf('Chat');
    expect(after.classLevelPermissions).toEqual(before.classLevelPermissions);
    expect(after.fields).toMatchObject({
      text: { type: 'String' },
      from: { type: 'Pointer', targetClass: '_User' },
      sentAt: { type: 'Date' },
      order: { type: 'Number' },
    });
  });

  test('that enforces gets them', async () => {
    const { stdout } = await run('enforce', plain);
    expect(stdout).toContain('~ find: the public -> signed-in users (callers without a session lose it)\n');
    expect((await schemaOf('Chat')).classLevelPermissions.find).toEqual({ requiresAuthentication: true });
  });

  test.each([
    ['a type', { ...plain, sentAt: 'String' }, 'Chat.sentAt is of type Date, and must be String.'],
    [
      'the class of a Pointer',
      { ...plain, from: 'String' },
      'Chat.from is of type Pointer<_User>, and must be String.',
    ],
    ['a sender without a type', ['from'], 'Chat.from is of type Pointer<_User>, and must be String.'],
  ])(
    'whose live field has %s other than the policy is named with its mend, and left alone',
    async (_what, wanted, line) => {
      const before = await schemas();
      for (const mode of ['enforce', 'report']) {
        const { status, stdout, stderr } = await run(mode, wanted);
        expect(status).toBe(1);
        expect(stdout).toBe('');
        expect(stderr).toContain(line);
        expect(stderr).toContain('Name another field in back4app.json');
      }
      expect(await schemas()).toEqual(before);
    },
  );

  test('whose free field can never hold a plain value is named too', async () => {
    const fields = { extra: { type: 'Object' }, more: { type: 'Date' } };
    await client.call('PUT', '/schemas/Chat', { className: 'Chat', fields }, master);
    const chat = { encrypted: ['more'], plain: ['extra'] };
    typed.write(
      'back4app.json',
      JSON.stringify({ virgil: { tokenTtlSeconds: 1200 }, classes: { Chat: chat } }),
    );
    const app = ['--server', server.url, '--app-id', server.appId];
    const { status, stderr } = await typed.run('schema', app, { PARSE_MASTER_KEY: server.masterKey });
    expect(status).toBe(1);
    expect(stderr).toContain('Chat.more is of type Date, and must be String.');
    expect(stderr).toContain(
      'Chat.extra is of type Object, and must be one of String, Number, Boolean, Date, Pointer.',
    );
  });
});

test('a second run changes nothing', async () => {
  await schema();
  const before = await schemas();
  const { status, stdout } = await schema([]);
  expect(status).toBe(0);
  expect(stdout).toContain('Nothing to change');
  expect(await schemas()).toEqual(before);
});

test('a signed-in user may save and find, the public may not', async () => {
  const { id, sessionToken } = await client.signUp();
  const body = envelopeMaker(crypto)();
  const save = (caller = {}) => client.call('POST', '/classes/Message', { body, senderId: id }, caller);
  const find = (caller = {}) => client.call('GET', '/classes/Message', undefined, caller);
  expect((await save({ sessionToken })).status).toBe(201);
  expect((await find({ sessionToken })).body.results).toHaveLength(1);
  expect((await save()).status).not.toBe(201);
  expect((await find()).body.results).toBeUndefined();
});

describe('says in one line what is wrong, and never the master key', () => {
  const oneLine = ({ status, stdout, stderr }: Run) => {
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr.trim().split('\n')).toHaveLength(1);
    for (const key of [server.masterKey, 'a-wrong-key']) expect(stderr).not.toContain(key);
    return stderr;
  };

  test('no master key', async () => {
    expect(oneLine(await schema(['--yes'], { PARSE_MASTER_KEY: '' }))).toContain('set PARSE_MASTER_KEY');
  });

  test('a wrong master key', async () => {
    const run = await schema(['--yes'], { PARSE_MASTER_KEY: 'a-wrong-key' });
    expect(oneLine(run)).toMatch(/refuses the master key: check PARSE_MASTER_KEY/);
  });

  test('a master key with a line break in it', async () => {
    const run = await schema(['--yes'], { PARSE_MASTER_KEY: 'a-wrong-key\na-wrong-key' });
    expect(oneLine(run)).toContain('a key has a character in it that no key has');
  });

  test('a master key on the command line', async () => {
    expect(oneLine(await schema(['--master-key', server.masterKey]))).toContain('Set PARSE_MASTER_KEY');
  });

  test('a wrong application ID', async () => {
    const args = ['--server', server.url, '--app-id', 'another'];
    expect(oneLine(await schema(args))).toContain('check PARSE_MASTER_KEY and --app-id');
  });

  test('a server that is down', async () => {
    expect(oneLine(await schema(['--server', await unusedUrl()]))).toContain('nothing listens there');
  });

  test('no server', async () => {
    expect(oneLine(await project.run('schema', ['--yes']))).toContain(
      'Give both, --server URL and --app-id ID',
    );
  });

  test('a server that may be listened in on', async () => {
    expect(oneLine(await schema(['--server', 'http://example.com']))).toContain('https://');
    expect(oneLine(await schema(['--server', 'example.com']))).toContain('not a URL');
  });

  test('a server that refuses changes', async () => {
    const readOnly = await startHttpServer((request) =>
      request.method === 'GET'
        ? { body: { results: [] } }
        : { status: 400, body: { code: 119, error: 'locked' } },
    );
    const { status, stderr } = await schema(['--server', readOnly.url, '--yes']);
    await readOnly.stop();
    expect(status).toBe(1);
    expect(stderr).toMatch(/^Message cannot be changed \(status 400, code 119\)/);
  });
});

describe('the class of users', () => {
  const permissionsOfUsers = async () => (await schemaOf('_User')).classLevelPermissions;
  const signUp = (fields: object) => {
    const username = `stranger ${Math.random()}`;
    return client.call('POST', '/users', { username, password: 'a password', ...fields });
  };

  test.each([{ '*': true }, { requiresAuthentication: true }])(
    'is closed to new fields where anybody may add one (%j), and to nothing else',
    async (addField) => {
      const before = { ...(await permissionsOfUsers()), addField };
      await client.call('PUT', '/schemas/_User', { classLevelPermissions: before }, master);
      const { stdout } = await schema();
      expect(stdout).toMatch(/^_User\n {2}~ addField: .* -> nobody \(no client may any more\)\n/);
      expect(stdout).toContain('_User is done.');
      expect(await permissionsOfUsers()).toEqual({ ...before, addField: {} });
      expect((await signUp({ stray: 1 })).body.code).toBe(119);
      const { objectId } = (
        await signUp({ email: `${Math.random()}@example.com`, ACL: { '*': { read: true } } })
      ).body;
      const seen = (await client.call('GET', `/users/${objectId}`)).body;
      expect(seen).toMatchObject({ objectId: expect.any(String) });
      expect(seen).not.toHaveProperty('email');
      expect((await schema([])).stdout).toContain('Nothing to change');
    },
  );

  test('keeps a role that may add fields', async () => {
    const classLevelPermissions = { ...(await permissionsOfUsers()), addField: { 'role:admin': true } };
    await client.call('PUT', '/schemas/_User', { classLevelPermissions }, master);
    expect((await schema([])).stdout).toContain('Nothing to change');
  });
});

describe('the class of erasures', () => {
  test('is closed to all, whatever Parse Server had made of it', async () => {
    await client.call('DELETE', '/schemas/VirgilErasure', undefined, master);
    const asked = async () => (await client.call('GET', '/classes/VirgilErasure')).status;
    await client.call('POST', '/schemas/VirgilErasure', { className: 'VirgilErasure' }, master);
    expect(await asked()).toBe(200);
    expect((await schema()).stdout).toContain('VirgilErasure is done.');
    const { fields, classLevelPermissions } = await schemaOf('VirgilErasure');
    expect(fields).toMatchObject({
      identity: { type: 'String' },
      marked: { type: 'Boolean' },
      due: { type: 'Date' },
      again: { type: 'Date' },
      attempts: { type: 'Number' },
    });
    for (const operation of ['find', 'get', 'count', 'create', 'update', 'delete', 'addField']) {
      expect(classLevelPermissions[operation]).toEqual({});
    }
    expect(await asked()).not.toBe(200);
    expect((await schema()).stdout).toContain('Nothing to change');
  });

  test('is not made where nobody is erased', async () => {
    const policy = JSON.parse(readFileSync(join(project.folder, 'back4app.json'), 'utf8'));
    await client.call('DELETE', '/schemas/VirgilErasure', undefined, master);
    project.write('back4app.json', JSON.stringify({ ...policy, virgil: { tokenTtlSeconds: 1200 } }));
    expect((await schema()).stdout).not.toContain('VirgilErasure');
    project.write('back4app.json', JSON.stringify(policy));
  });
});
