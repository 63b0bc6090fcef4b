import { type QueryClient, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { query, tellSignedOut } from './api.ts'

const depends: Record<string, string[]> = {
  requests: ['requests', 'request', 'me', 'agents'],
  grants: ['grants', 'request', 'agents', 'me'],
  registry: ['me', 'agents', 'registry', 'rules', 'people', 'requests', 'request'],
}

/** A statement must not change while a person is about to sign it. A check of policies and a replay are about a text, and cost the server much. */
const asked: readonly unknown[] = ['statement', 'weighed', 'policies']

/** Refetches everything that is shown, except what a person asked about one text. */
export function refresh(client: QueryClient): Promise<void> {
  return client.invalidateQueries({ predicate: ({ queryKey }) => !asked.includes(queryKey[0]) })
}

/** The data that changes most often is refetched once a second at most. */
const calmMs = 1000

/** The delay before a refused event source is opened again. */
const reopenMs = 5000

/** The polling interval while there is no event source. */
const pollMs = 15_000

/**
 * Refetches what is shown when the server says that it changed, or at intervals where the server cannot say. `since`: the server's time
 * before anything else was fetched. Returns whether the event source is open.
 */
export function useLive(since: string): boolean {
  const client = useQueryClient()
  const [listening, setListening] = useState(false)
  const [attempt, setAttempt] = useState(0)
  const first = useRef(since)
  useEffect(() => {
    let again: ReturnType<typeof setTimeout> | undefined
    // The server begins with what changed since then. A browser that reconnects by itself asks the same.
    const source = new EventSource(`/console/api/events${query(attempt === 0 ? { since: first.current } : {})}`)
    const due = new Set<string>()
    let timer: ReturnType<typeof setTimeout> | undefined
    let last = 0
    const ask = () => {
      timer = undefined
      last = Date.now()
      for (const key of due) void client.invalidateQueries({ queryKey: [key] })
      due.clear()
    }
    source.addEventListener('open', () => {
      setListening(true)
      if (attempt > 0) void refresh(client) // what changed while there was no event source
    })
    source.addEventListener('error', () => {
      setListening(false)
      if (source.readyState !== EventSource.CLOSED) return
      // Browsers do not reopen a source that was refused. The session may be over, which the next request will show. Or
      // a proxy answered for a server that was away.
      void client.invalidateQueries({ queryKey: ['me'] })
      again = setTimeout(() => setAttempt((n) => n + 1), reopenMs)
    })
    source.addEventListener('ended', tellSignedOut)
    source.addEventListener('change', ({ data }) => {
      const { changed, arrived } = JSON.parse(data) as { changed: string[]; arrived: number }
      for (const subject of changed) for (const key of depends[subject] ?? []) due.add(key)
      timer ??= setTimeout(ask, Math.max(0, last + calmMs - Date.now()))
      if (arrived > 0) notify(arrived)
    })
    return () => {
      clearTimeout(timer)
      clearTimeout(again)
      source.close()
    }
  }, [client, attempt])
  useEffect(() => {
    if (listening) return
    const timer = setInterval(() => void refresh(client), pollMs)
    return () => clearInterval(timer)
  }, [client, listening])
  return listening
}

/** The notification says that a request waits, and nothing of its content: notifications appear on locked screens. */
function notify(count: number): void {
  if (!('Notification' in window) || Notification.permission !== 'granted' || document.hasFocus()) return
  const text = count === 1 ? 'A request waits for an answer.' : `${count} requests wait for an answer.`
  const notification = new Notification('Bailiwick', { body: text, tag: 'bailiwick-inbox' })
  notification.onclick = () => {
    window.focus()
    notification.close()
  }
}
