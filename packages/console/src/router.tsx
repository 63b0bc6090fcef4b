import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from 'react'

const listeners = new Set<() => void>()

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  addEventListener('popstate', listener)
  return () => {
    listeners.delete(listener)
    removeEventListener('popstate', listener)
  }
}

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

/** The query, without the `?`. */
export function useSearch(): string {
  return useSyncExternalStore(subscribe, () => location.search)
}

type LinkProps = AnchorHTMLAttributes<HTMLAnchorElement> & { to: string }

/** A link within the app; with a modifier key, the browser handles it. */
export function Link({ to, ...rest }: LinkProps) {
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
    go(to)
  }
  return <a href={to} onClick={follow} {...rest} />
}
