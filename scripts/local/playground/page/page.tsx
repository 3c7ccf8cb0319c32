import Parse from 'parse';
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { versionsOf } from './messages';
import type { PanelName } from './panel';
import { PhonePanel } from './phone-panel';
import { Playground } from './playground';
import { rowVersionsOf, ServerPanel } from './server-panel';
import { Steps } from './steps';
import { Tabs, useMarks, useNarrow } from './tabs';

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
  const { mode, phones } = playground;

  // Side by side where there is room, else one at a time.
  const isNarrow = useNarrow(mode === 'group' ? '75rem' : '60rem');
  const [chosen, choose] = useState<PanelName>('Alice');
  const versions = new Map<PanelName, string>(
    phones.map((device) => [device.owner, versionsOf(playground, device).join()]),
  );
  versions.set('Server', rowVersionsOf(playground).join());
  const names = (['Alice', 'Server', 'Bob', 'Carol'] as const).filter((name) => versions.has(name));
  const current = names.includes(chosen) ? chosen : 'Alice';
  const marked = useMarks(mode, versions, isNarrow ? [current] : names);
  const show = (name: PanelName) => {
    choose(name);
    document.getElementById(name)?.scrollIntoView({ block: 'nearest' });
  };

  return (
    <>
      <Steps playground={playground} show={show} />
      <main>
        {playground.fault && (
          <p class="fault" role="alert">
            {playground.fault}
          </p>
        )}
        {isNarrow && <Tabs names={names} current={current} marked={marked} show={show} />}
        <div class={`panels ${isNarrow ? 'one' : mode}`}>
          {names.map((name) => {
            const tab = { isTab: isNarrow, isHidden: isNarrow && name !== current };
            const device = phones.find(({ owner }) => owner === name);
            return device ? (
              <PhonePanel key={device.title} playground={playground} device={device} {...tab} />
            ) : (
              <ServerPanel key={name} playground={playground} {...tab} />
            );
          })}
        </div>
      </main>
    </>
  );
}

render(<Page />, document.getElementById('playground') as HTMLElement);
