import { useEffect, useReducer, useRef } from 'preact/hooks';
import { focus } from './focus';
import type { PanelName } from './panel';

interface TabsProps {
  names: PanelName[];
  current: PanelName;
  marked: Set<PanelName>;
  show: (name: PanelName) => void;
}

/** Arrow keys, Home and End move between the tabs, as the ARIA Authoring Practices have it. */
export function Tabs({ names, current, marked, show }: TabsProps) {
  const move = (event: KeyboardEvent) => {
    const at = names.indexOf(current);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: -1 }[event.key];
    const name = to === undefined ? undefined : names.at(to % names.length);
    if (!name) return;
    event.preventDefault();
    show(name);
    focus(`${name}-tab`);
  };
  return (
    <div class="tabs" role="tablist" aria-label="Phones and server" onKeyDown={move}>
      {names.map((name) => (
        <button
          key={name}
          id={`${name}-tab`}
          type="button"
          role="tab"
          aria-selected={name === current}
          aria-controls={name}
          tabIndex={name === current ? 0 : -1}
          onClick={() => show(name)}
        >
          {name}
          {marked.has(name) && (
            <span class="mark">
              <span class="hidden">, something new</span>
            </span>
          )}
        </button>
      ))}
    </div>
  );
}

/**
 * Whether the window is narrower than so much.
 *
 * @param width a length of CSS
 */
export function useNarrow(width: string): boolean {
  const query = matchMedia(`(width < ${width})`);
  const [, update] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    query.addEventListener('change', update);
    return () => query.removeEventListener('change', update);
  }, [width]);
  return query.matches;
}

/**
 * The panels in which something has changed since they were last in view.
 *
 * @param context changes of what a panel shows from one context to another do not count
 * @param versions what each panel shows
 */
export function useMarks(
  context: string,
  versions: Map<PanelName, string>,
  inView: PanelName[],
): Set<PanelName> {
  const seen = useRef(new Map<string, string>());
  useEffect(() => {
    for (const name of inView) seen.current.set(context + name, versions.get(name) ?? '');
  });
  const marked = [...versions].filter(
    ([name, version]) => !inView.includes(name) && version !== (seen.current.get(context + name) ?? ''),
  );
  return new Set(marked.map(([name]) => name));
}
