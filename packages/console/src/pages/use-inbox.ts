import { useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useRef, useState } from 'react'
import { api } from '../api.ts'
import type { ListRequestsAnswer, RequestRow } from '../types.ts'
import { usePages } from '../ui/pages.ts'
import type { RowWindow } from '../ui/row-window.ts'
import { type Filters, filterNames, rowsAt, type View } from './inbox-asks.ts'

const none = { count: 0, high: 0 }

/**
 * The list as it was when it was first read, less what was answered since; how much came since, and how much a filter hides. `until`
 * is the one moment up to which all its pages are read: what came later is counted on the first page until the person asks for it.
 */
export function useInbox(view: View, q: string, filters: Filters) {
  const client = useQueryClient()
  const until = useRef(new Map<string, string>())
  const key = ['requests', view, q, ...filterNames.map((name) => filters[name])]
  const name = JSON.stringify(key)
  const list = usePages<RequestRow, ListRequestsAnswer>(key, async (range) => {
    const page = await api<ListRequestsAnswer>(rowsAt(view, q, filters, { ...range, until: until.current.get(name) }))
    if (!until.current.has(name)) until.current.set(name, page.now)
    return page
  })
  const now = list.first?.now
  const showArrived = useCallback(() => {
    if (now !== undefined) until.current.set(name, now) // when what arrived was counted
    void client.invalidateQueries({ queryKey: ['requests'] })
  }, [client, name, now])
  const arrived = view === 'answered' ? none : (list.first?.arrived ?? none)
  const isEmpty = list.first !== undefined && list.items.length === 0
  useEffect(() => {
    if (isEmpty && arrived.count > 0) showArrived()
  }, [isEmpty, arrived.count, showArrived])
  const [rows, setRows] = useState<RowWindow>({ first: 0, end: 0 })
  const { pages, onSeen, hasNextPage, isFetchingNextPage, fetchNextPage } = list
  const sizes = pages.map(({ length }) => length).join()
  // biome-ignore lint/correctness/useExhaustiveDependencies: `sizes` says when the pages changed
  useEffect(() => {
    let start = 0
    for (const [n, { length }] of pages.entries()) {
      onSeen(n, start < rows.end && start + length > rows.first)
      start += length
    }
    if (hasNextPage && !isFetchingNextPage && rows.end >= start) fetchNextPage()
  }, [rows, sizes, hasNextPage, isFetchingNextPage])
  return {
    ...list,
    arrived: isEmpty ? none : arrived,
    beyond: list.first?.beyond ?? none,
    showArrived,
    onRows: setRows,
  }
}
