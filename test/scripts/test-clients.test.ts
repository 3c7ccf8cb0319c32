import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../scripts/project/bundle';

const NO_JAVA = 'no JDK (javac) and Maven (mvn) on the PATH.';
const NO_PYTHON = 'no python3 with venv on the PATH.';

function testClients(args: string[], PATH = '/nowhere') {
  return spawnSync(process.execPath, ['--require', 'tsx/cjs', 'scripts/test-clients.ts', ...args], {
    cwd: projectRoot,
    encoding: 'utf8',
    env: { PATH },
  });
}

test('a language that is missing is named and skipped', () => {
  const { status, stdout, stderr } = testClients([]);
  expect(stdout.trim().split('\n')).toEqual([
    `java is skipped: ${NO_JAVA}`,
    `python is skipped: ${NO_PYTHON}`,
  ]);
  expect([status, stderr]).toEqual([0, '']);
});

test('a language that is missing and required is a failure, before any test runs', () => {
  expect(testClients(['--require'])).toMatchObject({
    status: 1,
    stdout: '',
    stderr: `java is required: ${NO_JAVA}\n`,
  });
});

test('a JDK without Maven is not enough, nor a Python without venv', () => {
  const folder = mkdtempSync(join(tmpdir(), 'e2ee-clients-'));
  try {
    const write = (program: string) =>
      writeFileSync(join(folder, program), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    write('javac');
    write('python3');
    expect(testClients([], folder).stdout.trim().split('\n')).toEqual([
      `java is skipped: ${NO_JAVA}`,
      `python is skipped: ${NO_PYTHON}`,
    ]);
    write('mvn');
    expect(testClients(['--require'], folder).stderr).toBe(`python is required: ${NO_PYTHON}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
