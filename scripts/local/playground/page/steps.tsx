import { focus, KEEP_ACCOUNT, PASSWORD, stepButton } from './focus';
import type { PanelName } from './panel';
import { drawSample } from './photo';
import type { Device, Playground, Step } from './playground';

interface Props {
  playground: Playground;
  /** Brings a phone or the server into view. */
  show: (name: PanelName) => void;
}

interface Suggestion {
  title: string;
  run: () => unknown;
  /** Whether it takes back what it has done. */
  isUndo?: boolean;
}

interface FirstSuggestion extends Suggestion {
  /** What comes of it, or came of it. */
  outcome: string;
}

const FIRST = ['plaintext', 'tamper', 'phone'] as const;

/** What the visitor may try: three things first, the others one step further. */
export function Steps({ playground, show }: Props) {
  const { phones, stored, done, isReady } = playground;
  const tampered = stored.find(({ row }) => playground.isTampered(row.objectId));
  // Who has a key, since a phone may be lost.
  const sender = phones.find(({ phone }) => phone?.hasKey);
  const first: Record<(typeof FIRST)[number], FirstSuggestion> = {
    plaintext: {
      title: 'Send without encrypting',
      outcome: done.includes('plaintext') ? 'The server refused it.' : 'The server refuses it.',
      run: () => {
        const device = sender as Device;
        show(device.owner);
        return playground.send(device, { text: 'The door code is 4711' }, 'not encrypted');
      },
    },
    tamper: tampered
      ? {
          title: 'Flip the bit back',
          outcome: 'Then they can read it again.',
          run: () => playground.tamper(tampered.row.objectId),
        }
      : {
          title: 'Tamper with the database',
          outcome: done.includes('tamper')
            ? 'No phone trusted it.'
            : 'One flipped bit, and no phone trusts it.',
          run: async () => {
            show(playground.isBobGone ? 'Alice' : 'Bob');
            // Of somebody who is gone it cannot be told.
            const message = stored.findLast(({ row }) =>
              phones.some(({ phone }) => phone?.session.userId === row.senderId),
            );
            if (message) await playground.tamper(message.row.objectId);
          },
        },
    phone: {
      title: 'Lose Alice’s phone',
      outcome: done.includes('phone') ? 'Her key came back.' : 'Her key comes back, with a password.',
      run: () => {
        show('Alice');
        playground.ask('phone');
        // Once the field is there.
        requestAnimationFrame(() => focus(PASSWORD));
      },
    },
  };
  const further = furtherSteps({ playground, show }, sender);
  // What is not possible yet keeps the focus all the same.
  const attempt = (run: () => unknown) => () => isReady && playground.attempt(async () => run());
  return (
    <nav class="steps" aria-labelledby="steps">
      <h2 id="steps">Three things to try</h2>
      <ol>
        {FIRST.map((step, index) => {
          const { title, outcome, run } = first[step];
          const isDone = done.includes(step);
          return (
            <li key={step}>
              <button
                type="button"
                id={stepButton(step)}
                class={isDone ? 'done' : ''}
                aria-disabled={!isReady}
                onClick={attempt(run)}
              >
                <span class="number" aria-hidden="true">
                  {isDone ? <Tick /> : index + 1}
                </span>
                <span>
                  <b>{title}</b> <span class="outcome">{outcome}</span>
                  {isDone && <Done />}
                </span>
              </button>
            </li>
          );
        })}
      </ol>
      {further.length > 0 && (
        <p class="further">
          And then:
          {further.map(([step, { title, run, isUndo }]) => (
            <button
              key={step}
              type="button"
              class="quiet"
              id={stepButton(step)}
              aria-disabled={!isReady}
              onClick={attempt(run)}
            >
              {done.includes(step) && !isUndo && <Tick />}
              {title}
              {done.includes(step) && !isUndo && <Done />}
            </button>
          ))}
        </p>
      )}
    </nav>
  );
}

/** @param sender whose phone has a key */
function furtherSteps({ playground, show }: Props, sender?: Device): [Step, Suggestion][] {
  const isGroup = playground.mode === 'group';
  const alice = playground.phones.find(({ owner }) => owner === 'Alice');
  const sendPhoto = async () => {
    const photo = await drawSample();
    show('Bob');
    return playground.send(sender as Device, { text: 'The view from my place', photo });
  };
  const leaveOut = () => {
    show('Alice');
    return playground.send(alice as Device, { text: 'See you at eight!' }, 'reader left out');
  };
  const deleteAccount = () => {
    show('Bob');
    playground.ask('account');
    requestAnimationFrame(() => focus(KEEP_ACCOUNT));
  };
  const steps: [boolean | undefined, Step, Suggestion][] = [
    [HAS_FILES, 'photo', { title: 'Send a photo', run: sendPhoto }],
    [!isGroup && alice?.phone?.hasKey, 'recipient', { title: 'Leave Bob out', run: leaveOut }],
    [!isGroup, 'group', { title: 'A group of three', run: () => playground.switchTo('group') }],
    [
      isGroup,
      'group',
      { title: 'Back to Alice and Bob', run: () => playground.switchTo('direct'), isUndo: true },
    ],
    [!isGroup && ERASES_USERS, 'account', { title: 'Delete Bob’s account', run: deleteAccount }],
  ];
  return playground.isBobGone ? [] : steps.flatMap(([isShown, ...step]) => (isShown ? [step] : []));
}

function Done() {
  return <span class="hidden"> Done.</span>;
}

function Tick() {
  return (
    <svg class="tick" viewBox="0 0 16 16" aria-hidden="true">
      <path d="M3.5 8.5l3 3 6-7" />
    </svg>
  );
}
