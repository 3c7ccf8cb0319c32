import { styleText } from 'node:util';
import { harmless } from '../command-line/shown';
import { asTyped } from '../command-line/typed';

/** What the doctor says of one thing that it looked at. */
export interface Finding {
  check: string;
  status: 'ok' | 'warning' | 'fault' | 'skipped';
  /** What is well; what is wrong or may become so, and how to mend it; or why it was not looked at. Holds no secret. */
  message: string;
}

/** Findings in the order in which they are made. */
export type Findings = AsyncGenerator<Finding, void>;

const finding = (status: Finding['status']) => (check: string, message: string) => ({
  check,
  status,
  // JSON leaves most of what a terminal obeys as it is.
  message: harmless(asTyped(message)),
});

export const ok = finding('ok');
export const warning = finding('warning');
export const fault = finding('fault');
export const skipped = finding('skipped');

const COLOURS = { ok: 'green', warning: 'yellow', fault: 'red', skipped: 'yellow' } as const;

/** One line, coloured on a terminal. */
export function print({ check, status, message }: Finding): void {
  const word = status.padEnd(8);
  const isColoured = process.stdout.isTTY && process.stdout.hasColors();
  console.log(`${isColoured ? styleText(COLOURS[status], word) : word} ${check.padEnd(24)} ${message}`);
}
