import { useMemo } from 'react'
import { storyOf } from '../pages/event-words.ts'
import { shortAgent } from '../pages/evidence-search.tsx'
import { Link } from '../router.tsx'
import type { EventRow } from '../types.ts'
import { More, Tabs } from '../ui/lists.tsx'
import { Card, Empty, Failed, Loading, taskWords } from '../ui/parts.tsx'
import { duration, When } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { argumentsText, type Bar, barsOf, isCall, resultOf } from './calls.ts'
import { useCalls } from './data.ts'
import type { Span } from './span.ts'
import { costText, reasonWords } from './summary.ts'

const kinds = { decision: 'All', 'decision.allowed': 'Allowed', 'decision.denied': 'Denied' } as const
type Kind = keyof typeof kinds

/** One line a call, newest first, with its outcome, and with its place in time. */
export function CallList({
  agent,
  span,
  kind,
  task,
  tasks,
  onChange,
}: {
  agent: string
  span: Span | undefined
  kind: string | undefined
  task: string | undefined
  /** Tasks that can be chosen. */
  tasks: readonly string[]
  onChange(changed: { calls?: string | undefined; task?: string | undefined }): void
}) {
  const type: Kind = kind !== undefined && Object.hasOwn(kinds, kind) ? (kind as Kind) : 'decision'
  const list = useCalls(agent, { type, task }, span)
  const calls = useMemo(() => list.data?.pages.flatMap(({ events }) => events.filter(isCall)) ?? [], [list.data])
  const bars = useMemo(() => barsOf(calls), [calls])
  const all = task === undefined || tasks.includes(task) ? tasks : [task, ...tasks]
  return (
    <Card
      title="Calls"
      className="calls"
      aside={
        <span className="calls-filters">
          <Tabs
            label="Which calls"
            options={kinds}
            value={type}
            onChange={(chosen) => onChange({ calls: chosen === 'decision' ? undefined : chosen })}
          />
          <select
            aria-label="Filter by task"
            value={task ?? ''}
            onChange={({ currentTarget: { value } }) => onChange({ task: value })}
          >
            <option value="">Any task</option>
            {all.map((name) => (
              <option key={name} value={name}>
                {taskWords(name)}
              </option>
            ))}
          </select>
        </span>
      }
    >
      {list.isPending ? <Loading /> : null}
      {list.error ? <Failed error={list.error} /> : null}
      {list.data && calls.length === 0 ? <Empty title="No calls." /> : null}
      {calls.length > 0 ? <Axis calls={calls} /> : null}
      <ol className="call-list" aria-label="Calls, newest first">
        {calls.map((call, n) => (
          <CallLine key={call.leaf_index} call={call} bar={bars[n]} agent={agent} />
        ))}
      </ol>
      <More list={list} />
    </Card>
  )
}

/** The times at both ends of the bars. */
function Axis({ calls }: { calls: readonly EventRow[] }) {
  const times = calls.flatMap(({ time, outcome }) => [Date.parse(time), ...(outcome ? [Date.parse(outcome.at)] : [])])
  const [first, last] = [Math.min(...times), Math.max(...times)]
  return (
    <p className="call-axis" aria-hidden="true">
      <When iso={new Date(first).toISOString()} />
      <span>{lasting(last - first)}</span>
      <When iso={new Date(last).toISOString()} />
    </p>
  )
}

const lasting = (ms: number) => (ms < 1000 ? `${Math.round(ms)} ms` : duration(Math.round(ms / 1000)))

function CallLine({ call, bar, agent }: { call: EventRow; bar: Bar | undefined; agent: string }) {
  const [words, tone] = resultOf(call)
  const named = argumentsText(call.arguments)
  const isOther = call.agent !== undefined && !call.agent.startsWith(`${agent}/`)
  const lasted = call.outcome === undefined ? undefined : Date.parse(call.outcome.at) - Date.parse(call.time)
  return (
    <li className={`call ${tone}`}>
      <When iso={call.time} />
      <span className="call-what">
        <Link to={storyOf({ subject: call.decision_id ?? call.subject, event_id: call.event_id })}>
          <Visible text={call.resource ?? call.action ?? call.subject} />
        </Link>
        {named === '' ? null : (
          <span className="call-arguments">
            <Visible text={named} />
          </span>
        )}
        {isOther ? (
          <span className="id">
            by <Visible text={shortAgent(call.agent ?? '')} />
          </span>
        ) : null}
      </span>
      <svg className="call-bar" aria-hidden="true" viewBox="0 0 1000 10" preserveAspectRatio="none">
        {bar === undefined ? null : (
          <rect x={bar.from * 1000} y="1" width={Math.max(4, (bar.to - bar.from) * 1000)} height="8" rx="1" />
        )}
      </svg>
      <span className="call-result">
        {words}
        <small>
          {call.reason === undefined ? null : <Visible text={reasonWords(call.reason)} />}
          {lasted === undefined || lasted < 0 ? null : lasting(lasted)}
          {call.cost === undefined ? null : ` · ${costText(call.cost)}`}
        </small>
      </span>
    </li>
  )
}
