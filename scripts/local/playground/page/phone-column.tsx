import { useEffect, useRef, useState } from 'preact/hooks';
import { isNoAccess, type Unread } from './phone/cipher';
import type { Message } from './phone/conversation';
import { type Device, isParseError, type Playground } from './playground';

/** The field for the password on the new phone. */
const RESTORE = 'restore';

interface Props {
  playground: Playground;
  device: Device;
}

export function PhoneColumn({ playground, device }: Props) {
  const { title, owner, phone } = device;
  const conversation = device.conversations[playground.mode];
  const id = title.replace(/\W/g, '');
  const isGroup = playground.mode === 'group';
  return (
    <section class={`phone ${owner.toLowerCase()}`} aria-labelledby={id}>
      <div class="bar">
        <span class="avatar" aria-hidden="true">
          {owner[0]}
        </span>
        <div>
          <h2 id={id}>{title}</h2>
          <p class="status" role="status">
            {status(device, playground)}
          </p>
        </div>
      </div>
      {isGroup && owner === 'Alice' && phone?.hasKey && conversation && (
        <Members playground={playground} device={device} />
      )}
      <Messages
        messages={conversation?.messages ?? []}
        playground={playground}
        device={device}
        isOpen={conversation !== undefined}
      />
      {phone && !phone.hasKey ? (
        <Restore playground={playground} device={device} />
      ) : (
        <Composer playground={playground} device={device} />
      )}
      {title === 'Alice’s phone' && phone && <Backup playground={playground} device={device} />}
    </section>
  );
}

function status({ phone, conversations, owner }: Device, { mode, fault }: Playground): string {
  const conversation = conversations[mode];
  if (!phone || (!conversation && phone.hasKey))
    return fault ? 'Could not start' : 'Signing in and making keys …';
  if (!phone.hasKey) return `Signed in as ${owner}, without her key`;
  return conversation?.isConnected ? `Online · holds ${owner}’s private key` : 'Waiting for the server …';
}

interface MessagesProps extends Props {
  messages: Message[];
  isOpen: boolean;
}

function Messages({ messages, playground, device, isOpen }: MessagesProps) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [messages.length]);
  return (
    <div
      class="messages"
      ref={list}
      role="log"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must be able to
      tabIndex={0}
      aria-label={`Messages on ${device.title}`}
    >
      {messages.length === 0 && isOpen && <p class="empty">No message yet. Write the first one below.</p>}
      {messages.map((message) => {
        const sender = playground.nameOf(message.senderId) ?? 'Somebody';
        const isOwn = message.senderId === device.phone?.session.userId;
        return (
          <div key={message.id} class={`message ${isOwn ? 'own' : sender.toLowerCase()}`}>
            <span class="sender">{isOwn ? 'You' : sender}</span>
            <Content content={message.content} sender={sender} owner={device.owner} />
            <time dateTime={message.sentAt.toISOString()}>{time(message.sentAt)}</time>
          </div>
        );
      })}
    </div>
  );
}

function Content({ content, sender, owner }: { content: Message['content']; sender: string; owner: string }) {
  if ('text' in content) return <p class="text">{content.text}</p>;
  const explanations: Record<Unread, [string, string]> = {
    'not trusted': ['Not trusted', `This is not what ${sender} wrote. Somebody has changed it since.`],
    'no key': ['Locked', `This phone does not have ${owner}’s key.`],
    'no member': ['Locked', `${owner} is not in the group, and has no key for this.`],
    'try again': ['Not read yet', 'The server could not be reached.'],
  };
  const [heading, explanation] = explanations[content.unread];
  return (
    <p class={`text unread ${content.unread.replace(' ', '-')}`}>
      <strong>{heading}.</strong> {explanation}
    </p>
  );
}

export function time(date: Date): string {
  return date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

function Composer({ playground, device }: Props) {
  const [text, setText] = useState('');
  const [isEncrypted, setEncrypted] = useState(true);
  const [isSending, setSending] = useState(false);
  const [fault, setFault] = useState('');
  const isReady = device.conversations[playground.mode] !== undefined;
  const partner = device.owner === 'Alice' ? 'Bob' : 'Alice';
  const to = playground.mode === 'group' ? 'the group' : partner;

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!text.trim() || !isReady || isSending) return;
    setSending(true);
    setFault('');
    try {
      await playground.send(device, text.trim(), isEncrypted);
      setText('');
    } catch (error) {
      setFault(faultOf(error, device.owner));
    }
    setSending(false);
  };
  return (
    <form class="composer" onSubmit={submit}>
      {fault && (
        <p class="refusal" role="alert">
          {fault}
        </p>
      )}
      <div class="line">
        <input
          type="text"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          placeholder={`Message to ${to}`}
          aria-label={`Message from ${device.title} to ${to}`}
          autocomplete="off"
          disabled={!isReady}
        />
        <button type="submit" class="primary" disabled={!isReady}>
          Send
        </button>
      </div>
      <label class="switch">
        <input
          type="checkbox"
          role="switch"
          aria-checked={!isEncrypted}
          checked={!isEncrypted}
          onChange={(event) => setEncrypted(!event.currentTarget.checked)}
        />
        <span>Send without encrypting</span>
      </label>
    </form>
  );
}

/** In words, with the server's own where it has refused. */
function faultOf(error: unknown, owner: string): string {
  const { name, message } = error as Error;
  if (isParseError(error, 142)) return `The server refused it. Error 142: ${message}`;
  if (isNoAccess(error)) return `Not sent: ${owner} is not in the group, and has no key to write with.`;
  if (name === 'WrongKeyknoxPasswordError') return 'This is not the password of the backup.';
  return `That failed: ${message}`;
}

/** Runs one action of a phone at a time, and keeps what it says. */
function useAction(owner: string): [string, boolean, (action: () => Promise<string>) => void] {
  const [said, setSaid] = useState('');
  const [isRunning, setRunning] = useState(false);
  const run = async (action: () => Promise<string>) => {
    if (isRunning) return;
    setRunning(true);
    setSaid('');
    setSaid(await action().catch((error) => faultOf(error, owner)));
    setRunning(false);
  };
  return [said, isRunning, run];
}

function Members({ playground, device }: Props) {
  const [said, isRunning, run] = useAction(device.owner);
  const members = device.group?.members.map((id) => playground.nameOf(id)) ?? [];
  const change = members.includes('Carol') ? 'remove' : 'add';
  return (
    <div class="members">
      <span>Members: {members.join(', ')}</span>
      <button
        type="button"
        disabled={isRunning}
        onClick={() =>
          run(async () => {
            await playground.changeGroup(device, change);
            return '';
          })
        }
      >
        {change === 'remove' ? 'Remove Carol' : 'Add Carol'}
      </button>
      {said && <p role="alert">{said}</p>}
    </div>
  );
}

function Backup({ playground, device }: Props) {
  const [said, isRunning, run] = useAction(device.owner);
  const [password, setPassword] = useState('');
  const hasNewPhone = playground.devices.some(({ title }) => title === 'Alice’s new phone');
  return (
    <details class="backup">
      <summary>A new phone for Alice</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          run(async () => {
            await playground.backUpKey(device, password);
            setPassword('');
            return 'Her key is backed up, encrypted with the password.';
          });
        }}
      >
        <label>
          <span>1. Back up Alice’s key with a password</span>
          <input
            type="password"
            required
            value={password}
            onInput={(event) => setPassword(event.currentTarget.value)}
            autocomplete="new-password"
          />
        </label>
        <button type="submit" disabled={isRunning}>
          Back up
        </button>
      </form>
      <p role="status">{said}</p>
      <div class="step">
        <span>2. Sign in as Alice on another phone, which has no key yet</span>
        <button
          type="button"
          disabled={!playground.isBackedUp || hasNewPhone || playground.isBusy}
          onClick={async () => {
            await playground.addNewPhone();
            document.getElementById(RESTORE)?.focus();
          }}
        >
          Take the new phone
        </button>
      </div>
    </details>
  );
}

function Restore({ playground, device }: Props) {
  const [said, isRunning, run] = useAction(device.owner);
  const [password, setPassword] = useState('');
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        run(async () => {
          await playground.restoreKey(device, password);
          return '';
        });
      }}
    >
      {said && (
        <p class="refusal" role="alert">
          {said}
        </p>
      )}
      <label>
        <span>The password of the backup</span>
        <span class="line">
          <input
            id={RESTORE}
            type="password"
            required
            value={password}
            onInput={(event) => setPassword(event.currentTarget.value)}
            autocomplete="off"
          />
          <button type="submit" class="primary" disabled={isRunning}>
            Restore the key
          </button>
        </span>
      </label>
    </form>
  );
}
