import { useState } from 'preact/hooks';
import { isNoAccess } from './phone/cipher';

/**
 * Runs one action of a phone at a time.
 *
 * @param owner whose phone it is
 * @returns why the last one failed, in words; whether one runs; and what runs one
 */
export function useAction(owner: string): [string, boolean, (action: () => Promise<unknown>) => void] {
  const [fault, setFault] = useState('');
  const [isRunning, setRunning] = useState(false);
  const run = async (action: () => Promise<unknown>) => {
    if (isRunning) return;
    setRunning(true);
    setFault('');
    await action().catch((error) => setFault(faultOf(error, owner)));
    setRunning(false);
  };
  return [fault, isRunning, run];
}

/** Why an action failed, in words. */
export function faultOf(error: unknown, owner: string): string {
  const { name, message } = error as Error;
  if (isNoAccess(error)) return `Not sent: ${owner} is not in the group, and has no key to write with.`;
  if (name === 'WrongKeyknoxPasswordError') return 'This is not the password of the backup.';
  return `That failed: ${message}`;
}
