import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { UserError } from '../command-line/user-error';

// PostgreSQL and Redis; MongoDB.
const READY = /ready to accept connections|waiting for connections/i;

/** A server that a test may kill, freeze, and start again over what it has stored. */
export class ServerProgram {
  private child: ChildProcess | undefined;

  /** @param folder its own, in which it runs, and which goes when it stops */
  constructor(
    readonly uri: string,
    private readonly program: string,
    private readonly args: string[],
    private readonly folder: string,
    private readonly options: SpawnOptions = {},
  ) {}

  /** @throws UserError with what it printed where it ends before it takes connections */
  async start(): Promise<void> {
    const { program, args, folder, options } = this;
    const child = spawn(program, args, { ...options, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    await new Promise<void>((done, fail) => {
      let printed = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => {
          if (READY.test(printed)) return;
          printed += text;
          if (READY.test(printed)) done();
        });
      }
      child.once('error', fail);
      child.once('close', () => fail(new UserError(`${program} does not start:\n${printed}`)));
    });
  }

  /** To all its processes: PostgreSQL has one for each connection. */
  signal(name: 'STOP' | 'CONT' | 'KILL'): void {
    const pids = withDescendants(this.child?.pid as number);
    spawnSync('kill', [`-${name}`, ...pids.map(String)]);
  }

  async kill(): Promise<void> {
    const ended = this.ended();
    this.signal('KILL');
    await ended;
  }

  async stop(): Promise<void> {
    const ended = this.ended();
    this.child?.kill('SIGINT'); // PostgreSQL waits for nobody's connections then
    await ended;
    rmSync(this.folder, { recursive: true });
  }

  /** When its children have ended too: they share its output. */
  private async ended(): Promise<void> {
    const { child } = this;
    if (child && child.exitCode === null && child.signalCode === null) await once(child, 'close');
  }
}

function withDescendants(pid: number): number[] {
  const processes = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const family = [pid];
  for (const parent of family) {
    for (const [child, itsParent] of processes) if (itsParent === parent) family.push(child as number);
  }
  return family;
}
