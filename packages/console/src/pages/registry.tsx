import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, query } from '../api.ts'
import { Link } from '../router.tsx'
import type { ListEntitiesAnswer, ListRequestsAnswer, RequestRow } from '../types.ts'
import { More, SearchBox, Tabs } from '../ui/lists.tsx'
import { Empty, Failed, Lines, Loading, RiskBadge, StateBadge } from '../ui/parts.tsx'
import { Ago, Countdown } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'

const states = { pending: 'Proposed', answered: 'Answered' } as const

/** The changes of the registry, which people sign as they sign grants, and its entries. */
export function RegistryPage() {
  const [state, setState] = useState<keyof typeof states>('pending')
  const changes = useInfiniteQuery({
    queryKey: ['requests', 'registry', state],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      api<ListRequestsAnswer>(`/requests${query({ state, kind: 'registry', cursor: pageParam })}`),
    getNextPageParam: ({ next }) => next,
  })
  const rows = changes.data?.pages.flatMap(({ items }) => items) ?? []
  return (
    <>
      <div className="page-head">
        <h1>Registry</h1>
        <p className="hint">Every change is signed with a passkey, and every reader checks the signature.</p>
      </div>
      <div className="toolbar">
        <Tabs label="Which changes" options={states} value={state} onChange={setState} />
      </div>
      {changes.isPending ? <Loading /> : null}
      {changes.error ? <Failed error={changes.error} /> : null}
      {changes.data && rows.length === 0 ? (
        <Empty title={state === 'pending' ? 'No change is proposed.' : 'No change was answered lately.'}>
          <p>
            Propose with <code>bailiwick registry apply FILE</code>.
          </p>
        </Empty>
      ) : null}
      <ul className="rows">
        {rows.map((row) => (
          <li key={row.id}>
            <ChangeRow row={row} />
          </li>
        ))}
      </ul>
      <More list={changes} />
      <Entries />
    </>
  )
}

function ChangeRow({ row }: { row: RequestRow }) {
  const waiting = row.state === 'pending'
  return (
    <article className={`row ${waiting ? `edge-${row.risk.level}` : ''}`} data-request={row.id}>
      <div className="row-badges">
        {waiting ? <RiskBadge risk={row.risk} /> : <StateBadge state={row.state} />}
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
        <Link to={`/console/requests/${row.id}`}>
          <Visible text={row.subject} />
        </Link>
        <span className="group-note">
          proposed by <Visible text={row.proposer ?? ''} />
        </span>
      </h3>
      {row.lines.length > 1 ? <Lines lines={row.lines.slice(0, 4)} /> : null}
    </article>
  )
}

function Entries() {
  const [q, setQ] = useState('')
  const list = useQuery({
    queryKey: ['registry', q],
    queryFn: () => api<ListEntitiesAnswer>(`/registry${query({ q })}`),
  })
  return (
    <section className="below">
      <div className="page-head">
        <h2>What it holds</h2>
      </div>
      <div className="toolbar">
        <SearchBox label="Search type, id or name" onSearch={setQ} />
      </div>
      {list.error ? <Failed error={list.error} /> : null}
      {list.data ? (
        <ul className="table">
          {list.data.items.map(({ type, id, version, name, changed_at, hash }) => (
            <li key={`${type} ${id}`} title={hash ?? undefined}>
              <span className="badge">{type}</span>
              <span className="table-main">
                <Visible text={name ?? id} />
                {name === null ? null : (
                  <span className="id">
                    <Visible text={id} />
                  </span>
                )}
              </span>
              <span className="table-note">
                version {version}, <Ago iso={changed_at} />
              </span>
            </li>
          ))}
        </ul>
      ) : (
        <Loading />
      )}
    </section>
  )
}
