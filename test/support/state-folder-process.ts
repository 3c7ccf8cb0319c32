// A process that contends for a state folder. At each message it takes the folder at the given time, says whether it got it,
// and keeps it.
import { spawn } from 'node:child_process';
import { takeStateFolder } from '../../scripts/local/state-folder';

export interface Contest {
  folder: string;
  fresh: boolean;
  /** Unix time in milliseconds at which all contenders try. */
  at: number;
  /** Start a child then, which outlives this process. */
  withChild?: boolean;
}

export interface Outcome {
  won: boolean;
  /** Why not. */
  message?: string;
  /** The child's process ID. */
  child?: number;
}

const answer = (outcome: Outcome) => process.send?.(outcome);

process.on('message', ({ folder, fresh, at, withChild }: Contest) => {
  while (Date.now() < at);
  try {
    takeStateFolder(folder, fresh);
    const child =
      withChild && spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { detached: true });
    answer({ won: true, ...(child && { child: child.pid }) });
  } catch (error) {
    answer({ won: false, message: (error as Error).message });
  }
});
process.once('disconnect', () => process.exit());
process.send?.('ready');
