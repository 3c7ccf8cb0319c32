import { useEffect, useRef, useState } from 'preact/hooks';
import type { StoredMessage } from '../stored-messages';
import { time } from './phone-column';
import type { Playground } from './playground';

/** What the server stores. No phone has a hand in it: the local server reads the rows, and reads the envelopes' headers. */
export function ServerColumn({ playground }: { playground: Playground }) {
  const [stored, setStored] = useState<StoredMessage[]>([]);
  const [fault, setFault] = useState('');
  const list = useRef<HTMLDivElement>(null);
  const { threadId, mode, revision } = playground;
  const refusals = playground.refusals.filter((refusal) => refusal.mode === mode);

  useEffect(() => {
    let isCurrent = true;
    fetchStored(threadId).then(
      (messages) => {
        if (!isCurrent) return;
        setStored(messages);
        setFault('');
      },
      (error: Error) => isCurrent && setFault(error.message),
    );
    return () => {
      isCurrent = false;
    };
  }, [threadId, revision]);
  const count = stored.length + refusals.length;
  useEffect(() => {
    list.current?.scrollTo({ top: count && list.current.scrollHeight });
  }, [count]);

  const entries = [
    ...stored.map((message) => ({
      at: new Date(message.row.createdAt),
      entry: <Row key={message.row.objectId} playground={playground} message={message} onFault={setFault} />,
    })),
    ...refusals.map(({ at, device }) => ({
      at,
      entry: (
        <article key={at.getTime()} class="row refused">
          <h3>Refused: nothing was stored</h3>
          <p>A message from {device.title} was not encrypted.</p>
          <time dateTime={at.toISOString()}>{time(at)}</time>
        </article>
      ),
    })),
  ].sort((one, other) => one.at.getTime() - other.at.getTime());
  return (
    <section class="server" aria-labelledby="server">
      <div class="bar">
        <span class="avatar" aria-hidden="true">
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M4 5h16v5H4zM4 14h16v5H4zM7 7.5h.01M7 16.5h.01" />
          </svg>
        </span>
        <div>
          <h2 id="server">What the server stores</h2>
          <p class="status">Each row as the database holds it</p>
        </div>
      </div>
      {fault && (
        <p class="refusal" role="alert">
          {fault}
        </p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must be able to */}
      <div class="rows" ref={list} tabIndex={0} role="log" aria-live="off" aria-label="Stored rows">
        {entries.length === 0 && <p class="empty">Nothing yet. Each message will appear here, as noise.</p>}
        {entries.map(({ entry }) => entry)}
      </div>
    </section>
  );
}

async function fetchStored(threadId: string): Promise<StoredMessage[]> {
  const answer = await fetch(`/playground/messages?${new URLSearchParams({ threadId })}`);
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error);
  return result;
}

interface RowProps {
  playground: Playground;
  message: StoredMessage;
  onFault: (fault: string) => void;
}

/** The bodies as they were first seen here. */
const firstSeen = new Map<string, string>();

function Row({ playground, message: { row, envelope }, onFault }: RowProps) {
  const { objectId, body } = row;
  if (!firstSeen.has(objectId)) firstSeen.set(objectId, body);
  const sender = playground.nameOf(row.senderId) ?? 'Somebody';
  const readers = envelope.recipients
    ?.map((userId) => (userId && playground.nameOf(userId)) || 'somebody unknown')
    .sort((one) => (one === sender ? -1 : 1));
  const signature = envelope.signedInside
    ? 'Signed inside the ciphertext.'
    : readers
      ? 'Not signed.'
      : 'Signed beside the ciphertext.';
  const tamper = async () => {
    const path = `/playground/messages/${encodeURIComponent(objectId)}/tamper`;
    const answer = await fetch(path, { method: 'POST' });
    onFault(answer.ok ? '' : (await answer.json()).error);
  };
  return (
    <article class="row">
      <div class="head">
        <h3>
          Message <code>{objectId}</code>
        </h3>
        <time dateTime={row.createdAt}>{time(new Date(row.createdAt))}</time>
      </div>
      <p class="noise" aria-hidden="true">
        {body}
      </p>
      <p class="reading">
        Saved by <b>{sender}</b>. {readers ? <b>{readers.join(' and ')}</b> : 'The members of the group'} can
        open it. {signature} {envelope.size} bytes.
      </p>
      {row.updatedAt !== row.createdAt && <Changed before={firstSeen.get(objectId) as string} after={body} />}
      <div class="actions">
        <details>
          <summary>The whole row</summary>
          <pre>{JSON.stringify(row, null, 2)}</pre>
        </details>
        <button type="button" onClick={tamper}>
          Tamper <span class="hidden">with message {objectId}</span>
        </button>
      </div>
    </article>
  );
}

function Changed({ before, after }: { before: string; after: string }) {
  const at = [...after].findIndex((character, index) => character !== before[index]);
  if (at < 0) return <p class="changed">Changed since it was sent.</p>;
  return (
    <p class="changed">
      One bit was flipped: <code>…{after.slice(at - 8, at)}</code>
      <mark>{after[at]}</mark>
      <code>{after.slice(at + 1, at + 9)}…</code>
    </p>
  );
}
