import { useEffect, useMemo, useState } from 'react'
import { query } from '../api.ts'
import { GrantCard, WithdrawDialog } from '../pages/grants.tsx'
import { type Stop, StopDialog } from '../pages/stop-dialog.tsx'
import { Link, useParameters } from '../router.tsx'
import type { Grant, ListGrantsAnswer, Me, ReadAgentAnswer, Touched } from '../types.ts'
import { Copy } from '../ui/copy.tsx'
import { More, Tabs } from '../ui/lists.tsx'
import { number } from '../ui/numbers.ts'
import { usePages } from '../ui/pages.ts'
import { attestorWords, Card, Facts, Failed, Loading, notEnrolled, StateBadge } from '../ui/parts.tsx'
import { Ago, When } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { BudgetCard } from './burn-down-chart.tsx'
import { CallList } from './call-list.tsx'
import { deniedIn } from './calls.ts'
import { CallsOverTime } from './calls-over-time.tsx'
import { grantsOf, useAgent, usePastAnswers, useSince, useTouched } from './data.ts'
import { HandOver } from './hand-over.tsx'
import { HandsGraph } from './hands-graph.tsx'
import { type Since, sinceText } from './since.ts'
import { type Span, spanOf, spans } from './span.ts'
import { costText, countReached, hasMoreThings, sentencesOf } from './summary.ts'
import { TouchedTable } from './touched-table.tsx'
import './agent.css'

/** The number of grants shown at first. */
const fewGrants = 3
const fewAnswers = 8

/** One agent: what it does now, what it holds, what it touched, and Stop. */
export function AgentPage({ id, me }: { id: string; me: Me }) {
  const found = useAgent(id)
  const name = found.data?.agent?.name ?? id
  useTitle(name)
  return (
    <>
      <p className="crumb">
        <Link to="/console/agents">← Agents</Link>
      </p>
      {found.isPending ? (
        <>
          <h1>
            <Visible text={name} />
          </h1>
          <Loading />
        </>
      ) : null}
      {found.error ? (
        <>
          <h1>This agent cannot be shown now.</h1>
          <Failed error={found.error} />
        </>
      ) : null}
      {found.data ? <OneAgent found={found.data} me={me} /> : null}
    </>
  )
}

function OneAgent({ found, me }: { found: ReadAgentAnswer; me: Me }) {
  const { id, agent, stop } = found
  const [view, change] = useParameters('from', 'to', 'span', 'calls', 'task', 'by', 'find')
  const isStopped = stop !== null && (agent === null || agent.stopped !== null)
  const span = spanOf(view, isStopped ? stop : null)
  const touched = useTouched(id, span)
  const stoppedAt = isStopped ? stop.at : undefined
  const later = useSince(id, stoppedAt)
  const since = stoppedAt === undefined ? undefined : sinceOf(later)
  const grants = usePages<Grant, ListGrantsAnswer>(['grants', 'all', id], (range) => grantsOf(id, range))
  const answers = usePastAnswers(id)
  const [stopping, setStopping] = useState<Stop>()
  const [withdrawing, setWithdrawing] = useState<Grant>()
  const tasks = useMemo(() => [...new Set(grants.items.map((grant) => grant.task))].slice(0, 50), [grants.items])
  // A report leaves out what was not read.
  const isKnown = !grants.isFetchingNextPage && !grants.error && !answers.error
  const isRead = isKnown && (stoppedAt === undefined || since !== undefined)
  const summary =
    touched.data && answers.data && isRead
      ? {
          ...{ agent: found, touched: touched.data, since },
          ...{ grants: grants.items, grantsCut: grants.hasNextPage },
          ...{ answers: answers.data.items, answersCut: answers.data.next !== undefined },
        }
      : undefined
  const isDrawn = touched.data !== undefined
  useEffect(() => {
    if (isDrawn && location.hash !== '') document.getElementById(location.hash.slice(1))?.scrollIntoView()
  }, [isDrawn])
  const stopIt = () => setStopping({ kind: 'agent', target: id, name: agent?.name ?? id, waiting: agent?.pending ?? 0 })
  return (
    <>
      <div className="page-head agent-head">
        <div>
          <h1>
            <Visible text={agent?.name ?? 'Not registered'} />
          </h1>
          <p className="id">
            <Visible text={id} /> <Copy text={id} what="the SPIFFE ID" />
          </p>
        </div>
        <span className="row-badges">
          <Standing found={found} isStopped={isStopped} />
        </span>
        {found.may_stop && !(isStopped && (agent?.pending ?? 0) === 0) ? (
          <button type="button" className="danger" onClick={stopIt}>
            Stop this agent…
          </button>
        ) : null}
      </div>
      <Parts isPassedOn={grants.items.some(({ chain }) => chain.length > 0)} />
      {isStopped ? <Stopped found={found} since={since} /> : null}
      {agent === null ? (
        <p className="note warn">
          No agent of this name is registered now. What evidence has of it, and what is still kept of its grants, is
          below.
        </p>
      ) : null}
      <Card
        id="touched"
        className={isStopped ? 'incident' : ''}
        title={isStopped ? 'This is what it touched' : 'What it touched'}
        aside={
          <SpanTabs value={span.name} onChange={(chosen) => change({ span: chosen, from: undefined, to: undefined })} />
        }
      >
        {touched.isPending ? <Loading /> : null}
        {touched.error ? <Failed error={touched.error} /> : null}
        {touched.data ? <Numbers touched={touched.data} span={span} /> : null}
        {touched.data ? (
          <CallsOverTime touched={touched.data} isZoomed={!span.isLive} onZoom={(times) => change(times)} />
        ) : null}
        {touched.data ? <TouchedTable agent={id} touched={touched.data} /> : null}
        <HandOver me={me} span={span} summary={summary} />
      </Card>
      <CallList agent={id} span={span} view={view} tasks={tasks} onChange={change} />
      <div className="agent-columns" id="budget">
        <BudgetCard grants={grants.items} />
        <HandsGraph grants={grants.items} agent={id} />
      </div>
      <Card id="grants" title="Grants and delegations">
        <Grants grants={grants} onStop={setStopping} onWithdraw={setWithdrawing} />
      </Card>
      <div className="agent-columns" id="answers">
        <Card title="Past answers">
          <PastAnswers id={id} answers={answers} />
        </Card>
        <Card title="Who it is">
          {agent === null ? <p className="hint">It is not registered.</p> : <WhoItIs agent={agent} />}
        </Card>
      </div>
      {stopping ? <StopDialog stop={stopping} onClose={() => setStopping(undefined)} /> : null}
      {withdrawing ? <WithdrawDialog grant={withdrawing} onClose={() => setWithdrawing(undefined)} /> : null}
    </>
  )
}

/** If evidence fails, earlier answers may be stale, so they are not shown. */
function sinceOf({ data, error }: ReturnType<typeof useSince>): Since | null | undefined {
  return error ? null : data
}

function Standing({ found: { agent }, isStopped }: { found: ReadAgentAnswer; isStopped: boolean }) {
  if (isStopped) return <span className="badge state-revoked">Stopped</span>
  return (
    <>
      {agent !== null && agent.active > 0 ? (
        <span className="badge state-active">{number(agent.active)} active</span>
      ) : (
        <span className="badge">Holds nothing</span>
      )}
      {agent !== null && agent.pending > 0 ? (
        <Link className="badge risk-medium" to={`/console/inbox${query({ show: 'all', agent: agent.id })}`}>
          {number(agent.pending)} waiting
        </Link>
      ) : null}
    </>
  )
}

/** Links to the parts of a long page. */
function Parts({ isPassedOn }: { isPassedOn: boolean }) {
  return (
    <nav className="parts" aria-label="On this page">
      <a href="#touched">What it touched</a>
      <a href="#calls">Calls</a>
      <a href="#budget">{isPassedOn ? 'Budget and delegations' : 'Budget'}</a>
      <a href="#grants">Grants</a>
      <a href="#answers">Past answers</a>
    </nav>
  )
}

/** Says that the agent was stopped, and that it stays stopped. */
function Stopped({ found: { agent, stop }, since }: { found: ReadAgentAnswer; since: Since | null | undefined }) {
  if (stop === null) return null
  const pending = agent?.pending ?? 0
  return (
    <p className="note bad" role="status">
      <strong>
        Stopped by <Visible text={stop.by} /> <Ago iso={stop.at} />
      </strong>{' '}
      (revocation {number(stop.sequence)}, <When iso={stop.at} />
      ). Since then: {since === undefined ? 'evidence is asked …' : sinceText(since)}. Nothing was approved for it
      since.
      {pending > 0 ? ' Its requests still wait: an approval would let it work again.' : ''}
    </p>
  )
}

/** If a link or a stop sets the times, no tab is pressed. */
function SpanTabs({ value, onChange }: { value: string; onChange(span: string): void }) {
  return <Tabs label="How far back" options={spans} value={value as keyof typeof spans} onChange={onChange} />
}

/** The most important numbers, and the same in sentences. */
function Numbers({ touched, span }: { touched: Touched; span: Span }) {
  const { failed = 0, missing = 0, unknown = 0 } = touched.outcomes
  const least = (value: string, isLeast = !touched.complete) => (isLeast ? `at least ${value}` : value)
  const nothing = touched.complete ? 'nothing' : 'not known'
  const spent = costText(touched.cost)
  const last = touched.things
    .map((thing) => thing.last)
    .sort()
    .at(-1)
  return (
    <>
      <p className="hint">
        From <When iso={touched.from} /> to {span.isLive ? 'now' : <When iso={touched.to} />}: {span.words}.
        {last === undefined ? null : (
          <>
            {' '}
            Newest decision: <Ago iso={last} />.
          </>
        )}
      </p>
      <dl className="numbers">
        <Figure name="Calls allowed" value={least(number(touched.allowed))} />
        <Figure name="Tools and resources" value={least(number(countReached(touched)), hasMoreThings(touched))} />
        <Figure name="Spent" value={spent === '' ? nothing : least(spent)} />
        <Figure name="Denied" value={least(number(deniedIn(touched)))} tone={deniedIn(touched) > 0 ? 'bad' : ''} />
        <Figure
          name="Failed or unclear"
          value={least(number(failed + missing + unknown))}
          tone={missing > 0 ? 'bad' : ''}
        />
      </dl>
      <p>{sentencesOf(touched).join(' ')}</p>
    </>
  )
}

function Figure({ name, value, tone = '' }: { name: string; value: string; tone?: string }) {
  return (
    <div className={`figure ${tone}`}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}

/** Shows the newest grants in full, with their delegations as a tree; the others on demand. */
function Grants({
  grants,
  onStop,
  onWithdraw,
}: {
  grants: ReturnType<typeof usePages<Grant, ListGrantsAnswer>>
  onStop(stop: Stop): void
  onWithdraw(grant: Grant): void
}) {
  const [isAll, setIsAll] = useState(false)
  // Grants that can still be used come first.
  const sorted = [...grants.items].sort((a, b) => Number(b.state === 'active') - Number(a.state === 'active'))
  const shown = isAll ? sorted : sorted.slice(0, fewGrants)
  return (
    <>
      {grants.isPending ? <Loading /> : null}
      {grants.error ? <Failed error={grants.error} /> : null}
      {grants.first && sorted.length === 0 ? <p className="hint">It holds no grant, and held none lately.</p> : null}
      <ul className="cards">
        {shown.map((grant) => (
          <li key={grant.id}>
            <GrantCard grant={grant} onWithdraw={onWithdraw} onStop={onStop} />
          </li>
        ))}
      </ul>
      {isAll ? (
        <More list={grants} />
      ) : sorted.length > shown.length ? (
        <button type="button" className="wide" onClick={() => setIsAll(true)}>
          Show all {number(sorted.length)}
          {grants.hasNextPage ? ' and more' : ''}
        </button>
      ) : null}
    </>
  )
}

function PastAnswers({ id, answers }: { id: string; answers: ReturnType<typeof usePastAnswers> }) {
  if (answers.isPending) return <Loading />
  if (answers.error) return <Failed error={answers.error} />
  const { items, next } = answers.data
  if (items.length === 0) return <p className="hint">Nothing was answered for it lately.</p>
  return (
    <>
      <ul className="similar">
        {items.slice(0, fewAnswers).map((row) => (
          <li key={row.id}>
            <Link to={`/console/requests/${row.id}`}>
              <StateBadge state={row.state} />
              <span>
                <Visible text={row.subject} />
              </span>
              <span className="similar-note">
                {row.signed_by.length > 0 ? <Visible text={`by ${row.signed_by.join(', ')}, `} /> : null}
                <Ago iso={row.changed_at} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
      {items.length > fewAnswers || next !== undefined ? (
        <Link to={`/console/inbox${query({ show: 'answered', agent: id })}`}>All that was answered</Link>
      ) : null}
    </>
  )
}

function WhoItIs({ agent }: { agent: NonNullable<ReadAgentAnswer['agent']> }) {
  return (
    <>
      <Facts
        rows={[
          ['Owner', <Visible key="o" text={agent.owner_name ?? notEnrolled(agent.owner)} />],
          ['Proves itself by', attestorWords[agent.attestor] ?? agent.attestor],
          [
            'Instances',
            agent.instances ? <Visible key="i" text={agent.instances.join(', ')} /> : 'any that is attested',
          ],
          ['May ask first', agent.proactive_requests ? 'yes' : 'no: only to answer a denial'],
          agent.labels.length > 0 && ['Labels', <Visible key="l" text={agent.labels.join(', ')} />],
        ]}
      />
      <Link to={`/console/evidence${query({ agent: agent.id })}`}>Everything that evidence has about it</Link>
    </>
  )
}
