import { type BareParseServer, startBareParseServer } from '../../scripts/local/bare-parse-server';
import { startHttpServer } from '../support/http-server';
import { makeProject } from '../support/project';
import { type Caller, restClient } from '../support/rest';

// What the class lets a caller do, without a guard: the permissions alone decide.
const project = makeProject();
const master = { master: true };
const OPERATIONS = ['find', 'get', 'count', 'create', 'update', 'delete', 'addField'];
const everybody = { '*': true };
const signedIn = { requiresAuthentication: true };
const role = { 'role:clinician': true };
const owner = { pointerFields: ['owner'] };
const all = (permission: object) =>
  Object.fromEntries(OPERATIONS.map((operation) => [operation, permission]));

type Rights = Record<string, string[]>;
let server: BareParseServer;
let client: ReturnType<typeof restClient>;
let callers: Record<string, Caller>;
/** Of a class before and after `npm run schema`, what each caller can do. */
const before: Record<string, Rights> = {};
const after: Record<string, Rights> = {};
const permissionsBefore: Record<string, Record<string, unknown>> = {};
let printed: string;

/** The permissions that a class begins with, by its name. `USER` stands for the ID of the signed-in user. */
const STARTS: Record<string, Record<string, unknown> | undefined> = {
  Unset: undefined,
  Missing: { find: everybody },
  Nobody: all({}),
  Public: all(everybody),
  SignedIn: all(signedIn),
  Role: all(role),
  User: all({ USER: true }),
  Owner: all(owner),
  SignedInOwner: all({ ...signedIn, ...owner }),
  RoleOwner: all({ ...role, ...owner }),
  PublicRole: all({ ...everybody, ...role }),
  PublicOwner: all({ ...everybody, ...owner }),
  PublicSignedIn: all({ ...everybody, ...signedIn }),
  GroupedNobody: { ...all({}), readUserFields: ['owner'], writeUserFields: ['owner'] },
  GroupedPublic: { ...all(everybody), readUserFields: ['owner'], writeUserFields: ['owner'] },
  GroupedSignedIn: { ...all(signedIn), readUserFields: ['owner'], writeUserFields: ['owner'] },
  GroupedRole: { ...all(role), readUserFields: ['owner'], writeUserFields: ['owner'] },
  Mixed: {
    find: owner,
    get: role,
    count: {},
    create: everybody,
    update: { ...role, ...owner },
    delete: {},
    addField: everybody,
    protectedFields: { '*': ['note'], 'role:clinician': [] },
  },
};

beforeAll(async () => {
  server = await startBareParseServer({ cloudCode: '' });
  client = restClient(server);
  const [user, member, author] = [await client.signUp(), await client.signUp(), await client.signUp()];
  callers = { stranger: {}, user, member, author };
  const users = { __op: 'AddRelation', objects: [pointerTo(member.id)] };
  await client.call('POST', '/roles', { name: 'clinician', users, ACL: {} }, master);

  for (const [className, start] of Object.entries(STARTS)) {
    const classLevelPermissions = start && JSON.parse(JSON.stringify(start).replaceAll('USER', user.id));
    const fields = { note: { type: 'String' }, owner: { type: 'Pointer', targetClass: '_User' } };
    const made = { className, fields, classLevelPermissions };
    expect((await client.call('POST', `/schemas/${className}`, made, master)).status).toBe(200);
    permissionsBefore[className] = (await schemaOf(className)).classLevelPermissions;
    before[className] = await rightsIn(className, author.id, 'Before');
  }
  const classes = Object.fromEntries(
    Object.keys(STARTS).map((className) => [
      className,
      { encrypted: [], plain: { note: 'String', owner: 'Pointer<_User>' } },
    ]),
  );
  project.write('back4app.json', JSON.stringify({ virgil: { tokenTtlSeconds: 1200 }, classes }));
  const app = ['--server', server.url, '--app-id', server.appId, '--yes'];
  const { status, stdout, stderr } = await project.run('schema', app, { PARSE_MASTER_KEY: server.masterKey });
  expect([status, stderr]).toEqual([0, '']);
  printed = stdout;
  for (const className of Object.keys(STARTS))
    after[className] = await rightsIn(className, author.id, 'After');
}, 240_000);

afterAll(async () => {
  await server.stop();
  project.remove();
});

const pointerTo = (objectId: string) => ({ __type: 'Pointer', className: '_User', objectId });
const schemaOf = async (className: string) =>
  (await client.call('GET', `/schemas/${className}`, undefined, master)).body;

/** Tries everything as everybody, on rows without an ACL: one of the author's, and one of nobody's. */
async function rightsIn(className: string, author: string, time: string): Promise<Rights> {
  const path = `/classes/${className}`;
  const makeRow = async (owner: object) =>
    (await client.call('POST', path, { note: 'old', ...owner }, master)).body.objectId as string;
  const rights: Rights = {};
  for (const [name, caller] of Object.entries(callers)) {
    const rows: [string, string][] = [
      ['the author’s', await makeRow({ owner: pointerTo(author) })],
      ['nobody’s', await makeRow({})],
    ];
    const where = JSON.stringify({ objectId: { $in: rows.map(([, id]) => id) } });
    const query = `${path}?${new URLSearchParams({ where })}`;
    const did: string[] = [];
    const can = (right: string, isDone: boolean) => isDone && did.push(right);

    const found = (await client.call('GET', query, undefined, caller)).body.results ?? [];
    const counted = (await client.call('GET', `${query}&count=1&limit=0`, undefined, caller)).body.count ?? 0;
    can(`count ${counted}`, counted > 0);
    for (const [whose, id] of rows) {
      const row = found.find(({ objectId }: { objectId: string }) => objectId === id);
      can(`find ${whose}`, row !== undefined);
      can(`see the note of ${whose}`, row?.note !== undefined);
      can(`get ${whose}`, (await client.call('GET', `${path}/${id}`, undefined, caller)).status === 200);
      can(
        `update ${whose}`,
        (await client.call('PUT', `${path}/${id}`, { note: 'new' }, caller)).status === 200,
      );
      const field = `by${name}${time}${whose.length}`;
      can(
        `addField to ${whose}`,
        (await client.call('PUT', `${path}/${id}`, { [field]: 1 }, caller)).status === 200,
      );
      can(
        `delete ${whose}`,
        (await client.call('DELETE', `${path}/${id}`, undefined, caller)).status === 200,
      );
    }
    const made = await client.call('POST', path, { note: 'mine' }, caller);
    can('create', made.status === 201);
    const extended = await client.call('POST', path, { [`made${name}${time}`]: 1 }, caller);
    can('create with a new field', extended.status === 201);
    rights[name] = did;
  }
  return rights;
}

test('the matrix tells callers apart', () => {
  const own = [
    'count 1',
    'find the author’s',
    'see the note of the author’s',
    'get the author’s',
    'update the author’s',
    'addField to the author’s',
    'delete the author’s',
  ];
  expect(before.Owner).toEqual({ stranger: [], user: [], member: [], author: expect.arrayContaining(own) });
  expect(before.Nobody).toEqual({ stranger: [], user: [], member: [], author: [] });
  expect(before.Role?.member).toContain('delete nobody’s');
  expect(before.Role?.author).toEqual([]);
  expect(before.User?.user).toContain('create');
  expect(before.User?.member).toEqual([]);
  for (const name of ['Unset', 'Public', 'PublicOwner'])
    expect(before[name]?.stranger).toContain('update nobody’s');
});

describe.each(Object.keys(STARTS))('a class that begins as %s', (className) => {
  test.each(['stranger', 'user', 'member', 'author'])('gives no new right to: %s', (caller) => {
    const had = before[className]?.[caller];
    // One who finds fewer rows counts fewer.
    const has = after[className]?.[caller]?.filter(
      (right) => !(right === 'count 1' && had?.includes('count 2')),
    );
    expect(had).toEqual(expect.arrayContaining(has as string[]));
  });

  test('is closed to strangers', () => {
    expect(after[className]?.stranger).toEqual([]);
  });

  test('keeps every permission without "*", and what else its owner has set', async () => {
    const { addField: _, ...kept } = permissionsBefore[className] as Record<string, object>;
    for (const operation of Object.keys(kept)) {
      if (OPERATIONS.includes(operation) && '*' in (kept[operation] as object)) delete kept[operation];
    }
    expect((await schemaOf(className)).classLevelPermissions).toMatchObject({ ...kept, addField: {} });
  });
});

test('signed-in users keep what "*" gave them, but for new fields', () => {
  for (const className of ['Unset', 'Public', 'PublicRole', 'PublicSignedIn']) {
    expect(after[className]?.user).toEqual(
      before[className]?.user?.filter((right) => !/addField|new field/.test(right)),
    );
  }
});

test('the difference says who loses what', () => {
  const lines = (className: string) =>
    new RegExp(`^${className}\\n((?: {2}.*\\n)+)`, 'm').exec(printed)?.[1] ?? '';
  expect(lines('Public')).toContain(
    '  ~ delete: the public -> signed-in users (callers without a session lose it)\n',
  );
  expect(lines('Public')).toContain('  ~ addField: the public -> nobody (no client may any more)\n');
  expect(lines('PublicOwner')).toContain(
    '  ~ find: the public -> users whom the row names in owner (all others lose it)\n',
  );
  expect(lines('GroupedPublic')).toContain(
    '  ~ update: the public -> users whom the row names in owner (all others lose it)\n',
  );
  expect(lines('Role')).toBe('  ~ addField: role:clinician -> nobody (no client may any more)\n');
  expect(lines('RoleOwner')).toBe(
    '  ~ addField: role:clinician, users whom the row names in owner -> nobody (no client may any more)\n',
  );
  expect(lines('GroupedRole')).toBe(
    '  ~ addField: role:clinician, users whom the row names in owner -> users whom the row names in owner (all others lose it)\n',
  );
  expect(lines('Nobody')).toBe('');
});

test('a class that is tightened while the difference is looked at stays as it then is', async () => {
  const requests: string[] = [];
  const permissions = [all(everybody), { ...all(everybody), find: {} }];
  const changing = await startHttpServer(({ method, url = '' }) => {
    requests.push(`${method} ${url.split('?')[0]}`);
    if (url.startsWith('/classes')) return { body: { results: [], count: 0 } };
    const fields = { note: { type: 'String' }, owner: { type: 'Pointer', targetClass: '_User' } };
    const results = Object.keys(STARTS).map((className) => ({
      className,
      fields,
      classLevelPermissions: className === 'Public' ? permissions[0] : all({}),
    }));
    if (permissions.length > 1) permissions.shift();
    return { body: { results } };
  });
  const app = ['--server', changing.url, '--app-id', 'app', '--yes'];
  const { status, stderr } = await project.run('schema', app, { PARSE_MASTER_KEY: 'key' });
  await changing.stop();
  expect([status, stderr]).toEqual([
    1,
    'Public is not as it was when this began, and was not changed: run it again.\n',
  ]);
  expect(requests.filter((request) => !request.startsWith('GET'))).toEqual([]);
});
