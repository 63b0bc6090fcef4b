import { type AnchorHTMLAttributes, type MouseEvent, useEffect, useSyncExternalStore } from 'react'

const listeners = new Set<() => void>()

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  addEventListener('popstate', listener)
  return () => {
    listeners.delete(listener)
    removeEventListener('popstate', listener)
  }
}

/** The last query of each page, so that a link back to a list finds it as it was left. */
const left = new Map<string, string>()

/** Changes the address without a new place in the history, as a search does with each word. */
export function replace(path: string): void {
  if (path === location.pathname + location.search) return
  history.replaceState(null, '', path)
  for (const listener of listeners) listener()
}

/** A list's address with the search and the filters that it was left with. */
export const backTo = (path: string): string => path + (left.get(path) ?? '')

export function go(path: string): void {
  if (path === location.pathname + location.search) return
  history.pushState(null, '', path)
  for (const listener of listeners) listener()
  scrollTo(0, 0)
}

/** The path below `/console`, split: `['requests', 'req_…']`. */
export function useRoute(): string[] {
  const path = useSyncExternalStore(subscribe, () => location.pathname)
  return path.split('/').filter((part) => part !== '' && part !== 'console')
}

/** The query, with its `?`. */
export function useSearch(): string {
  return useSyncExternalStore(subscribe, () => location.search)
}

/** The members of the query, and a way to change some of them: the address says what a page shows, so that Back and a link find it again. */
export function useParameters<Name extends string>(
  ...names: Name[]
): [Partial<Record<Name, string>>, (changed: Partial<Record<Name, string | undefined>>) => void] {
  const search = useSearch()
  const path = useSyncExternalStore(subscribe, () => location.pathname)
  useEffect(() => {
    left.set(path, search)
  }, [path, search])
  const given = new URLSearchParams(search)
  const values = Object.fromEntries(names.flatMap((name) => (given.get(name) ? [[name, given.get(name)]] : [])))
  const change = (changed: Partial<Record<Name, string | undefined>>) => {
    const next = new URLSearchParams(location.search)
    for (const [name, value] of Object.entries<string | undefined>(changed))
      if (value === undefined || value === '') next.delete(name)
      else next.set(name, value)
    replace(`${location.pathname}${next.size === 0 ? '' : `?${next}`}`)
  }
  return [values as Partial<Record<Name, string>>, change]
}

type LinkProps = AnchorHTMLAttributes<HTMLAnchorElement> & {
  to: string
  /** Instead of going there. */
  onFollow?: (() => void) | undefined
}

/** A link within the app; with a modifier key, the browser handles it. */
export function Link({ to, onFollow = () => go(to), ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return
    event.preventDefault()
    onFollow()
  }
  return <a href={to} onClick={follow} {...rest} />
}
