import { BEGIN_ANEW, focus, KEEP_ACCOUNT, stepButton } from './focus';
import type { PhoneProps } from './messages';
import { useAction } from './use-action';

/** Asks before Bob's account goes: nothing brings it back. */
export function DeleteAccount({ playground, device }: PhoneProps) {
  const [fault, isRunning, run] = useAction(device.owner);
  return (
    <div class="composer">
      {fault && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      <p>Bob’s account, his public key and his backup go for good.</p>
      <div class="line">
        <button
          type="button"
          class="primary"
          aria-disabled={isRunning}
          onClick={() =>
            run(async () => {
              await playground.deleteAccount(device);
              focus(BEGIN_ANEW);
            })
          }
        >
          Delete it
        </button>
        <button
          type="button"
          class="quiet"
          id={KEEP_ACCOUNT}
          onClick={() => {
            playground.ask(undefined);
            focus(stepButton('account'));
          }}
        >
          Keep it
        </button>
      </div>
    </div>
  );
}

/** In the place of a phone's composer, when its user is gone. */
export function Deleted({ playground }: Pick<PhoneProps, 'playground'>) {
  return (
    <div class="composer">
      <p>His public key and his backup are gone from Virgil’s cloud as well.</p>
      <div class="line">
        <button type="button" class="primary" id={BEGIN_ANEW} onClick={() => playground.beginAnew()}>
          Begin anew
        </button>
      </div>
    </div>
  );
}
