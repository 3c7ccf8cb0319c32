import type { ComponentChildren } from 'preact';
import type { Name } from './playground';

export type PanelName = Name | 'Server';

/** How a panel is shown: beside the others, or as one of several tabs. */
export interface TabProps {
  isTab: boolean;
  isHidden: boolean;
}

interface PanelProps extends TabProps {
  name: PanelName;
  title: string;
  status: ComponentChildren;
  children: ComponentChildren;
}

/** A phone, or the server. */
export function Panel({ name, title, status, isTab, isHidden, children }: PanelProps) {
  return (
    <section
      id={name}
      class={`panel ${name.toLowerCase()} ${isHidden ? 'away' : ''}`}
      role={isTab ? 'tabpanel' : undefined}
      aria-labelledby={`${name}-title`}
    >
      <div class="bar">
        <span class="avatar" aria-hidden="true">
          {name === 'Server' ? (
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <path d="M4 5h16v5.5H4zM4 13.5h16V19H4zM7.5 7.75h.01M7.5 16.25h.01" />
            </svg>
          ) : (
            name[0]
          )}
        </span>
        <div>
          <h2 id={`${name}-title`}>{title}</h2>
          {status}
        </div>
      </div>
      {children}
    </section>
  );
}
