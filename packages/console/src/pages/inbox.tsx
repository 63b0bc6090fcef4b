import { type ReactNode, Suspense, useCallback, useEffect, useRef, useState } from 'react'
import { go, useParameters } from '../router.tsx'
import type { Me, RequestRow } from '../types.ts'
import { useKeys } from '../ui/keys.ts'
import { SearchBox, Tabs } from '../ui/lists.tsx'
import { useMedia } from '../ui/media.ts'
import { number } from '../ui/numbers.ts'
import { Empty, Failed, Loading } from '../ui/parts.tsx'
import { useRoom } from '../ui/room.ts'
import { useTitle } from '../ui/title.ts'
import { VirtualList } from '../ui/virtual-list.tsx'
import { setQueue } from './answer-queue.ts'
import { DenyManyDialog } from './deny-many-dialog.tsx'
import { type Filters, filterNames, viewOf, views, viewTitles } from './inbox-asks.ts'
import { arrivedWords, beyondWords, type Choice, choicesIn } from './inbox-filters.ts'
import { RequestLine } from './inbox-line.tsx'
import { KeysDialog } from './keys-dialog.tsx'
import { later } from './later.ts'
import { useInbox } from './use-inbox.ts'

const wide = '(min-width: 1200px)'
/** Pixels; `.line` in inbox.css fits into them. */
const rowHeights = { oneLine: 46, twoLines: 64 }

/**
 * The requests that wait, the riskiest and newest first, one line each. On a wide screen, the selected one is beside them. What arrives
 * while the list is read waits until the person asks for it, so that no row moves under their hand. The request that is shown stays until
 * the person moves on, even if a colleague answered it: otherwise a key that is meant for it would act on another.
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
  const [leftId, setLeftId] = useState<string>()
  const shownId = at ?? rows.find(({ id }) => id !== leftId)?.id
  useEffect(() => {
    if (at === undefined && shownId !== undefined) change({ at: shownId })
  })
  const { row: selected, next, before } = useNeighbours(rows, shownId)
  const tickedRows = rows.filter(({ id }) => ticked.has(id))
  const select = (row: RequestRow | undefined) => {
    if (row !== undefined) change({ at: row.id })
  }
  const leave = useLatest(() => {
    setLeftId(shownId)
    change({ at: (next ?? before)?.id })
  })
  const tick = ({ id }: RequestRow) =>
    setTicked((now) => new Set(now.has(id) ? [...now].filter((each) => each !== id) : [...now, id]))
  const isBeside = isSplit && shownId !== undefined
  const openedId = isBeside ? shownId : selected?.id
  const tickIf = (row: RequestRow | undefined) => {
    if (row !== undefined) tick(row)
  }
  useEffect(() => setQueue(rows.map(({ id }) => id)), [rows])
  useKeys({
    j: () => select(next),
    k: () => select(before),
    Enter: openedId ? () => go(`/console/requests/${openedId}`) : undefined,
    x: view === 'answered' ? undefined : () => tickIf(focusedIn(rows) ?? selected),
    D: tickedRows.length > 0 ? () => setOpen('deny') : undefined,
    r: list.arrived.count > 0 ? list.showArrived : undefined,
    '/': () => document.querySelector<HTMLInputElement>('input[type="search"]')?.focus(),
    '?': () => setOpen('keys'),
    // Beside the list, the request has these keys; else they lead to its page.
    ...(isSplit || !openedId ? {} : { a: () => go(`/console/requests/${openedId}`) }),
  })
  const isTight = isNarrow || isBeside
  const filter = (changed: Partial<Record<'q' | keyof Filters, string>>) => change({ ...changed, at: undefined })
  const isFiltered = q !== '' || Object.keys(filters).length > 0
  return (
    <div className={isBeside ? 'triage split' : 'triage'}>
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
          <SearchBox label="Search agent, owner, task or action" value={q} onSearch={(q) => filter({ q })} />
          <FilterBar filters={filters} choices={choicesIn(rows, filters)} onChange={filter} />
        </div>
        {view !== 'answered' && list.beyond.count > 0 ? (
          <p className="note beyond" role="status">
            {beyondWords(list.beyond, view)}
            <button type="button" onClick={() => filter({ q: '', risk: '', mode: '', agent: '', rule: '' })}>
              Show all
            </button>
          </p>
        ) : null}
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
            selected={selected ? rows.indexOf(selected) : -1}
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
      {isBeside ? (
        <Pane>
          <Suspense fallback={<Loading />}>
            <later.RequestPage
              key={shownId}
              id={shownId}
              me={me}
              beside={{ onAnswered: leave, onNext: selected || !next ? undefined : () => select(next) }}
            />
          </Suspense>
        </Pane>
      ) : null}
      {open === 'keys' ? <KeysDialog onClose={() => setOpen(undefined)} /> : null}
      {open === 'deny' ? (
        <DenyManyDialog rows={tickedRows} onDone={() => setTicked(new Set())} onClose={() => setOpen(undefined)} />
      ) : null}
    </div>
  )
}

/** The row that has the keyboard's focus. */
function focusedIn(rows: readonly RequestRow[]): RequestRow | undefined {
  const line = document.activeElement?.closest<HTMLElement>('[data-request]')
  return rows.find(({ id }) => id === line?.dataset.request)
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

/** Calls the function of the newest render: an answer takes time, and the list may change meanwhile. */
function useLatest(act: () => void): () => void {
  const latest = useRef(act)
  useEffect(() => {
    latest.current = act
  })
  return useCallback(() => latest.current(), [])
}

/** The row of the request that is shown, and those beside it. A request that left the list has the neighbours that its place has now. */
function useNeighbours(rows: readonly RequestRow[], id: string | undefined) {
  const last = useRef(0)
  const found = rows.findIndex((row) => row.id === id)
  useEffect(() => {
    if (found >= 0) last.current = found
  }, [found])
  const place = found >= 0 ? found : last.current
  return {
    row: rows[found],
    next: rows[found >= 0 ? place + 1 : Math.min(place, rows.length - 1)],
    before: rows[place - 1],
  }
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
