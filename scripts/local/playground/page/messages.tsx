import { focus, writeField } from './focus';
import type { Unread, Content as Written } from './phone/cipher';
import type { Message } from './phone/conversation';
import { Photo } from './photo';
import type { Device, Playground, Refusal } from './playground';
import { useReveal } from './use-reveal';

/** A message on a phone, or one that did not get further. */
interface Entry extends Omit<Message, 'content'> {
  content: Message['content'] | { refusal: Refusal };
}

export interface PhoneProps {
  playground: Playground;
  device: Device;
}

/** One for each message on a phone: it changes with what the phone shows in its place. */
export function versionsOf(playground: Playground, device: Device): string[] {
  return entriesOf(playground, device).map(
    ({ id, content }) => id + ('unread' in content ? content.unread : ''),
  );
}

function entriesOf({ mode, refusals }: Playground, device: Device): Entry[] {
  const messages: Entry[] = device.conversations[mode]?.messages ?? [];
  const refused = refusals
    .filter((refusal) => refusal.device === device && refusal.mode === mode)
    .map((refusal) => ({
      id: String(refusal.at.getTime()),
      senderId: device.phone?.session.userId ?? '',
      sentAt: refusal.at,
      content: { refusal },
    }));
  return [...messages, ...refused].sort((one, other) => one.sentAt.getTime() - other.sentAt.getTime());
}

export function Messages({ playground, device }: PhoneProps) {
  const entries = entriesOf(playground, device);
  const list = useReveal(versionsOf(playground, device));
  return (
    <div
      class="scrolling"
      ref={list}
      role="log"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must be able to
      tabIndex={0}
      aria-label={`Messages on ${device.title}`}
    >
      <div class="messages">
        {entries.map(({ id, senderId, sentAt, content }, index) => {
          const isOwn = senderId === device.phone?.session.userId;
          const sender = playground.nameOf(senderId) ?? 'Somebody';
          const next = entries[index + 1];
          return (
            <div key={id} class={`message ${isOwn ? 'own' : ''}`}>
              {entries[index - 1]?.senderId !== senderId && (
                <span class="sender">{isOwn ? 'You' : sender}</span>
              )}
              {'refusal' in content ? (
                <Refused playground={playground} refusal={content.refusal} />
              ) : (
                <Content content={content} sender={sender} owner={device.owner} />
              )}
              {(next?.senderId !== senderId || time(next.sentAt) !== time(sentAt)) && (
                <time dateTime={sentAt.toISOString()}>{time(sentAt)}</time>
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Content({ content, sender, owner }: { content: Message['content']; sender: string; owner: string }) {
  if ('text' in content) return <Readable {...content} />;
  const explanations: Record<Unread, [string, string]> = {
    'not trusted': [
      'Not trusted',
      `This is not what ${sender} wrote. Somebody has changed it since, or has written it in ${sender}’s name.`,
    ],
    'no key': ['Locked', `This phone does not have ${owner}’s key.`],
    'not for you': ['Locked', `This was encrypted for other keys than ${owner}’s.`],
    'no member': ['Locked', `${owner} is not in the group, and has no key for this.`],
    'no sender': ['Locked', `${sender}’s account is gone, and with it the key that shows who wrote this.`],
    'try again': ['Not read yet', 'The server could not be reached.'],
  };
  const [heading, explanation] = explanations[content.unread];
  return (
    <p class={`text unread ${content.unread.replace(' ', '-')}`}>
      <strong>{heading}.</strong> {explanation}
    </p>
  );
}

function Readable({ text, photo }: Written) {
  return (
    <>
      {photo && <Photo photo={photo} />}
      {text && <p class="text">{text}</p>}
    </>
  );
}

function Refused({ playground, refusal }: { playground: Playground; refusal: Refusal }) {
  const mend = async () => {
    // The button goes with what it mends.
    focus(writeField(refusal.device.owner));
    await playground.attempt(() => playground.mend(refusal));
  };
  return (
    <>
      <p class="text refused">{refusal.draft.photo?.name ?? refusal.draft.text}</p>
      {refusal.mistake === 'nobody found' ? (
        <p class="reason">
          <strong>Not sent: nobody finds Bob any more.</strong> {refusal.reason.split('\n')[0]}
        </p>
      ) : (
        <>
          <p class="reason">
            <strong>The server refused it.</strong> Error 142: {refusal.reason}
          </p>
          <button type="button" class="quiet" onClick={mend}>
            {refusal.mistake === 'not encrypted' ? 'Encrypt and send' : 'Encrypt it for Bob too'}
          </button>
        </>
      )}
    </>
  );
}

export function time(date: Date): string {
  return date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}
