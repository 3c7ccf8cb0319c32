import type { StoredMessage } from '../stored-messages';
import { time } from './messages';
import { Panel, type TabProps } from './panel';
import { Noise } from './photo';
import type { Playground, Refusal } from './playground';
import { useReveal } from './use-reveal';

type Entry = { at: Date; message: StoredMessage } | { at: Date; refusal: Refusal };

function entriesOf({ stored, refusals, mode }: Playground): Entry[] {
  return [
    ...stored.map((message) => ({ at: new Date(message.row.createdAt), message })),
    ...refusals
      .filter((refusal) => refusal.mode === mode && refusal.mistake !== 'nobody found')
      .map((refusal) => ({ at: refusal.at, refusal })),
  ].sort((one, other) => one.at.getTime() - other.at.getTime());
}

/** One for each row: it changes with what the database holds. */
export function rowVersionsOf(playground: Playground): string[] {
  return entriesOf(playground).map((entry) =>
    'message' in entry
      ? entry.message.row.body + playground.isTampered(entry.message.row.objectId)
      : String(entry.at.getTime()),
  );
}

/** What the server stores. No phone has a hand in it: the local server reads the rows, and reads the envelopes' headers. */
export function ServerPanel({ playground, ...tab }: { playground: Playground } & TabProps) {
  const list = useReveal(rowVersionsOf(playground));
  return (
    <Panel
      name="Server"
      title="What the server stores"
      status={<p class="status">Each row as the database holds it</p>}
      {...tab}
    >
      {playground.storedFault && (
        <p class="fault" role="alert">
          {playground.storedFault}
        </p>
      )}
      <div
        class="scrolling"
        ref={list}
        role="log"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must be able to
        tabIndex={0}
        aria-live="off"
        aria-label="Stored rows"
      >
        <div class="rows">
          {entriesOf(playground).map((entry) =>
            'message' in entry ? (
              <Row key={entry.message.row.objectId} playground={playground} message={entry.message} />
            ) : (
              <article key={entry.at.getTime()} class="row bad">
                <h3>Refused: nothing was stored</h3>
                <p>{whatWasWrong(entry.refusal)}</p>
              </article>
            ),
          )}
        </div>
      </div>
    </Panel>
  );
}

// Of ciphertext before the flipped bit: it stands in the third of the lines that are shown.
const SHOWN_BEFORE = 90;

function Row({ playground, message }: { playground: Playground; message: StoredMessage }) {
  const { row, envelope, photo } = message;
  const { objectId, body } = row;
  const isTampered = playground.isTampered(objectId);
  const sender = playground.nameOf(row.senderId) ?? 'somebody';
  const readers = envelope.recipients
    ?.map((userId) => (userId && playground.nameOf(userId)) || 'somebody unknown')
    .sort((one) => (one === sender ? -1 : 1))
    .join(' and ');
  const signature = envelope.signedInside
    ? 'signed inside'
    : readers
      ? 'not signed'
      : 'signed beside the ciphertext';
  // The first character of base64 that has no bit of the header, and the one that has the flipped bit.
  const start = Math.ceil((envelope.ciphertextOffset * 8) / 6);
  const flipped = Math.floor((envelope.tamperOffset * 8 + 7) / 6);
  const from = isTampered ? Math.max(start, flipped - SHOWN_BEFORE) : start;
  const id = `row-${objectId}`;
  return (
    <article class={`row ${isTampered ? 'bad' : ''}`} aria-labelledby={id}>
      <div class="head">
        <h3 id={id}>From {sender}</h3>
        <time dateTime={row.createdAt}>{time(new Date(row.createdAt))}</time>
        <button
          type="button"
          class="quiet"
          aria-describedby={id}
          onClick={() => playground.attempt(() => playground.tamper(objectId))}
        >
          {isTampered ? 'Flip it back' : 'Tamper'}
        </button>
      </div>
      <details>
        <summary>
          for {readers ?? 'the members of the group'}, {signature}
        </summary>
        <pre>{JSON.stringify(row, null, 2)}</pre>
      </details>
      <p class="noise" aria-hidden="true">
        {isTampered ? (
          <>
            {from > start && '…'}
            {body.slice(from, flipped)}
            <mark>{body[flipped]}</mark>
            {body.slice(flipped + 1)}
          </>
        ) : (
          body.slice(from)
        )}
      </p>
      {photo && (
        <>
          <Noise noise={photo.noise} />
          <p class="file">
            {/* Parse Server's own digits stand before it. */}
            <code>{row.photo?.name.replace(/^.+_/, '')}</code> <span>{kilobytes(photo.size)}</span>
          </p>
          <p class="noise" aria-hidden="true">
            {photo.noise}
          </p>
        </>
      )}
      {isTampered && <p class="changed">One bit was flipped in the database.</p>}
    </article>
  );
}

function kilobytes(size: number): string {
  return `${Math.ceil(size / 1024).toLocaleString()} KB`;
}

function whatWasWrong({ device, draft, mistake }: Refusal): string {
  const what = `A ${draft.photo ? 'photo' : 'message'} from ${device.title} was not encrypted`;
  return mistake === 'not encrypted' ? `${what}.` : `${what} for Bob, who may read it.`;
}
