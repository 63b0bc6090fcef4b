import { useQueries } from '@tanstack/react-query'
import { useCallback, useEffect, useState } from 'react'

interface Page<T> {
  items: T[]
  next?: string | undefined
}

export interface Paged<T, P extends Page<T>> {
  /** The items of each page, each item once: a page reaches into the next when something before it ended. */
  pages: T[][]
  items: T[]
  /** The first page as it was answered. */
  first: P | undefined
  isPending: boolean
  error: Error | null
  hasNextPage: boolean
  isFetchingNextPage: boolean
  fetchNextPage(): void
  /** Says which pages can be seen. */
  onSeen(page: number, isSeen: boolean): void
}

/**
 * A list that comes in pages, each fetched by its own cursor. When something changes, only the first page and those that can be seen are
 * fetched again; each other page when it comes into sight.
 */
export function usePages<T extends { id: string }, P extends Page<T>>(
  key: readonly (string | undefined)[],
  fetchPage: (cursor: string) => Promise<P>,
): Paged<T, P> {
  const name = JSON.stringify(key)
  const [state, setState] = useState({ name, cursors: [''], seen: [0] })
  const { cursors, seen } = state.name === name ? state : { cursors: [''], seen: [0] }
  const found = useQueries({
    queries: cursors.map((cursor, n) => ({
      queryKey: [...key, 'page', cursor],
      queryFn: () => fetchPage(cursor),
      enabled: n === 0 || n === cursors.length - 1 || seen.includes(n),
    })),
  })
  const answers = found.flatMap(({ data }) => (data === undefined ? [] : [data]))
  const next = answers.length === cursors.length ? answers.at(-1)?.next : undefined
  const fetchNextPage = () => {
    if (next !== undefined && !cursors.includes(next)) setState({ name, cursors: [...cursors, next], seen })
  }
  const onSeen = useCallback((page: number, isSeen: boolean) => {
    setState((now) => {
      if (now.seen.includes(page) === isSeen) return now
      return { ...now, seen: isSeen ? [...now.seen, page] : now.seen.filter((each) => each !== page) }
    })
  }, [])
  const shown = new Set<string>()
  const isNew = ({ id }: T) => shown.size !== shown.add(id).size
  const pages = answers.map(({ items }) => items.filter(isNew))
  return {
    pages,
    items: pages.flat(),
    first: found[0]?.data,
    isPending: pages.length === 0 && found.some(({ isPending }) => isPending),
    error: found.find(({ error }) => error !== null)?.error ?? null,
    hasNextPage: next !== undefined,
    isFetchingNextPage: answers.length < cursors.length,
    fetchNextPage,
    onSeen,
  }
}

/** Tells `onSeen` while this page's element is near the screen. */
export function useSight(page: number, onSeen: (page: number, isSeen: boolean) => void) {
  const [element, setElement] = useState<Element | null>(null)
  useEffect(() => {
    if (element === null) return
    const observer = new IntersectionObserver(([entry]) => onSeen(page, entry?.isIntersecting === true), {
      rootMargin: '50%',
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      onSeen(page, false)
    }
  }, [element, page, onSeen])
  return setElement
}
