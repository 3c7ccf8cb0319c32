import { ParseApp } from '../../scripts/command-line/parse-app';
import { UserError } from '../../scripts/command-line/user-error';
import { checkDatabase } from '../../scripts/doctor/database';
import { checkAsUser, checkDeployed } from '../../scripts/doctor/deployed';
import { checkCustomIds, checkErasures } from '../../scripts/doctor/erasure';
import { removeUpload } from '../../scripts/doctor/files';
import type { Finding } from '../../scripts/doctor/finding';
import { checkReports } from '../../scripts/doctor/reports';
import { checkSchema } from '../../scripts/doctor/schema';
import { checkedPolicy } from '../../scripts/project/policy';
import {
  ATTACK,
  HOSTILE_VALUES,
  obeyedIn,
  placesInAnswers,
  putting,
  startHostileServer,
  TRAVERSAL,
} from '../support/hostile-server';
import { makeProject } from '../support/project';

const POLICY = {
  virgil: { tokenTtlSeconds: 1200, guardUserIds: true, eraseDeletedUsers: true },
  files: {},
  classes: {
    Message: { mode: 'report', encrypted: ['body'], plain: ['sender'], files: ['photo'], recipients: 'acl' },
    Note: { encrypted: ['body'], plain: [] },
  },
};
const policy = checkedPolicy(POLICY, 'back4app.json');
const project = makeProject();
const key = { PARSE_MASTER_KEY: 'master' };
const user = { DOCTOR_USER: 'user', DOCTOR_PASSWORD: 'password' };
let hostile: Awaited<ReturnType<typeof startHostileServer>>;

beforeAll(async () => {
  hostile = await startHostileServer();
  project.write('back4app.json', JSON.stringify(POLICY));
});
beforeEach(() => {
  hostile.requests.length = 0;
  hostile.settings.alter = (answer) => answer;
  delete hostile.settings.respond;
});
afterAll(async () => {
  await hostile.stop();
  project.remove();
});

/** All that the commands ever ask, whatever they are answered. */
const ASKED = [
  /^GET \/(schemas|config|hooks\/triggers|hooks\/functions|sessions\/me)$/,
  /^GET \/(sessions|scriptlog|classes\/(Doctor[0-9a-f]{16}|Message|Note|Other|VirgilErasure))\?/,
  /^POST \/(functions\/virgil-jwt|users|login|logout|classes\/(Message|Note)|files\/e2ee\.bin)$/,
  /^POST \/card\/v5(\/actions\/search|\/actions\/revoke\/[0-9a-f]{64})?$/,
  /^PUT \/users\/[\w.@%-]+$/,
  /^(GET|DELETE) \/classes\/(Message|Note)\/[\w.@%-]+$/,
  /^DELETE \/files\/(\w+_)?e2ee\.bin$/,
  /^(PUT|POST) \/schemas\/(Message|Note|VirgilErasure|_User)$/,
];

function expectOwnRequests(): void {
  for (const { method, url, isMaster } of hostile.requests) {
    const request = `${method} ${url}`;
    expect(ASKED.some((pattern) => pattern.test(request)) ? '' : request).toBe('');
    expect(request).not.toMatch(/users\/me|\.\.|%2e|%2f|%00|%1b/i);
    if (method === 'DELETE') expect(isMaster).toBe(url.startsWith('/files/'));
  }
}

type Part = (app: ParseApp) => AsyncGenerator<Finding, unknown>;

/** What the doctor does, in this process. */
const PARTS: Part[] = [
  async function* asUser(app) {
    yield* checkDeployed(app);
    yield await checkCustomIds(app);
    const environment = { VIRGIL_API_URL: hostile.url };
    const uploaded = yield* checkAsUser(app, policy, { username: 'user', password: 'password' }, environment);
    if (uploaded !== undefined) yield await removeUpload(app, uploaded, 'master');
  },
  async function* withMasterKey(app) {
    yield* checkSchema(app, policy, 'master');
    yield* checkDatabase(app, policy, 'master');
    yield* checkErasures(app, 'master');
    yield* checkReports(app, policy, Date.now(), 'master');
  },
];

async function findingsOfDoctor(parts = PARTS): Promise<Finding[]> {
  const findings: Finding[] = [];
  const app = new ParseApp({ server: hostile.url, 'app-id': 'app' }, {});
  try {
    for (const part of parts) for await (const finding of part(app)) findings.push(finding);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    findings.push({ check: 'server', status: 'fault', message: error.message });
  }
  return findings;
}

test('the stand-in is taken for a Parse Server, to the end', async () => {
  const checks = (await findingsOfDoctor()).map(({ check }) => check);
  expect(checks).toEqual(
    expect.arrayContaining([
      'log out',
      'files left',
      'Note save',
      'Message files',
      'erasures',
      'Message reports',
    ]),
  );
  expect(hostile.requests.map(({ method, url }) => `${method} ${url}`)).toContain(
    'DELETE /classes/Message/row1',
  );
  expectOwnRequests();
});

// The last two are asked by schema alone, which is run below.
const places = placesInAnswers().filter(({ route }) => !/count=1|schemas\\\//.test(route));
test.each([...new Set(places.map(({ route }) => route))])(
  'whatever one value or name in an answer to %s is: nothing for the terminal, and no request but our own',
  async (route) => {
    for (const part of PARTS) {
      const asked = new Set<string>();
      hostile.settings.alter = (answer, { source }) => {
        asked.add(source);
        return answer;
      };
      await findingsOfDoctor([part]);
      if (!asked.has(route)) continue;
      for (const [i, place] of places.entries()) {
        if (place.route !== route) continue;
        const name = i % 2 === 0 ? ATTACK : TRAVERSAL;
        const other = HOSTILE_VALUES[i % HOSTILE_VALUES.length];
        for (const value of place.isName ? [name] : [ATTACK, TRAVERSAL, other]) {
          hostile.requests.length = 0;
          hostile.settings.alter = putting(value, place);
          for (const { check, message } of await findingsOfDoctor([part])) {
            expect(obeyedIn(check + message)).toBeUndefined();
            expect(message.length).toBeLessThan(3000);
          }
          expectOwnRequests();
        }
      }
    }
  },
);

describe('an ID that leads elsewhere', () => {
  const givenTo = async (route: RegExp, member: string, value: string) => {
    hostile.settings.alter = (answer, { source }) =>
      route.test(source) ? { ...(answer as object), [member]: value } : answer;
    const findings = await findingsOfDoctor();
    expectOwnRequests();
    return findings;
  };

  test.each([TRAVERSAL, '..', '.', 'a/b', 'a?b', 'a%2fb', 'a\\b', '', ATTACK])(
    'of a row (%j) ends the run: nothing more is sent but the log-out',
    async (value) => {
      const findings = await givenTo(/POST .*classes/, 'objectId', value);
      expect(findings.at(-1)).toMatchObject({ check: 'server', status: 'fault' });
      const sent = hostile.requests.map(({ method, url }) => `${method} ${url}`);
      expect(sent.slice(sent.indexOf('POST /classes/Message') + 1)).toEqual(['POST /logout']);
    },
  );

  test.each([TRAVERSAL, 'a/b', 'e2ee.bin/../x', '../e2ee.bin', 'another.png', `x${ATTACK}_e2ee.bin`])(
    'of a file (%j) is a fault, and the master key deletes nothing',
    async (value) => {
      const findings = await givenTo(/POST .*files/, 'name', value);
      expect(findings).toContainEqual({
        check: 'files left',
        status: 'fault',
        message: expect.stringMatching(
          /^the server calls the doctor's e2ee\.bin .*deletes no file of another name/,
        ),
      });
      expect(hostile.requests.filter(({ url }) => url.startsWith('/files/'))).toHaveLength(1);
    },
  );

  test.each([
    ['objectId', TRAVERSAL],
    ['sessionToken', 'r:a\r\nX-Parse-Master-Key: x'],
    ['sessionToken', 'not a session'],
  ])(
    'of a user, or the session (%s %j), is a fault, and nothing is sent as that user',
    async (member, value) => {
      const findings = await givenTo(/POST .*login/, member, value);
      expect(findings).toContainEqual({
        check: 'log in',
        status: 'fault',
        message: expect.stringContaining('does not have the form of one'),
      });
      expect(hostile.requests.filter(({ isUser }) => isUser)).toEqual([]);
    },
  );
});

describe('an answer without an end', () => {
  const endless = (chunk: string, pauseMs: number) => {
    hostile.settings.respond = (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.write('{"results":["');
      const timer = setInterval(() => response.writableNeedDrain || response.write(chunk), pauseMs);
      response.once('close', () => clearInterval(timer));
      return true;
    };
  };

  test('that comes fast is cut at its 32nd megabyte', async () => {
    endless('x'.repeat(2 ** 20), 1);
    const [finding, ...others] = await findingsOfDoctor();
    expect(finding?.message).toContain('failed: its answer is larger than 32 MB');
    expect(others).toEqual([]);
  });

  test('that comes slowly is cut after ten seconds', async () => {
    endless('x', 100);
    const [finding] = await findingsOfDoctor();
    expect(finding?.message).toContain('failed: no answer within 10 seconds');
  });

  test('in its depth is no answer', async () => {
    hostile.settings.alter = () => `{"code":209,"x":${'['.repeat(1e6)}${']'.repeat(1e6)}}`;
    expect((await findingsOfDoctor())[0]?.message).toContain('does not answer as Parse Server does');
  });
});

test("Virgil Cloud's answers are cut too, and its redirects are not followed with the token", async () => {
  const findingsAt = async (respond: typeof hostile.settings.respond) => {
    hostile.settings.respond = (request, response) =>
      request.url?.startsWith('/card/') === true && respond?.(request, response) === true;
    const findings = await findingsOfDoctor();
    return ['Virgil Cloud', 'recipients'].map(
      (name) => findings.find(({ check }) => check === name)?.message,
    );
  };
  const cut = await findingsAt((_request, response) => {
    response.end(`["${'x'.repeat(33 * 2 ** 20)}"]`);
    return true;
  });
  expect(cut[0]).toContain('cannot be asked: its answer is larger than 32 MB');
  expect(cut[1]).toMatch(/^needs a card of the user's/);
  const redirected = await findingsAt((_request, response) => {
    response.writeHead(307, { Location: '/card/v5/elsewhere' });
    response.end();
    return true;
  });
  expect(redirected[0]).toContain('does not answer as it should (status 307)');
  expect(hostile.requests.map(({ url }) => url)).not.toContain('/card/v5/elsewhere');
  expectOwnRequests();
});

test('rows too large for one answer are read in smaller pages', async () => {
  const limits: number[] = [];
  hostile.settings.respond = ({ url = '' }, response) => {
    if (!url.startsWith('/classes/Message?keys=')) return false;
    const { searchParams } = new URL(url, hostile.url);
    const limit = Number(searchParams.get('limit'));
    limits.push(limit);
    const left = Math.max(0, 17 - Number(searchParams.get('skip')));
    const results = Array.from({ length: Math.min(limit, left) }, () => ({ body: 'x'.repeat(2 ** 21) }));
    response.end(JSON.stringify({ results }));
    return true;
  };
  const findings = await findingsOfDoctor();
  expect(findings).toContainEqual({
    check: 'Message rows',
    status: 'warning',
    message: expect.stringMatching(/^17 of 17 rows hold plaintext/),
  });
  expect(limits).toEqual([100, 50, 25, 12, 12]);
});

test('a redirect, whatever it leads to, is not followed', async () => {
  hostile.settings.respond = (_request, response) => {
    response.writeHead(302, ATTACK.replace(/[^ -~]/g, ''), { Location: '/users/me' });
    response.end();
    return true;
  };
  expect((await findingsOfDoctor()).map(({ message }) => message)).toEqual([
    `${hostile.url} redirects to another address: give that one as --server.`,
  ]);
  expect(hostile.requests).toHaveLength(1);
});

describe('a schema in which every name is hostile', () => {
  const column = { type: ATTACK, targetClass: ATTACK };
  const hostileSchemas = (body: object) => ({
    results: ['Message', 'Other', '_User'].map((className) => ({
      className,
      fields: {
        body,
        [ATTACK]: column,
        [TRAVERSAL]: { type: 'Pointer', targetClass: TRAVERSAL },
        'a,b:String': { type: 'String', defaultValue: ATTACK },
        ['x'.repeat(1e5)]: { type: 'String' },
        good: { type: 'Date' },
        ...Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`many${i}`, { type: 'Date' }])),
      },
      classLevelPermissions: {
        find: { '*': true, [`role:${ATTACK}`]: true },
        get: { [`role:${ATTACK}`]: true, [ATTACK]: true, pointerFields: [ATTACK, TRAVERSAL, 7] },
        create: {},
        update: {},
        delete: { requiresAuthentication: true },
        addField: { '*': true },
        readUserFields: [ATTACK],
      },
    })),
  });
  const answerSchemas = (body: object) => {
    hostile.settings.alter = (answer, { source }) =>
      source.includes('GET \\/schemas') ? hostileSchemas(body) : answer;
  };
  const live = () => ['--server', hostile.url, '--app-id', 'app'];
  const expectHarmless = (printed: string) => {
    expect(obeyedIn(printed)).toBeUndefined();
    expect(printed).toContain('\\u{1b}]0;owned\\u{7}');
    expect(printed.length).toBeLessThan(20_000);
    expectOwnRequests();
  };

  test.each([
    ['in its lines', []],
    ['in its JSON', ['--json']],
  ])('is printed escaped and cut by the doctor, %s', async (_where, args) => {
    answerSchemas(column);
    const environment = { ...key, ...user, VIRGIL_API_URL: hostile.url };
    const { status, stdout, stderr } = await project.run('doctor', [...live(), ...args], environment);
    expect([status, stderr]).toEqual([1, '']);
    expectHarmless(
      args.length > 0
        ? JSON.parse(stdout)
            .findings.map(({ message }: Finding) => message)
            .join()
        : stdout,
    );
    expect(obeyedIn(stdout)).toBeUndefined();
    expect(stdout).toMatch(/and 98\d more/);
  });

  test('is printed escaped and cut by schema, in what it refuses and in the difference', async () => {
    answerSchemas(column);
    const refused = await project.run('schema', [...live(), '--yes'], key);
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expectHarmless(refused.stderr);

    answerSchemas({ type: 'String' });
    const { status, stdout, stderr } = await project.run('schema', [...live(), '--yes'], key);
    expect([status, stderr]).toEqual([0, '']);
    expectHarmless(stdout);

    hostile.settings.respond = ({ method, url = '' }, response) => {
      if (method !== 'PUT' && !url.includes('count=1')) return false;
      response.writeHead(400);
      response.end(JSON.stringify({ code: ATTACK, error: ATTACK, count: ATTACK }));
      return true;
    };
    const failed = await project.run('schema', [...live(), '--yes'], key);
    expect(failed.stdout).toContain('the server does not tell how many rows have no ACL.');
    expectHarmless(failed.stdout);
    expect(failed.stderr).toMatch(/^\w+ cannot be changed \(status 400\): /);
    expect(obeyedIn(failed.stderr)).toBeUndefined();
  });

  test('is proposed by init only where it has the form of a name, and named otherwise', async () => {
    answerSchemas({ type: 'String' });
    const elsewhere = makeProject();
    elsewhere.write('back4app.json', JSON.stringify({ ...POLICY, files: undefined, classes: {} }));
    const init = (...args: string[]) =>
      elsewhere.run('init', [...live(), '--dry-run', '--yes', ...args], key);
    const proposed = await init('--class', 'Other', '--encrypted', 'body');
    expect(proposed.stderr).toMatch(/^Say --plain 'good:Date,many0:Date,[\w,:]*', or another: /);
    expect(proposed.stderr.length).toBeLessThan(3000);
    const { stdout } = await init('--class', 'Other', '--encrypted', 'body', '--plain', '');
    expect(stdout).toContain('Other has fields that the policy does not name.');
    expectHarmless(stdout);
    const wrong = await init('--class', 'Other', '--encrypted', 'good', '--plain', '');
    expect(wrong.stderr).toContain('good is of type Date, and must be String');
    const { shown } = await elsewhere.runOnTerminal(
      'init',
      [...live(), '--dry-run'],
      [
        ['Class to guard', 'Other'],
        ['Fields of Other that hold ciphertext', 'body'],
        ['Its other fields', ''],
        ['The one that holds the user', ''],
      ],
      key,
    );
    elsewhere.remove();
    for (const obeyed of ['\x1b]0;', '\x9b2J', '\u202E', '\nok       all is well']) {
      expect(shown).not.toContain(obeyed);
    }
    expectOwnRequests();
  });
});
