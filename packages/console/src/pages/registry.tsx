import { useQuery } from '@tanstack/react-query'
import { api, query } from '../api.ts'
import { Link, useParameters } from '../router.tsx'
import type { ListEntitiesAnswer, ListRequestsAnswer, RequestRow } from '../types.ts'
import { More, SearchBox, Sighted, Tabs } from '../ui/lists.tsx'
import { usePages } from '../ui/pages.ts'
import { Empty, Failed, Lines, Loading, RiskBadge, StateBadge } from '../ui/parts.tsx'
import { Ago, Countdown } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'

const states = { pending: 'Proposed', answered: 'Answered' } as const

/** The changes of the registry, which people sign as they sign grants, and its entries. */
export function RegistryPage() {
  useTitle('Registry')
  const [{ state: wanted = 'pending' }, change] = useParameters('state')
  const state = (wanted in states ? wanted : 'pending') as keyof typeof states
  const changes = usePages<RequestRow, ListRequestsAnswer>(['requests', 'registry', state], (range) =>
    api(`/requests${query({ state, kind: 'registry', ...range })}`),
  )
  return (
    <>
      <div className="page-head">
        <h1>Registry</h1>
        <p className="hint">Every change is signed with a passkey, and every reader checks the signature.</p>
      </div>
      <div className="toolbar">
        <Tabs label="Which changes" options={states} value={state} onChange={(state) => change({ state })} />
      </div>
      {changes.isPending ? <Loading /> : null}
      {changes.error ? <Failed error={changes.error} /> : null}
      {changes.first && changes.items.length === 0 ? (
        <Empty title={state === 'pending' ? 'No change is proposed.' : 'No change was answered lately.'}>
          <p>
            Propose with <code>bailiwick registry apply FILE</code>.
          </p>
        </Empty>
      ) : null}
      {changes.pages.map((rows, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: pages are known by their place
        <Sighted key={n} page={n} onSeen={changes.onSeen}>
          <ul className="rows">
            {rows.map((row) => (
              <li key={row.id}>
                <ChangeRow row={row} />
              </li>
            ))}
          </ul>
        </Sighted>
      ))}
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
  const [{ q = '' }, change] = useParameters('q')
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
        <SearchBox label="Search type, id or name" value={q} onSearch={(q) => change({ q })} />
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
