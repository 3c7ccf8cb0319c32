import Parse from 'parse';
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { PhoneColumn } from './phone-column';
import { type Mode, Playground } from './playground';
import { ServerColumn } from './server-column';

Parse.initialize(PARSE_APP_ID, ''); // on Back4App the second is the app's JavaScript key
Parse.serverURL = `${location.origin}/parse`;
// Several users live in this page, so there is no current one: every call names its session. An app with one user
// leaves this out, and the SDK remembers the session by itself.
Parse.User.disableUnsafeCurrentUser();
// And no phone shares its objects with another.
Parse.Object.disableSingleInstance();

function Page() {
  const [, setVersion] = useState(0);
  const [playground] = useState(() => new Playground(() => setVersion((count) => count + 1)));
  useEffect(() => {
    playground.start();
  }, [playground]);

  const isShown = (owner: string) => owner !== 'Carol' || playground.mode === 'group';
  const phones = playground.devices.filter(({ owner }) => isShown(owner));
  const column = (isLeft: boolean) => (
    <div class="column">
      {phones
        .filter(({ owner }) => (owner === 'Alice') === isLeft)
        .map((device) => (
          <PhoneColumn key={device.title} playground={playground} device={device} />
        ))}
    </div>
  );
  return (
    <>
      <header>
        <h1>Two phones and the server between them</h1>
        <p>
          Both phones run here, in your browser, each with its own key. What is written on one is encrypted
          before it leaves, stored as noise, and read on the other.
        </p>
        <ModeSwitch playground={playground} />
      </header>
      {playground.fault && (
        <p class="fault" role="alert">
          {playground.fault}
        </p>
      )}
      <main>
        {column(true)}
        <ServerColumn playground={playground} />
        {column(false)}
      </main>
      <footer>
        The code of the phones is in <code>scripts/local/playground/page/phone/</code>, to copy.{' '}
        <code>npm start -- --fresh</code> begins anew.
      </footer>
    </>
  );
}

function ModeSwitch({ playground }: { playground: Playground }) {
  const option = (mode: Mode, label: string) => (
    <label>
      <input
        type="radio"
        name="mode"
        checked={playground.mode === mode}
        onChange={() => playground.switchTo(mode)}
      />
      <span>{label}</span>
    </label>
  );
  return (
    <fieldset class="modes" disabled={playground.isBusy}>
      <legend>Conversation</legend>
      {option('direct', 'Alice and Bob')}
      {option('group', 'A group of three')}
    </fieldset>
  );
}

render(<Page />, document.body);
