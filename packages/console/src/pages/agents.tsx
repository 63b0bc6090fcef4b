import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { api, query } from '../api.ts'
import { go, Link, useParameters } from '../router.tsx'
import type { Activity, Agent, ListAgentsAnswer } from '../types.ts'
import { SearchBox } from '../ui/lists.tsx'
import { number } from '../ui/numbers.ts'
import { attestorWords, Empty, Failed, Loading, notEnrolled } from '../ui/parts.tsx'
import { Ago } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { agentPage } from './agent-address.ts'
import { type Stop, StopDialog } from './stop-dialog.tsx'
import { sum, useActivity } from './use-activity.ts'

/** The agents, their owners, and how they prove their identity. */
export function AgentsPage() {
  useTitle('Agents')
  const [{ q = '' }, change] = useParameters('q')
  const [stopping, setStopping] = useState<Stop>()
  const list = useQuery({
    queryKey: ['agents', q],
    queryFn: () => api<ListAgentsAnswer>(`/agents${query({ q })}`),
  })
  const { data: activity } = useActivity('day')
  const days = useMemo(() => daysOf(activity), [activity])
  return (
    <>
      <div className="page-head">
        <h1>Agents</h1>
        <p className="hint">Each is an identity of its own, with an owner who answers for it.</p>
      </div>
      <div className="toolbar">
        <SearchBox label="Search name, owner or label" value={q} onSearch={(q) => change({ q })} />
      </div>
      {list.isPending ? <Loading /> : null}
      {list.error ? <Failed error={list.error} /> : null}
      {list.data?.items.length === 0 ? (
        <Empty title={q === '' ? 'No agent is registered.' : 'Nothing matches.'} />
      ) : null}
      <ul className="rows agents">
        {list.data?.items.map((agent) => (
          <li key={agent.id}>
            <AgentRow agent={agent} day={days.get(agent.id)} onStop={setStopping} />
          </li>
        ))}
      </ul>
      {list.data && list.data.total > list.data.items.length ? (
        <p className="hint">
          The first {list.data.items.length} of {list.data.total}: search for the others.
        </p>
      ) : null}
      {stopping ? (
        <StopDialog
          stop={stopping}
          onClose={() => setStopping(undefined)}
          onStopped={() => go(agentPage(stopping.target))}
        />
      ) : null}
    </>
  )
}

interface Day {
  allowed: number
  denied: number
}

/** The allowed and denied decisions of each agent, by its id. If there are many agents, evidence names only the busiest. */
const daysOf = (activity: Activity | undefined): Map<string, Day> =>
  new Map(
    activity?.agents.flatMap(({ agent, allowed, denied }) =>
      agent === null ? [] : [[agent, { allowed: sum(allowed), denied: sum(denied) }]],
    ),
  )

/** An agent in one row: whether it works now, what it did in the last day, and Stop. */
function AgentRow({
  agent,
  day,
  onStop,
}: {
  agent: Agent
  /** Its ALLOWs and denials. Undefined: evidence does not name them. */
  day: Day | undefined
  onStop(stop: Stop): void
}) {
  const { id, name, owner, owner_name, stopped, pending, active, labels } = agent
  return (
    <article className="card agent-row">
      <div className="agent-name">
        <h2>
          <Link to={agentPage(id)}>
            <Visible text={name} />
          </Link>
        </h2>
        <p className="id">
          <Visible text={id} />
        </p>
      </div>
      <p>
        <Visible text={owner_name ?? notEnrolled(owner)} />
        <small>
          {attestorWords[agent.attestor] ?? agent.attestor}
          {labels.length > 0 ? <Visible text={` · ${labels.join(', ')}`} /> : null}
        </small>
      </p>
      <p className="agent-day">
        {day === undefined ? (
          <small>Nothing in 24 hours</small>
        ) : (
          <>
            {number(day.allowed)} allowed
            {day.denied > 0 ? (
              <>
                , <span className="bad">{number(day.denied)} denied</span>
              </>
            ) : null}
            <small>in 24 hours</small>
          </>
        )}
      </p>
      <span className="row-badges">
        {stopped ? <span className="badge state-revoked">Stopped</span> : null}
        {pending > 0 ? (
          <Link className="badge risk-medium" to={`/console/inbox${query({ show: 'all', agent: id })}`}>
            {number(pending)} waiting
          </Link>
        ) : null}
        {active > 0 ? <span className="badge state-active">{number(active)} active</span> : null}
      </span>
      {stopped && pending === 0 ? (
        <span />
      ) : (
        <button
          type="button"
          className="danger-quiet quiet"
          aria-label={`Stop ${name}…`}
          onClick={() => onStop({ kind: 'agent', target: id, name, waiting: pending })}
        >
          Stop…
        </button>
      )}
      {stopped ? (
        <p className="agent-stopped">
          Stopped by <Visible text={stopped.by} /> <Ago iso={stopped.at} /> (revocation {number(stopped.sequence)}).
          Nothing was approved for it since.
          {pending > 0 ? ' Its requests still wait: an approval would let it work again.' : ''}
        </p>
      ) : null}
    </article>
  )
}
