import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, query } from '../api.ts'
import { go, Link, useParameters } from '../router.tsx'
import type { Agent, ListAgentsAnswer } from '../types.ts'
import { SearchBox } from '../ui/lists.tsx'
import { number } from '../ui/numbers.ts'
import { Empty, Failed, Loading } from '../ui/parts.tsx'
import { Ago } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { agentPage } from './agent-address.ts'
import { AgentFacts } from './agent-facts.tsx'
import { type Stop, StopDialog } from './stop-dialog.tsx'

/** The agents, their owners, and how they prove their identity. */
export function AgentsPage() {
  useTitle('Agents')
  const [{ q = '' }, change] = useParameters('q')
  const [stopping, setStopping] = useState<Stop>()
  const list = useQuery({
    queryKey: ['agents', q],
    queryFn: () => api<ListAgentsAnswer>(`/agents${query({ q })}`),
  })
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
      <ul className="cards two">
        {list.data?.items.map((agent) => (
          <li key={agent.id}>
            <AgentCard agent={agent} onStop={setStopping} />
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

function AgentCard({ agent, onStop }: { agent: Agent; onStop(stop: Stop): void }) {
  return (
    <article className="card">
      <div className="card-head">
        <h2>
          <Link to={agentPage(agent.id)}>
            <Visible text={agent.name} />
          </Link>
        </h2>
        <span className="row-badges">
          {agent.stopped ? <span className="badge state-revoked">Stopped</span> : null}
          {agent.pending > 0 ? (
            <Link className="badge risk-medium" to={`/console/inbox${query({ show: 'all', agent: agent.id })}`}>
              {number(agent.pending)} waiting
            </Link>
          ) : null}
          {agent.active > 0 ? <span className="badge state-active">{number(agent.active)} active</span> : null}
        </span>
      </div>
      <p className="id">
        <Visible text={agent.id} />
      </p>
      {agent.stopped ? (
        <p className="note bad">
          Stopped by <Visible text={agent.stopped.by} /> <Ago iso={agent.stopped.at} /> (revocation{' '}
          {number(agent.stopped.sequence)}). Nothing was approved for it since.
          {agent.pending > 0 ? ' Its requests still wait: an approval would let it work again.' : ''}
        </p>
      ) : null}
      <AgentFacts agent={agent} />
      <div className="actions">
        <button
          type="button"
          className="danger-quiet"
          onClick={() => onStop({ kind: 'agent', target: agent.id, name: agent.name, waiting: agent.pending })}
        >
          Stop this agent…
        </button>
      </div>
    </article>
  )
}
