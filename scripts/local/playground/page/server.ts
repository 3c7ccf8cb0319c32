import type { StoredMessage } from '../stored-messages';

// What the local server tells of itself. No phone has a hand in it.

/** @throws Error in the server's words */
export async function fetchStored(threadId: string): Promise<StoredMessage[]> {
  return (await call(`?${new URLSearchParams({ threadId })}`)).json();
}

/** Flips one bit of a stored message; a second time flips it back. @throws Error in the server's words */
export async function tamper(objectId: string): Promise<void> {
  await call(`/${encodeURIComponent(objectId)}/tamper`, { method: 'POST' });
}

async function call(path: string, init?: RequestInit): Promise<Response> {
  const answer = await fetch(`/playground/messages${path}`, init);
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}
