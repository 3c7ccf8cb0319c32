import { useRef, useState } from 'preact/hooks';
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

  const send = async (photo?: File) => {
    const message = text.trim();
    if (!(message || photo) || !isReady) return;
    setText('');
    setEncrypted(true);
    setFault('');
    try {
      await playground.send(device, { text: message, photo }, isEncrypted ? undefined : 'not encrypted');
    } catch (error) {
      setFault(faultOf(error, device.owner));
      setText((newer) => newer || message);
    }
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
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
      <div class="line">
        <label class="switch">
          <input
            type="checkbox"
            role="switch"
            aria-checked={!isEncrypted}
            checked={!isEncrypted}
            onChange={(event) => setEncrypted(!event.currentTarget.checked)}
          />
          <span>Without encrypting</span>
        </label>
        {HAS_FILES && <PhotoButton isReady={isReady} take={send} />}
      </div>
    </form>
  );
}

function PhotoButton({ isReady, take }: { isReady: boolean; take: (photo: File) => unknown }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button
        type="button"
        class="quiet"
        aria-disabled={!isReady}
        onClick={() => isReady && input.current?.click()}
      >
        Photo
      </button>
      <input
        ref={input}
        type="file"
        accept="image/*"
        hidden
        onChange={({ currentTarget }) => {
          const [photo] = currentTarget.files ?? [];
          // The same one may be chosen again.
          currentTarget.value = '';
          if (photo) take(photo);
        }}
      />
    </>
  );
}
