import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, query } from '../api.ts'
import { Link } from '../router.tsx'
import type { ListRequestsAnswer, Me, RequestRow } from '../types.ts'
import { More, SearchBox, Tabs } from '../ui/lists.tsx'
import {
  AgentName,
  Empty,
  Failed,
  Loading,
  modeWords,
  OwnerName,
  RiskBadge,
  RiskReasons,
  StateBadge,
  taskWords,
} from '../ui/parts.tsx'
import { Ago, Countdown } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { LimitLine } from './limits.tsx'

const states = { pending: 'Waiting', answered: 'Answered' } as const
const mostLines = 3

/** The requests that wait for an answer, the riskiest and newest first, grouped by agent and task. */
export function InboxPage({ me }: { me: Me }) {
  const [state, setState] = useState<keyof typeof states>('pending')
  const [q, setQ] = useState('')
  const list = useInfiniteQuery({
    queryKey: ['requests', state, q],
    initialPageParam: '',
    queryFn: ({ pageParam }) => api<ListRequestsAnswer>(`/requests${query({ state, q, cursor: pageParam })}`),
    getNextPageParam: ({ next }) => next,
  })
  const rows = list.data?.pages.flatMap(({ items }) => items) ?? []
  return (
    <>
      <div className="page-head">
        <h1>Inbox</h1>
        <NotifyMe />
      </div>
      <div className="toolbar">
        <Tabs label="Which requests" options={states} value={state} onChange={setState} />
        <SearchBox label="Search agent, task or owner" onSearch={setQ} />
      </div>
      {list.isPending ? <Loading /> : null}
      {list.error ? <Failed error={list.error} /> : null}
      {list.data && rows.length === 0 ? (
        <Empty
          title={
            q !== ''
              ? 'Nothing matches.'
              : state === 'pending'
                ? 'No agent waits for you.'
                : 'Nothing has been answered yet.'
          }
        >
          {q === '' && state === 'pending' ? <p>New requests appear here automatically.</p> : null}
        </Empty>
      ) : null}
      {grouped(rows).map((group) => (
        <Group key={group[0]?.id} rows={group} more={list.hasNextPage} me={me} />
      ))}
      <More list={list} />
    </>
  )
}

/** By agent, instance and task, in the order in which each group's first request comes. */
function grouped(rows: RequestRow[]): RequestRow[][] {
  const groups = new Map<string, RequestRow[]>()
  for (const row of rows) {
    const key = row.from ? JSON.stringify([row.from.instance, row.task ?? row.subject]) : row.id
    const group = groups.get(key)
    if (group) group.push(row)
    else groups.set(key, [row])
  }
  return [...groups.values()]
}

/** `more`: some requests are not loaded, and may belong to this group. */
function Group({ rows, more, me }: { rows: RequestRow[]; more: boolean; me: Me }) {
  const [first] = rows
  if (first === undefined) return null
  return (
    <section className="group">
      <h2 className="group-head">
        {first.from ? <AgentName from={first.from} /> : 'Registry change'}
        <span className="group-note">
          {first.from ? (
            <>
              <Visible text={first.from.instance.slice(first.from.id.length + 1)} />, owned by{' '}
              <OwnerName from={first.from} />
            </>
          ) : (
            <>
              proposed by <Visible text={first.proposer ?? ''} />
            </>
          )}
          {rows.length > 1 ? (
            <>
              {' '}
              · {rows.length} {more ? 'or more ' : ''}requests for{' '}
              <Visible text={first.task === null ? first.subject : taskWords(first.task)} />
            </>
          ) : null}
        </span>
      </h2>
      <ul className="rows">
        {rows.map((row) => (
          <li key={row.id}>
            <RequestCard row={row} signed={row.signed_by.includes(me.me.id)} />
          </li>
        ))}
      </ul>
    </section>
  )
}

/** `signed`: the viewer has signed, and the request waits for another person. */
function RequestCard({ row, signed }: { row: RequestRow; signed: boolean }) {
  const { id, state, subject, risk, mode, limits } = row
  const waiting = state === 'pending'
  return (
    <article className={`row ${waiting ? `edge-${risk.level}` : ''}`} data-request={id}>
      <div className="row-badges">
        {waiting ? <RiskBadge risk={risk} /> : <StateBadge state={state} />}
        {mode ? <span className="badge">{modeWords[mode]}</span> : null}
        {row.kind === 'step_up' ? <span className="badge">Step-up</span> : null}
        {row.part ? (
          <span className="badge">
            Part {row.part.number} of {row.part.of}
          </span>
        ) : null}
        {row.reopened ? <span className="badge risk-medium">Asked again</span> : null}
        {waiting && signed ? <span className="badge">You signed</span> : null}
        <span className="row-time">
          {waiting ? (
            <>
              answer within <Countdown iso={row.expires_at} />
            </>
          ) : (
            <Ago iso={row.changed_at} />
          )}
        </span>
      </div>
      <h3 className="row-title">
        <Link to={`/console/requests/${id}`}>
          <Visible text={row.kind === 'access' ? taskWords(subject) : subject} />
        </Link>
      </h3>
      <BriefLines row={row} />
      {limits ? <LimitLine limits={limits} /> : null}
      {waiting ? <RiskReasons risk={risk} /> : null}
      {waiting && row.quorum !== null && row.quorum > 1 ? (
        <p className="row-note">
          Signed by {row.signed_by.length} of {row.quorum}
          {row.signed_by.length > 0 ? (
            <>
              : <Visible text={row.signed_by.join(', ')} />
            </>
          ) : null}
        </p>
      ) : null}
    </article>
  )
}

const isArgument = (line: string) => line.startsWith('/')

/** What the agent may do. The limits follow below it, and the rest is on the request's own page. */
function BriefLines({ row: { kind, lines, limits } }: { row: RequestRow }) {
  if (kind === 'registry' && lines.length === 1) return null
  // For a step-up, its arguments: the title has the rest.
  const said = limits ? lines.slice(0, limits.permissions) : kind === 'step_up' ? lines.filter(isArgument) : lines
  return (
    <ul className="lines brief">
      {said.slice(0, mostLines).map((line, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines have no identity, and never change place
        <li key={n}>
          <Visible text={line} />
        </li>
      ))}
      {said.length > mostLines ? <li className="more-lines">and {said.length - mostLines} more</li> : null}
    </ul>
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
