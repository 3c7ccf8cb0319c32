import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { focus, PASSWORD, stepButton, writeField } from './focus';
import type { PhoneProps } from './messages';
import { useAction } from './use-action';

/** Backs Alice's key up, without which a lost phone takes her messages with it. */
export function LosePhone({ playground, device }: PhoneProps) {
  return (
    <PasswordForm
      owner={device.owner}
      label="First back up Alice’s key, with a password"
      autocomplete="new-password"
      does="Back up, then lose it"
      action={async (password) => {
        await playground.losePhone(device, password);
        focus(PASSWORD);
      }}
    >
      <button
        type="button"
        class="quiet"
        onClick={() => {
          playground.ask(undefined);
          focus(stepButton('phone'));
        }}
      >
        Keep it
      </button>
    </PasswordForm>
  );
}

export function Restore({ playground, device }: PhoneProps) {
  return (
    <PasswordForm
      owner={device.owner}
      label="The password of the backup"
      autocomplete="off"
      does="Restore the key"
      action={async (password) => {
        await playground.restoreKey(device, password);
        focus(writeField(device.owner));
      }}
    />
  );
}

interface PasswordFormProps {
  owner: string;
  label: string;
  autocomplete: string;
  /** What the button says. */
  does: string;
  action: (password: string) => Promise<void>;
  /** Beside the button. */
  children?: ComponentChildren;
}

function PasswordForm({ owner, label, autocomplete, does, action, children }: PasswordFormProps) {
  const [fault, isRunning, run] = useAction(owner);
  const [password, setPassword] = useState('');
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        run(() => action(password));
      }}
    >
      {fault && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      <label for={PASSWORD}>{label}</label>
      <input
        id={PASSWORD}
        type="password"
        required
        value={password}
        onInput={(event) => setPassword(event.currentTarget.value)}
        autocomplete={autocomplete}
      />
      <div class="line">
        <button type="submit" class="primary" aria-disabled={isRunning}>
          {does}
        </button>
        {children}
      </div>
    </form>
  );
}
