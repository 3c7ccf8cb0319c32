import { createHash, generateKeyPairSync, type KeyObject, randomBytes, randomUUID } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from '../../../scripts/doctor/finding';
import { makeProject } from '../../support/project';
import type { Run } from '../../support/run';

const project = makeProject();
afterAll(() => project.remove());

const appKeys = generateKeyPairSync('ed25519');
const nexmo = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { format: 'pem', type: 'spki' },
  privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
});
const base64 = (key: KeyObject, type: 'pkcs8' | 'spki') =>
  (key.export({ format: 'der', type } as { format: 'der'; type: 'pkcs8' }) as Buffer).toString('base64');
const environment = {
  VIRGIL_APP_ID: randomBytes(16).toString('hex'),
  VIRGIL_APP_KEY_ID: randomBytes(16).toString('hex'),
  VIRGIL_APP_KEY: base64(appKeys.privateKey, 'pkcs8'),
};

/** Every value that must not come back in what the doctor prints. */
const secrets = new Set<string>(Object.values(environment));
const runs: Run[] = [];

async function doctor(changes: Record<string, string> = {}, args: string[] = []): Promise<Run> {
  const run = await project.run('doctor', args, { ...environment, ...changes });
  for (const value of Object.values(changes)) if (value) secrets.add(value);
  runs.push(run);
  return run;
}

async function findings(changes: Record<string, string> = {}) {
  const { stdout, status } = await doctor(changes, ['--json']);
  const report = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
  expect(status).toBe(report.ok ? 0 : 1);
  for (const { check, message } of report.findings) {
    if (check in environment || check.startsWith('NEXMO_')) expect(message).not.toContain(`${check} `);
  }
  expect(report.ok).toBe(report.findings.every((finding) => finding.status !== 'fault'));
  return Object.fromEntries(report.findings.map(({ check, ...finding }) => [check, finding]));
}

const fault = (message: RegExp) => ({ status: 'fault', message: expect.stringMatching(message) });

beforeAll(async () => {
  await project.run('build');
});

test('all is well: a line for each check, in the order in which they are mended, and exit code 0', async () => {
  const { status, stdout, stderr } = await doctor();
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const lines = stdout.trim().split('\n');
  expect(lines.map((line) => line.slice(9, 34).trim())).toEqual([
    'Node',
    'policy',
    'VIRGIL_APP_ID',
    'VIRGIL_APP_KEY_ID',
    'VIRGIL_APP_KEY',
    'nexmo-jwt',
    'App Key',
    'bundle',
    'bundle alone',
  ]);
  for (const line of lines) expect(line).toMatch(/^(ok|skipped {2}nexmo-jwt) /);
});

test('credentials are read from .env too', async () => {
  const lines = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  project.write('.env', lines.join('\n'));
  const { status } = await project.run('doctor');
  rmSync(join(project.folder, '.env'));
  expect(status).toBe(0);
});

describe('credentials', () => {
  test('each one that is missing is named', async () => {
    const found = await findings({ VIRGIL_APP_ID: '', VIRGIL_APP_KEY_ID: '', VIRGIL_APP_KEY: '' });
    for (const name of Object.keys(environment)) expect(found[name]).toEqual(fault(/not set.*\.env/));
    expect(found['App Key']?.status).toBe('skipped');
  });

  test("an app's name for its ID, an ID with quotes, a public key for the private one: all in one go", async () => {
    const found = await findings({
      VIRGIL_APP_ID: 'my-chat-app',
      VIRGIL_APP_KEY_ID: `"${environment.VIRGIL_APP_KEY_ID}"`,
      VIRGIL_APP_KEY: base64(appKeys.publicKey, 'spki'),
    });
    expect(found.VIRGIL_APP_ID).toEqual(fault(/name shown in Virgil's dashboard is not its ID/));
    expect(found.VIRGIL_APP_KEY_ID).toEqual(fault(/quotes or white space/));
    expect(found.VIRGIL_APP_KEY).toEqual(fault(/is a public key: copy the App Key/));
  });

  test('a line break pasted along, the key that is no key, the same ID twice', async () => {
    const found = await findings({
      VIRGIL_APP_KEY_ID: `${environment.VIRGIL_APP_KEY_ID}\n`,
      VIRGIL_APP_KEY: 'bm90IGEga2V5IGF0IGFsbA==',
    });
    expect(found.VIRGIL_APP_KEY_ID).toEqual(fault(/white space/));
    expect(found.VIRGIL_APP_KEY).toEqual(fault(/no private key: .*base64 of a PKCS#8/));
    const same = await findings({ VIRGIL_APP_KEY_ID: environment.VIRGIL_APP_ID });
    expect(same['virgil-jwt']).toEqual(fault(/VIRGIL_APP_KEY_ID is the same as VIRGIL_APP_ID/));
  });

  test('a key of another kind', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const found = await findings({ VIRGIL_APP_KEY: base64(privateKey, 'pkcs8') });
    expect(found.VIRGIL_APP_KEY).toEqual(fault(/type ec: .*Ed25519/));
  });

  test("Nexmo's are a note where none is set, and checked where one is", async () => {
    expect((await findings())['nexmo-jwt']).toEqual({
      status: 'skipped',
      message: expect.stringMatching(/^NEXMO_APP_ID, NEXMO_PRIVATE_KEY are not set here/),
    });
    const found = await findings({ NEXMO_APP_ID: 'my-chat-app' });
    expect(found.NEXMO_APP_ID).toEqual(fault(/name shown in Vonage's dashboard is not the application's ID/));
    expect(found.NEXMO_PRIVATE_KEY).toEqual(fault(/not set.*\.env/));
    expect((await findings({ NEXMO_PRIVATE_KEY: nexmo.publicKey })).NEXMO_PRIVATE_KEY).toEqual(
      fault(/public key: set the whole private.key of the Vonage application/),
    );
    const application = { NEXMO_APP_ID: randomUUID(), NEXMO_PRIVATE_KEY: nexmo.privateKey };
    const well = await findings(application);
    expect(well.NEXMO_APP_ID?.status).toBe('ok');
    expect(well.NEXMO_PRIVATE_KEY?.status).toBe('ok');
    const elsewhere = await findings({ ...application, NEXMO_API_URL: 'http://vonage.example' });
    expect(elsewhere['nexmo-jwt']).toEqual(fault(/NEXMO_API_URL is not an https:/));
  });

  test('the address of Virgil Cloud', async () => {
    const found = await findings({ VIRGIL_API_URL: 'http://virgil.example' });
    expect(found['virgil-jwt']).toEqual(fault(/VIRGIL_API_URL is not an https:/));
    expect(
      (await findings({ VIRGIL_API_URL: 'http://127.0.0.1:1337/virgil' }))['virgil-jwt'],
    ).toBeUndefined();
  });

  test('swapped IDs, where the App Key tells its own', async () => {
    const keyId = createHash('sha512')
      .update(Buffer.from(base64(appKeys.publicKey, 'spki'), 'base64'))
      .digest('hex')
      .slice(0, 32);
    const found = await findings({ VIRGIL_APP_ID: keyId, VIRGIL_APP_KEY_ID: environment.VIRGIL_APP_ID });
    expect(found['App Key']).toEqual(fault(/VIRGIL_APP_ID and VIRGIL_APP_KEY_ID are swapped/));
  });

  test('an App Key whose signatures its public half does not verify', async () => {
    const signer = 'cloud/tokens/virgil-token.ts';
    const source = readFileSync(join(project.folder, signer), 'utf8');
    project.write(signer, source.replace("createHash('sha512')", "createHash('sha256')"));
    const found = await findings();
    project.write(signer, source);
    expect(found['App Key']).toEqual(fault(/its public half does not verify/));
  });
});

describe('Node and policy', () => {
  test('Node is too old', async () => {
    const file = readFileSync(join(project.folder, 'package.json'), 'utf8');
    project.write('package.json', file.replace('>=20.19', '>=99.1'));
    const found = await findings();
    project.write('package.json', file);
    expect(found.Node).toEqual(fault(/too old: install Node 99\.1 or later/));
  });

  test('the path of what is wrong in the policy', async () => {
    const file = readFileSync(join(project.folder, 'back4app.json'), 'utf8');
    project.write('back4app.json', file.replace('"tokenTtlSeconds": 1200', '"tokenTtlSeconds": 5'));
    const found = await findings();
    project.write('back4app.json', file);
    expect(found.policy).toEqual(fault(/virgil\.tokenTtlSeconds: /));
    expect(found.policy?.message).not.toContain('\n');
    expect(found.bundle?.status).toBe('skipped');
  });
});

describe('bundle', () => {
  afterEach(() => project.run('build'));

  test('it is not built', async () => {
    rmSync(join(project.folder, 'cloud/main.js'));
    expect((await findings()).bundle).toEqual(fault(/not there: npm run build/));
  });

  test('it is older than the policy', async () => {
    const file = readFileSync(join(project.folder, 'back4app.json'), 'utf8');
    project.write('back4app.json', file.replace('262144', '1000'));
    const found = await findings();
    project.write('back4app.json', file);
    expect(found.bundle).toEqual(fault(/not what the sources and the policy make now: npm run build/));
  });

  test('it needs a module beside it', async () => {
    const main = join(project.folder, 'cloud/main.js');
    appendFileSync(main, "require('some-module-beside-it');");
    const found = await findings();
    expect(found['bundle alone']).toEqual(
      fault(/does not load .*Cannot find module 'some-module-beside-it'/),
    );
  });

  test('it registers nothing', async () => {
    project.write('cloud/main.js', '');
    expect((await findings())['bundle alone']).toEqual(fault(/does not register virgil-jwt/));
  });

  test('it is too large', async () => {
    const source = readFileSync(join(project.folder, 'cloud/main.ts'), 'utf8');
    project.write('cloud/main.ts', `${source}\nexport const padding = '${'x'.repeat(210_000)}';\n`);
    // The build itself refuses it, but leaves it there.
    await project.run('build');
    const found = await findings();
    project.write('cloud/main.ts', source);
    expect(found.bundle).toEqual(fault(/cloud\/main\.js has 2\d{5} bytes, over 204800/));
  });
});

describe('arguments', () => {
  beforeAll(() => secrets.add('a secret on the command line'));

  test.each([
    ['--master-key', 'PARSE_MASTER_KEY'],
    ['--password', 'DOCTOR_PASSWORD'],
  ])('%s is refused, and what to do instead is said', async (option, variable) => {
    const { status, stderr } = await doctor({}, [option, 'a secret on the command line']);
    expect(status).toBe(1);
    expect(stderr).toContain(variable);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  test('an argument that npm has made of an option is not repeated', async () => {
    const { status, stderr } = await doctor({}, ['a secret on the command line']);
    expect(status).toBe(1);
    expect(stderr).toContain('Options go behind a "--"');
  });

  test('an option that it does not have is one line', async () => {
    const { status, stderr } = await doctor({}, ['--verbose']);
    expect(status).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain("Unknown option '--verbose'");
  });
});

// The last test: it reads what all the others have printed.
test('none of its output holds a credential', () => {
  expect(runs.length).toBeGreaterThan(15);
  for (const { stdout, stderr } of runs) {
    for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
  }
});
