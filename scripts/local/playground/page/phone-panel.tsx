import { Composer } from './composer';
import { DeleteAccount, Deleted } from './delete-account';
import { LosePhone, Restore } from './key-forms';
import { Messages, type PhoneProps } from './messages';
import { Panel, type TabProps } from './panel';
import type { Device, Playground } from './playground';
import { useAction } from './use-action';

export function PhonePanel({ playground, device, ...tab }: PhoneProps & TabProps) {
  const { owner, title, phone, conversations } = device;
  const props = { playground, device };
  const isAlice = owner === 'Alice';
  const isOpen = conversations[playground.mode] !== undefined;
  return (
    <Panel
      name={owner}
      title={title}
      status={
        <p class="status" role="status">
          {status(device, playground)}
        </p>
      }
      {...tab}
    >
      {playground.mode === 'group' && isAlice && phone?.hasKey && isOpen && <Members {...props} />}
      <Messages {...props} />
      {device.isGone ? (
        <Deleted playground={playground} />
      ) : phone && !phone.hasKey ? (
        <Restore {...props} />
      ) : isAlice && playground.asking === 'phone' ? (
        <LosePhone {...props} />
      ) : owner === 'Bob' && playground.asking === 'account' ? (
        <DeleteAccount {...props} />
      ) : (
        <Composer key={playground.mode} {...props} />
      )}
    </Panel>
  );
}

function status({ phone, conversations, owner, isGone }: Device, { mode, fault }: Playground): string {
  if (isGone) return 'The account is deleted';
  const conversation = conversations[mode];
  if (!phone || (!conversation && phone.hasKey)) return fault ? 'Could not start' : 'Making its keys …';
  if (!phone.hasKey) return `Signed in, without ${owner}’s key`;
  return conversation?.isConnected ? `Online, holds ${owner}’s key` : 'Waiting for the server …';
}

function Members({ playground, device }: PhoneProps) {
  const [said, isRunning, run] = useAction(device.owner);
  const members = device.group?.members.map((id) => playground.nameOf(id)) ?? [];
  const change = members.includes('Carol') ? 'remove' : 'add';
  return (
    <div class="members">
      <span>
        <span class="hidden">Members: </span>
        {members.join(', ')}
      </span>
      <button
        type="button"
        class="quiet"
        aria-disabled={isRunning}
        onClick={() => run(() => playground.changeGroup(device, change))}
      >
        {change === 'remove' ? 'Remove Carol' : 'Add Carol'}
      </button>
      {said && <p role="alert">{said}</p>}
    </div>
  );
}
