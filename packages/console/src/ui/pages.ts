import { useQueries } from '@tanstack/react-query'
import { useCallback, useEffect, useState } from 'react'
import { leaveList, leftList } from './left-lists.ts'
import { gapIn } from './page-gap.ts'

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

/** The part of a list that one page holds. */
export interface Range {
  cursor: string
  /** Where the next page begins; undefined for the last page. */
  through: string | undefined
}

/**
 * A list that comes in pages, each fetched by its own cursor, as far as the next page begins. When something changes, only the first page
 * and those that can be seen are fetched again; each other page when it comes into sight. A page that no longer fits between the two
 * gets a new page after it. A list that was left has the pages that it had then.
 */
export function usePages<T extends { id: string }, P extends Page<T>>(
  key: readonly (string | undefined)[],
  fetchPage: (range: Range) => Promise<P>,
): Paged<T, P> {
  const name = JSON.stringify(key)
  const atFirst = () => ({ name, cursors: [...(leftList(name).cursors ?? [''])], seen: [0] })
  const [state, setState] = useState(atFirst)
  const { cursors, seen } = state.name === name ? state : atFirst()
  const found = useQueries({
    queries: cursors.map((cursor, n) => ({
      queryKey: [...key, 'page', cursor],
      queryFn: () => fetchPage({ cursor, through: cursors[n + 1] }),
      enabled: ({ state }: { state: { data: unknown } }) =>
        n === 0 || n === cursors.length - 1 || seen.includes(n) || state.data === undefined,
    })),
  })
  const isWhole = found.every(({ data }) => data !== undefined)
  const next = isWhole ? found.at(-1)?.data?.next : undefined
  const { page, begins } = gapIn(
    cursors,
    found.map(({ data }) => data?.next),
  ) ?? { page: 0, begins: undefined }
  useEffect(() => {
    if (begins === undefined) return
    const further = cursors.toSpliced(page, 0, begins)
    leaveList(name, { cursors: further })
    setState((now) => ({
      name,
      cursors: further,
      seen: now.name === name ? now.seen.map((each) => (each < page ? each : each + 1)) : [0],
    }))
  }, [name, page, begins, cursors])
  const fetchNextPage = () => {
    if (next === undefined || cursors.includes(next)) return
    const further = [...cursors, next]
    leaveList(name, { cursors: further })
    setState({ name, cursors: further, seen })
  }
  const onSeen = useCallback((page: number, isSeen: boolean) => {
    setState((now) => {
      if (now.seen.includes(page) === isSeen) return now
      return { ...now, seen: isSeen ? [...now.seen, page] : now.seen.filter((each) => each !== page) }
    })
  }, [])
  const shown = new Set<string>()
  const isNew = ({ id }: T) => shown.size !== shown.add(id).size
  const pages = found.map(({ data }) => data?.items.filter(isNew) ?? [])
  return {
    pages,
    items: pages.flat(),
    first: found[0]?.data,
    isPending: found.every(({ data }) => data === undefined) && found.some(({ isPending }) => isPending),
    error: found.find(({ error }) => error !== null)?.error ?? null,
    hasNextPage: next !== undefined,
    isFetchingNextPage: !isWhole,
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
