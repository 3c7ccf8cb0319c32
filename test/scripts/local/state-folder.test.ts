import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeStateFolder } from '../../../scripts/local/state-folder';
import type { Contest, Outcome } from '../../support/state-folder-process';

const CONTENDERS = 20;
const WORKER = join(__dirname, '../../support/state-folder-process.ts');

let parent: string;
let folder: string;
let contenders: ChildProcess[];

beforeAll(() => {
  parent = mkdtempSync(join(tmpdir(), 'e2ee-state-folder-'));
});
afterAll(() => rmSync(parent, { recursive: true, force: true }));

let folders = 0;
beforeEach(() => {
  folder = join(parent, `${++folders}`);
});

async function startContenders(count: number): Promise<ChildProcess[]> {
  const started = Array.from({ length: count }, () => fork(WORKER, { execArgv: ['--require', 'tsx/cjs'] }));
  await Promise.all(started.map((contender) => once(contender, 'message')));
  return started;
}

/** All try in the same millisecond, every second one with `fresh` if that is wanted. */
function contend(all: ChildProcess[], { fresh = false, withChild = false } = {}): Promise<Outcome[]> {
  const at = Date.now() + 30;
  return Promise.all(
    all.map(async (contender, index) => {
      const answer = once(contender, 'message');
      contender.send({ folder, fresh: fresh && index % 2 === 0, at, withChild } satisfies Contest);
      return (await answer)[0] as Outcome;
    }),
  );
}

async function kill(contender: ChildProcess): Promise<void> {
  const exited = once(contender, 'exit');
  contender.kill('SIGKILL');
  await exited;
}

describe('of many that start at once', () => {
  beforeAll(async () => {
    contenders = await startContenders(CONTENDERS);
  });
  afterAll(() => Promise.all(contenders.map(kill)));

  const ended = spawnSync(process.execPath, ['--version']).pid;

  it.each<[string, string | undefined]>([
    ['nothing', undefined],
    ['the ID of a process that has ended', `${ended}`],
    ["a living stranger's ID", `${process.pid}`],
    ["one contender's own ID", 'own'],
    ['an empty file', ''],
    ['0, which stands for all of this group', '0'],
    ['a negative ID, which stands for a group', `-${process.pid}`],
    ['something else', 'x\n'],
  ])('one wins over %s, and when it is killed, one of the next', async (_, leftover) => {
    mkdirSync(folder);
    if (leftover !== undefined) {
      writeFileSync(join(folder, 'pid'), leftover === 'own' ? `${contenders.at(-1)?.pid}` : leftover);
    }
    // The second round finds what the killed winner of the first has left.
    for (const fresh of [false, true]) {
      const outcomes = await contend(contenders, { fresh });
      const winners = contenders.filter((_contender, index) => outcomes[index]?.won);
      expect(winners).toHaveLength(1);
      for (const { message } of outcomes.filter(({ won }) => !won)) {
        expect(message).toMatch(/ is in use by (?:process \d+|another process): stop that one, or /);
      }
      const [winner] = winners as [ChildProcess];
      expect(readFileSync(join(folder, 'pid'), 'utf8')).toBe(`${winner.pid}`);
      contenders = contenders.filter((contender) => contender !== winner);
      await kill(winner);
    }
  });
});

it('names the process that has the folder, and "fresh" takes nothing from it', () => {
  const giveBack = takeStateFolder(folder, false);
  writeFileSync(join(folder, 'kept'), '');
  for (const fresh of [false, true]) {
    expect(() => takeStateFolder(folder, fresh)).toThrow(
      `${folder} is in use by process ${process.pid}: stop that one, or start from another folder.`,
    );
  }
  expect(existsSync(join(folder, 'kept'))).toBe(true);
  giveBack();
});

it('can be taken again once it was given back, and "fresh" then forgets what is in it', () => {
  takeStateFolder(folder, false)();
  mkdirSync(join(folder, 'database/files'), { recursive: true });
  const giveBack = takeStateFolder(folder, true);
  expect(existsSync(join(folder, 'database'))).toBe(false);
  giveBack();
});

it('is not held on by a child that outlives its holder', async () => {
  const [holder, next] = (await startContenders(2)) as [ChildProcess, ChildProcess];
  const [{ child }] = (await contend([holder], { withChild: true })) as [Outcome];
  try {
    await kill(holder);
    expect(process.kill(child as number, 0)).toBe(true);
    expect(await contend([next])).toEqual([{ won: true }]);
  } finally {
    process.kill(child as number, 'SIGKILL');
    await kill(next);
  }
});
