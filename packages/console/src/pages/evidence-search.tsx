import { useInfiniteQuery } from '@tanstack/react-query'
import { type FormEvent, type ReactNode, useState } from 'react'
import { api, query, serverNow } from '../api.ts'
import { go, Link, useSearch } from '../router.tsx'
import type { EventRow, Events } from '../types.ts'
import { More } from '../ui/lists.tsx'
import { number } from '../ui/numbers.ts'
import { Card, Empty, Failed, Loading, taskWords } from '../ui/parts.tsx'
import { When } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { ActivityCard } from './activity.tsx'
import { storyOf, toneOf, wordsOf } from './event-words.ts'
import { ReportDialog } from './report-dialog.tsx'

const fields = [
  ['id', 'Any id'],
  ['agent', 'Agent'],
  ['approver', 'Approver'],
  ['task', 'Task'],
  ['resource', 'Resource'],
  ['reason', 'Reason code'],
] as const

const kinds = [
  ['', 'Everything'],
  ['decision', 'Decisions'],
  ['decision.denied', 'Denials'],
  ['outcome', 'Outcomes'],
  ['request', 'Requests and answers'],
  ['grant', 'Grants'],
  ['credential', 'Credentials'],
  ['revocation', 'Revocations'],
] as const

type Filters = Record<string, string>

const againMs = 10_000
const hourMs = 3_600_000
/** How far back one press leads, in hours. */
const recent = [
  [1, 'Last hour'],
  [24, 'Last day'],
  [7 * 24, 'Last week'],
] as const

/** What happened: a chart of it, and a search over every event of the log. */
export function EvidencePage() {
  useTitle('Evidence')
  const search = useSearch()
  const [reporting, setReporting] = useState(false)
  const filters: Filters = Object.fromEntries(new URLSearchParams(search))
  const list = useInfiniteQuery({
    queryKey: ['evidence', search],
    initialPageParam: '',
    queryFn: ({ pageParam }) => api<Events>(`/evidence/events${query({ ...filters, cursor: pageParam })}`),
    getNextPageParam: ({ next }) => next,
    // Who reads further back, or up to a time, does not look at what comes in.
    refetchInterval: ({ state }) =>
      filters.to === undefined && (state.data?.pages.length ?? 0) <= 1 ? againMs : false,
  })
  const rows = list.data?.pages.flatMap(({ events }) => events) ?? []
  return (
    <>
      <div className="page-head">
        <h1>Evidence</h1>
        <span className="row-badges">
          {list.data ? <span className="hint">{number(list.data.pages[0]?.size ?? 0)} entries in the log</span> : null}
          <button type="button" onClick={() => setReporting(true)}>
            Make a report…
          </button>
        </span>
      </div>
      {reporting ? <ReportDialog onClose={() => setReporting(false)} /> : null}
      <ActivityCard agent={filters.agent} />
      <SearchForm key={search} filters={filters} />
      {list.isPending ? <Loading /> : null}
      {list.error ? <Failed error={list.error} /> : null}
      {list.data && rows.length === 0 ? (
        <Empty title={list.hasNextPage ? 'Nothing so far. There is more to search.' : 'Nothing matches.'} />
      ) : null}
      <ol className="events" aria-label="Events, newest first">
        {rows.map((row) => (
          <EventLine key={row.leaf_index} row={row} filters={filters} />
        ))}
      </ol>
      <More list={list} />
    </>
  )
}

function SearchForm({ filters }: { filters: Filters }) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const text = (name: string) => String(data.get(name) ?? '').trim()
    const moment = (name: string) => (text(name) === '' ? '' : new Date(text(name)).toISOString())
    const wanted = Object.fromEntries([...fields.map(([name]) => name), 'type'].map((name) => [name, text(name)]))
    go(searchAt({ ...wanted, from: moment('from'), to: moment('to') }))
  }
  return (
    <Card>
      <search>
        <form className="filters" onSubmit={submit}>
          {fields.map(([name, label]) => (
            <label key={name} className="field">
              <span>{label}</span>
              <input type="text" name={name} defaultValue={filters[name]} maxLength={2100} autoComplete="off" />
            </label>
          ))}
          <label className="field">
            <span>What</span>
            <select name="type" defaultValue={filters.type}>
              {kinds.map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </label>
          <label className="field">
            <span>From</span>
            <input type="datetime-local" name="from" defaultValue={localTime(filters.from)} />
          </label>
          <label className="field">
            <span>To</span>
            <input type="datetime-local" name="to" defaultValue={localTime(filters.to)} />
          </label>
          <div className="actions">
            <button type="submit" className="primary">
              Search
            </button>
            <Link to="/console/evidence">Clear</Link>
            {recent.map(([hours, words]) => (
              <button
                key={words}
                type="button"
                className="quiet"
                onClick={() =>
                  go(searchAt({ ...filters, from: new Date(serverNow() - hours * hourMs).toISOString(), to: '' }))
                }
              >
                {words}
              </button>
            ))}
          </div>
        </form>
      </search>
    </Card>
  )
}

const searchAt = (filters: Filters): string => `/console/evidence${query(filters)}`

/** A value of a row, which narrows the search to it. */
function Facet({
  filters,
  name,
  value,
  children,
}: {
  filters: Filters
  name: string
  value: string
  children: ReactNode
}) {
  return (
    <Link className="facet" title="Only these" to={searchAt({ ...filters, [name]: value })}>
      {children}
    </Link>
  )
}

/** In the form of the browser's own field: local time without an offset. */
function localTime(iso: string | undefined): string | undefined {
  const at = new Date(iso ?? '')
  if (Number.isNaN(at.getTime())) return undefined
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

function EventLine({ row, filters }: { row: EventRow; filters: Filters }) {
  const { type, time, agent, task, approvers, resource, reason, status, void: isVoid } = row
  return (
    <li className={`event ${toneOf(isVoid ? '' : type)}`}>
      <When iso={time} />
      <Link to={storyOf(row)} className="event-what">
        {wordsOf(type)}
      </Link>
      <span className="event-about">
        {resource !== undefined ? (
          <Facet filters={filters} name="resource" value={resource}>
            <Visible text={resource} />
          </Facet>
        ) : null}
        {isVoid ? <NoEffect /> : null}
        {reason !== undefined ? (
          <Facet filters={filters} name="reason" value={reason}>
            <Code text={reason} />
          </Facet>
        ) : null}
        {status !== undefined ? <Code text={status} /> : null}
        {task !== undefined ? (
          <Facet filters={filters} name="task" value={task}>
            <Visible text={taskWords(task)} />
          </Facet>
        ) : null}
        {resource === undefined && task === undefined ? <Visible text={row.subject} /> : null}
        {approvers !== undefined ? <Visible text={`by ${approvers.join(', ')}`} /> : null}
      </span>
      <span className="event-agent id">
        {agent !== undefined ? (
          <Facet filters={filters} name="agent" value={agent}>
            <Visible text={shortAgent(agent)} />
          </Facet>
        ) : null}
      </span>
    </li>
  )
}

function Code({ text }: { text: string }) {
  return (
    <code>
      <Visible text={text} />
    </code>
  )
}

/** Several decision points may answer for one task at once; the log's order decides whose answer counts. */
export const NoEffect = () => (
  <span className="badge" title="Another one was first: this answer was given to no caller, and has no effect.">
    No effect
  </span>
)

/** `<name>/<instance>`: the trust domain is the same everywhere on the page. */
export function shortAgent(spiffeId: string): string {
  return spiffeId.split('/').slice(-2).join('/')
}
