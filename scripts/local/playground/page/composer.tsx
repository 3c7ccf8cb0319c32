import { useState } from 'preact/hooks';
import { writeField } from './focus';
import type { PhoneProps } from './messages';
import { faultOf } from './use-action';

export function Composer({ playground, device }: PhoneProps) {
  const [text, setText] = useState('');
  const [isEncrypted, setEncrypted] = useState(true);
  const [fault, setFault] = useState('');
  const isReady = device.conversations[playground.mode] !== undefined;
  const partner = device.owner === 'Alice' ? 'Bob' : 'Alice';
  const to = playground.mode === 'group' ? 'the group' : partner;

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const message = text.trim();
    if (!message || !isReady) return;
    setText('');
    setEncrypted(true);
    setFault('');
    try {
      await playground.send(device, message, isEncrypted);
    } catch (error) {
      setFault(faultOf(error, device.owner));
      setText((newer) => newer || message);
    }
  };
  return (
    <form class="composer" onSubmit={submit}>
      {fault && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      <div class="line">
        <input
          id={writeField(device.owner)}
          type="text"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          placeholder={`Message ${to}`}
          aria-label={`Message from ${device.title} to ${to}`}
          autocomplete="off"
          readOnly={!isReady}
        />
        <button type="submit" class="primary" aria-disabled={!isReady}>
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
