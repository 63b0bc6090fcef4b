import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, query } from '../api.ts'
import { Link as To, useParameters } from '../router.tsx'
import type { Grant, ListGrantsAnswer, WithdrawnGrant } from '../types.ts'
import { Copy } from '../ui/copy.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { More, SearchBox, Sighted, Tabs } from '../ui/lists.tsx'
import { number } from '../ui/numbers.ts'
import { usePages } from '../ui/pages.ts'
import {
  AgentName,
  Empty,
  Facts,
  Failed,
  Lines,
  Loading,
  modeWords,
  OwnerName,
  StateBadge,
  taskWords,
} from '../ui/parts.tsx'
import { useSay } from '../ui/say.tsx'
import { Ago, At, Countdown, When } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { agentPage } from './agent-address.ts'
import { ReasonField, reasonIn } from './answer-dialogs.tsx'
import { Chain } from './chain.tsx'
import { Meters } from './meters.tsx'
import { type Stop, StopDialog } from './stop-dialog.tsx'

/** More sub-agents than these are folded away. */
const mostOpen = 2
const states = { active: 'Active', ended: 'Ended', all: 'All' } as const

/** The approved grants and how much of each is used, with the ways to stop them. */
export function GrantsPage() {
  useTitle('Grants')
  const [{ state: wanted = 'active', q = '' }, change] = useParameters('state', 'q')
  const state = (wanted in states ? wanted : 'active') as keyof typeof states
  const [withdrawing, setWithdrawing] = useState<Grant>()
  const [stopping, setStopping] = useState<Stop>()
  const list = usePages<Grant, ListGrantsAnswer>(['grants', state, q], (range) =>
    api(`/grants${query({ state, q, ...range })}`),
  )
  return (
    <>
      <div className="page-head">
        <h1>Grants</h1>
        <button
          type="button"
          className="danger-quiet"
          onClick={() => setStopping({ kind: 'all', target: '*', name: '' })}
        >
          Stop everything…
        </button>
      </div>
      <div className="toolbar">
        <Tabs label="Which grants" options={states} value={state} onChange={(state) => change({ state })} />
        <SearchBox label="Search agent, owner, task or action" value={q} onSearch={(q) => change({ q })} />
      </div>
      {list.isPending ? <Loading /> : null}
      {list.error ? <Failed error={list.error} /> : null}
      {list.first && list.items.length === 0 ? (
        <Empty
          title={
            q !== '' ? 'Nothing matches.' : state === 'active' ? 'Nothing is granted now.' : 'Nothing was granted.'
          }
        />
      ) : null}
      {list.pages.map((page, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: pages are known by their place
        <Sighted key={n} page={n} onSeen={list.onSeen}>
          <ul className="cards">
            {page.map((grant) => (
              <li key={grant.id}>
                <GrantCard grant={grant} onWithdraw={setWithdrawing} onStop={setStopping} />
              </li>
            ))}
          </ul>
        </Sighted>
      ))}
      <More list={list} />
      {withdrawing ? <WithdrawDialog grant={withdrawing} onClose={() => setWithdrawing(undefined)} /> : null}
      {stopping ? <StopDialog stop={stopping} onClose={() => setStopping(undefined)} /> : null}
    </>
  )
}

/** What else was stopped, if more than this grant. */
const withWhat: Record<string, string> = {
  agent: ', with the whole agent',
  all: ', with everything',
  approver: ', with everything that one person approved',
  'tool-server': ', with the use of a tool server',
}

export function GrantCard({
  grant,
  onWithdraw,
  onStop,
}: {
  grant: Grant
  onWithdraw(grant: Grant): void
  onStop(stop: Stop): void
}) {
  const { from, state, revoked } = grant
  const alive = state === 'active' || state === 'suspended'
  return (
    <article className={`card grant ${state}`} data-grant={grant.id} aria-label={`Grant for ${taskWords(grant.task)}`}>
      <div className="row-badges">
        <StateBadge state={state} />
        <span className="badge">{modeWords[grant.mode]}</span>
        <span className="row-time">
          {alive ? (
            <>
              ends in <Countdown iso={grant.not_after} />
            </>
          ) : (
            <>
              made <Ago iso={grant.created_at} />
            </>
          )}
        </span>
      </div>
      <h2>
        <AgentName from={from} />: <Visible text={taskWords(grant.task)} />
      </h2>
      {revoked ? (
        <p className="note bad">
          Stopped for good by <Visible text={revoked.by} />
          {withWhat[revoked.kind] ?? ''}: <Visible text={revoked.reason.replaceAll('_', ' ')} /> (revocation{' '}
          {revoked.sequence})
        </p>
      ) : null}
      <Meters budget={grant.budget} taken={grant.taken} />
      <Facts
        pairs
        rows={[
          ['Owner', <OwnerName key="o" from={from} />],
          ['Approved by', <Visible key="a" text={grant.approved_by.join(', ')} />],
          ['Instance', <Visible key="i" text={from.instance.slice(from.id.length + 1)} />],
          ['Last used', grant.last_used_at === null ? 'never' : <Ago key="l" iso={grant.last_used_at} />],
        ]}
      />
      {grant.chain.length > 0 ? (
        <details className="chain" aria-label="Sub-agents" open={grant.chain.length <= mostOpen}>
          <summary>
            <h3>Passed on to {grant.chain.length === 1 ? 'one agent' : `${number(grant.chain.length)} agents`}</h3>
          </summary>
          <Chain links={grant.chain} onStop={onStop} />
        </details>
      ) : null}
      <details>
        <summary>What was approved</summary>
        <Lines lines={grant.lines} />
        <Facts
          rows={[
            ['Made', <At key="m" iso={grant.created_at} />],
            ['Until', <When key="u" iso={grant.not_after} />],
            [
              'Grant',
              <span key="g">
                <To to={`/console/evidence/${grant.id}`}>
                  <code>{grant.id}</code>
                </To>{' '}
                <Copy text={grant.id} what="the grant’s id" />
              </span>,
            ],
            [
              'Request',
              <span key="r">
                <To to={`/console/requests/${grant.request_id}`}>
                  <code>{grant.request_id}</code>
                </To>{' '}
                <Copy text={grant.request_id} what="the request’s id" />
              </span>,
            ],
          ]}
        />
      </details>
      <p className="hint">
        <To to={`${agentPage(from.id)}${query({ task: grant.task })}#calls`}>Timeline of this task</To>
      </p>
      {alive ? (
        <div className="actions">
          {grant.may_withdraw ? (
            <button type="button" className="danger-quiet" onClick={() => onWithdraw(grant)}>
              Withdraw…
            </button>
          ) : null}
          <button type="button" onClick={() => onStop({ kind: 'agent', target: from.id, name: from.name ?? from.id })}>
            Stop this agent…
          </button>
        </div>
      ) : null}
    </article>
  )
}

export function WithdrawDialog({ grant, onClose }: { grant: Grant; onClose(): void }) {
  const client = useQueryClient()
  const say = useSay()
  const submit = async (data: FormData) => {
    const { revoked_sequence } = await api<WithdrawnGrant>(`/requests/${grant.request_id}/withdraw`, reasonIn(data))
    say(`Withdrawn: revocation ${revoked_sequence} is recorded.`)
    await client.invalidateQueries({ queryKey: ['grants'] })
  }
  return (
    <Dialog title="Withdraw" action="Withdraw it now" danger onSubmit={submit} onClose={onClose}>
      <p>
        <strong>
          <AgentName from={grant.from} />: <Visible text={taskWords(grant.task)} />
        </strong>
      </p>
      <p>The agent, and everything it passed on, stops at once and for good.</p>
      <ReasonField />
    </Dialog>
  )
}
