import { useQueryClient } from '@tanstack/react-query'
import { type ReactNode, useCallback, useEffect, useRef, useState } from 'react'
import { api, query } from '../api.ts'
import { go, useParameters } from '../router.tsx'
import type { ListRequestsAnswer, Me, RequestRow } from '../types.ts'
import { useKeys } from '../ui/keys.ts'
import { SearchBox, Tabs } from '../ui/lists.tsx'
import { useMedia } from '../ui/media.ts'
import { number } from '../ui/numbers.ts'
import { usePages } from '../ui/pages.ts'
import { Empty, Failed, Loading } from '../ui/parts.tsx'
import { useRoom } from '../ui/room.ts'
import type { RowWindow } from '../ui/row-window.ts'
import { useTitle } from '../ui/title.ts'
import { VirtualList } from '../ui/virtual-list.tsx'
import { setQueue } from './answer-queue.ts'
import { DenyManyDialog } from './deny-many-dialog.tsx'
import {
  arrivedWords,
  type Choice,
  choicesIn,
  type Filters,
  filterNames,
  viewOf,
  views,
  viewTitles,
} from './inbox-filters.ts'
import { RequestLine } from './inbox-line.tsx'
import { KeysDialog } from './keys-dialog.tsx'
import { RequestPage } from './request.tsx'

const wide = '(min-width: 1200px)'
/** Pixels; `.line` in inbox.css fits into them. */
const rowHeights = { oneLine: 46, twoLines: 64 }

/**
 * The requests that wait, the riskiest and newest first, one line each. On a wide screen, the selected one is beside them. What arrives
 * while the list is read waits until the person asks for it, so that no row moves under their hand.
 */
export function InboxPage({ me }: { me: Me }) {
  useTitle('Inbox')
  const [{ show, q = '', at, ...filters }, change] = useParameters('show', 'q', 'at', ...filterNames)
  const view = viewOf(show)
  const list = useInbox(view, q, filters)
  const rows = list.items
  const isSplit = useMedia(wide)
  const isNarrow = useMedia('(max-width: 1000px)')
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set())
  const [open, setOpen] = useState<'keys' | 'deny'>()
  const place = usePlace(rows, at)
  const selected = rows[place]
  const tickedRows = rows.filter(({ id }) => ticked.has(id))
  const select = (row: RequestRow | undefined) => change({ at: row?.id })
  const tick = ({ id }: RequestRow) =>
    setTicked((now) => new Set(now.has(id) ? [...now].filter((each) => each !== id) : [...now, id]))
  useEffect(() => setQueue(rows.map(({ id }) => id)), [rows])
  useKeys({
    j: () => select(rows[Math.min(place + 1, rows.length - 1)]),
    k: () => select(rows[Math.max(place - 1, 0)]),
    Enter: selected ? () => go(`/console/requests/${selected.id}`) : undefined,
    x: selected && view !== 'answered' ? () => tick(selected) : undefined,
    D: tickedRows.length > 0 ? () => setOpen('deny') : undefined,
    r: list.arrived.count > 0 ? list.showArrived : undefined,
    '/': () => document.querySelector<HTMLInputElement>('input[type="search"]')?.focus(),
    '?': () => setOpen('keys'),
    // Beside the list, the request has these keys; else they lead to its page.
    ...(isSplit || !selected ? {} : { a: () => go(`/console/requests/${selected.id}`) }),
  })
  const isTight = isNarrow || (isSplit && selected !== undefined)
  const isFiltered = q !== '' || Object.keys(filters).length > 0
  return (
    <div className={isSplit && selected ? 'triage split' : 'triage'}>
      <div className="triage-list">
        <div className="page-head">
          <h1>Inbox</h1>
          <span className="actions">
            <NotifyMe />
            <button type="button" className="quiet keys" onClick={() => setOpen('keys')}>
              Keys <kbd>?</kbd>
            </button>
          </span>
        </div>
        <div className="toolbar">
          <Tabs
            label="Which requests"
            options={viewTitles}
            value={view}
            onChange={(show) => change({ show, at: undefined })}
          />
          <SearchBox label="Search agent, owner, task or action" value={q} onSearch={(q) => change({ q })} />
          <FilterBar filters={filters} choices={choicesIn(rows, filters)} onChange={change} />
        </div>
        {list.arrived.count > 0 ? (
          <button type="button" className="wide arrived" onClick={list.showArrived}>
            {arrivedWords(list.arrived)}
          </button>
        ) : null}
        {tickedRows.length > 0 ? (
          <p className="ticked" role="status">
            {tickedRows.length} selected
            <button type="button" className="danger-quiet" onClick={() => setOpen('deny')}>
              Deny…
            </button>
            <button type="button" className="quiet" onClick={() => setTicked(new Set())}>
              Clear
            </button>
          </p>
        ) : null}
        {list.isPending ? <Loading /> : null}
        {list.error ? <Failed error={list.error} /> : null}
        {list.first && rows.length === 0 ? (
          <Empty title={isFiltered ? 'Nothing matches.' : views[view].empty}>
            {view !== 'answered' && !isFiltered ? <p>New requests appear here automatically.</p> : null}
            {view === 'mine' && !isFiltered && me.pending_in_all > me.pending ? (
              <button type="button" onClick={() => change({ show: 'all' })}>
                {number(me.pending_in_all - me.pending)} wait for other people
              </button>
            ) : null}
          </Empty>
        ) : null}
        {rows.length > 0 ? (
          <VirtualList
            items={rows}
            rowHeight={isTight ? rowHeights.twoLines : rowHeights.oneLine}
            isTight={isTight}
            label={viewTitles[view]}
            selected={place}
            onRows={list.onRows}
          >
            {(row) => (
              <RequestLine
                row={row}
                me={me.me.id}
                isSelected={row === selected}
                isTicked={ticked.has(row.id)}
                onTick={() => tick(row)}
                onOpen={isSplit ? () => select(row) : undefined}
              />
            )}
          </VirtualList>
        ) : null}
      </div>
      {isSplit && selected ? (
        <Pane>
          <RequestPage
            key={selected.id}
            id={selected.id}
            me={me}
            beside={{ onAnswered: () => select(rows[place + 1] ?? rows[place - 1]) }}
          />
        </Pane>
      ) : null}
      {open === 'keys' ? <KeysDialog onClose={() => setOpen(undefined)} /> : null}
      {open === 'deny' ? (
        <DenyManyDialog rows={tickedRows} onDone={() => setTicked(new Set())} onClose={() => setOpen(undefined)} />
      ) : null}
    </div>
  )
}

/** What scrolls beside the list. */
function Pane({ children }: { children: ReactNode }) {
  const [, setPane, room] = useRoom<HTMLElement>()
  return (
    <section className="triage-pane" aria-label="The selected request" ref={setPane} style={{ maxHeight: room }}>
      {children}
    </section>
  )
}

/** The place of the selected row. If it is no longer in the list, the row that took its place; at first, the first. */
function usePlace(rows: readonly RequestRow[], at: string | undefined): number {
  const last = useRef(0)
  const found = rows.findIndex(({ id }) => id === at)
  const place = found >= 0 ? found : Math.min(last.current, rows.length - 1)
  useEffect(() => {
    last.current = Math.max(0, place)
  }, [place])
  return place
}

const noArrivals = { count: 0, high: 0 }

/** The list as it was when it was first read, less what was answered since; and how much came since. */
function useInbox(view: keyof typeof views, q: string, filters: Filters) {
  const client = useQueryClient()
  const until = useRef(new Map<string, string>())
  const key = ['requests', view, q, ...filterNames.map((name) => filters[name])]
  const name = JSON.stringify(key)
  const list = usePages<RequestRow, ListRequestsAnswer>(key, async (cursor) => {
    const asks = { ...views[view].asks, ...filters, q, cursor }
    const page = await api<ListRequestsAnswer>(`/requests${query({ ...asks, until: until.current.get(name) })}`)
    if (!until.current.has(name)) until.current.set(name, page.now)
    return page
  })
  const showArrived = useCallback(() => {
    until.current.delete(name)
    void client.invalidateQueries({ queryKey: ['requests'] })
  }, [client, name])
  const arrived = view === 'answered' ? noArrivals : (list.first?.arrived ?? noArrivals)
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
  return { ...list, arrived: isEmpty ? noArrivals : arrived, showArrived, onRows: setRows }
}

const filterLabels: Record<keyof Filters, string> = {
  risk: 'Any risk',
  mode: 'Any mode',
  agent: 'Any agent',
  rule: 'Any rule',
}

function FilterBar({
  filters,
  choices,
  onChange,
}: {
  filters: Filters
  choices: Record<keyof Filters, Choice[]>
  onChange(changed: Partial<Record<keyof Filters, string>>): void
}) {
  return (
    <span className="filter-bar">
      {filterNames.map((name) => (
        <select
          key={name}
          aria-label={filterLabels[name].replace('Any ', 'Filter by ')}
          value={filters[name] ?? ''}
          onChange={({ currentTarget: { value } }) => onChange({ [name]: value })}
        >
          <option value="">{filterLabels[name]}</option>
          {choices[name].map(({ value, text }) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      ))}
    </span>
  )
}

/** The browser asks for permission only after a click, so people who do not want notifications are not asked. */
function NotifyMe() {
  const [permission, setPermission] = useState(() => ('Notification' in window ? Notification.permission : 'denied'))
  if (permission !== 'default') return null
  const ask = async () => setPermission(await Notification.requestPermission())
  return (
    <button type="button" className="quiet" onClick={ask}>
      Notify me while this is open
    </button>
  )
}
