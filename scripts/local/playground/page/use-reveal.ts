import { useLayoutEffect, useRef } from 'preact/hooks';

/**
 * Keeps in sight what has changed last in a list, by scrolling the list alone.
 *
 * @param versions one for each entry, which tells it from the others and from what it was
 * @returns for the element that scrolls, whose only child holds the entries
 */
export function useReveal(versions: string[]) {
  const list = useRef<HTMLDivElement>(null);
  const known = useRef(new Set<string>());
  useLayoutEffect(() => {
    const changed = versions.findLastIndex((version) => !known.current.has(version));
    known.current = new Set(versions);
    const entry = list.current?.firstElementChild?.children[changed];
    if (!entry || !list.current) return;
    const margin = Number.parseFloat(getComputedStyle(list.current).paddingTop);
    const [outer, inner] = [list.current.getBoundingClientRect(), entry.getBoundingClientRect()];
    const [above, below] = [inner.top - margin - outer.top, inner.bottom + margin - outer.bottom];
    if (above < 0) list.current.scrollTop += above;
    else if (below > 0) list.current.scrollTop += Math.min(above, below);
  });
  return list;
}
