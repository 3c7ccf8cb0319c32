import type { Name, Step } from './playground';

// What takes the focus when that which had it goes: the IDs of elements.

/** The field for the password of Alice's backup. */
export const PASSWORD = 'backup-password';

export const KEEP_ACCOUNT = 'keep-account';

/** The button that is left when Bob is gone. */
export const BEGIN_ANEW = 'begin-anew';

/** The field that a phone's messages are written in. */
export function writeField(owner: Name): string {
  return `${owner}-writes`;
}

export function stepButton(step: Step): string {
  return `step-${step}`;
}

export function focus(id: string): void {
  document.getElementById(id)?.focus();
}
