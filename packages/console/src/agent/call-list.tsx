import { useMemo } from 'react'
import { storyOf } from '../pages/event-words.ts'
import { shortAgent } from '../pages/evidence-search.tsx'
import { Link } from '../router.tsx'
import type { EventRow } from '../types.ts'
import { More, SearchBox, Tabs } from '../ui/lists.tsx'
import { number } from '../ui/numbers.ts'
import { Card, Empty, Failed, Loading, taskWords } from '../ui/parts.tsx'
import { lasting, When } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { groupingOf, groupings, groupsOf, isFound } from './call-groups.ts'
import { argumentsText, type Bar, barsOf, isCall, resultOf } from './calls.ts'
import { useCalls } from './data.ts'
import { differencesOf } from './differences.ts'
import { DifferencesTable } from './differences-table.tsx'
import type { Span } from './span.ts'
import { costText, counted, reasonWords } from './summary.ts'

const kinds = { decision: 'All', 'decision.allowed': 'Allowed', 'decision.denied': 'Denied' } as const
type Kind = keyof typeof kinds

/** In less time than this, calls come in the same second. */
const shortMs = 120_000

/** The parts of the page's address that choose and order the calls of the list. */
export interface CallView {
  calls?: string | undefined
  task?: string | undefined
  by?: string | undefined
  find?: string | undefined
}

/** The timeline of an agent, or of one of its tasks: one line a call, newest first, with its outcome and its place in time. */
export function CallList({
  agent,
  span,
  view,
  tasks,
  onChange,
}: {
  agent: string
  span: Span | undefined
  view: CallView
  /** Tasks that can be chosen. */
  tasks: readonly string[]
  onChange(changed: CallView): void
}) {
  const { calls: kind, task, find = '' } = view
  const type: Kind = kind !== undefined && Object.hasOwn(kinds, kind) ? (kind as Kind) : 'decision'
  const by = groupingOf(view.by)
  const list = useCalls(agent, { type, task }, span)
  const loaded = useMemo(() => list.data?.pages.flatMap(({ events }) => events.filter(isCall)) ?? [], [list.data])
  const calls = useMemo(() => (find === '' ? loaded : loaded.filter((call) => isFound(call, find))), [loaded, find])
  const bars = useMemo(() => new Map(barsOf(calls).map((bar, n) => [calls[n], bar])), [calls])
  const isFine = lengthOf(calls) < shortMs
  const differences = useMemo(() => differencesOf(calls), [calls])
  const all = task === undefined || tasks.includes(task) ? tasks : [task, ...tasks]
  const lines = (of: readonly EventRow[], label: string) => (
    <ol className="call-list" aria-label={label}>
      {of.map((call) => (
        <CallLine key={call.leaf_index} call={call} bar={bars.get(call)} agent={agent} isFine={isFine} />
      ))}
    </ol>
  )
  return (
    <Card
      id="calls"
      title={task === undefined ? 'Calls' : `Timeline of ${taskWords(task)}`}
      className="calls"
      aside={
        <Tabs
          label="Which calls"
          options={kinds}
          value={type}
          onChange={(chosen) => onChange({ calls: chosen === 'decision' ? undefined : chosen })}
        />
      }
    >
      <div className="calls-filters">
        <SearchBox label="Find in these calls" value={find} onSearch={(find) => onChange({ find })} />
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
        <select
          aria-label="Group the calls"
          value={by}
          onChange={({ currentTarget: { value } }) => onChange({ by: value })}
        >
          {Object.entries(groupings).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
      </div>
      {list.isPending ? <Loading /> : null}
      {list.error ? <Failed error={list.error} /> : null}
      {list.data && calls.length === 0 ? <Empty title={find === '' ? 'No calls.' : 'No listed call matches.'} /> : null}
      {calls.length > 0 ? <Axis calls={calls} /> : null}
      {differences ? <DifferencesTable differences={differences} /> : null}
      {by === ''
        ? lines(calls, 'Calls, newest first')
        : groupsOf(calls, by).map(({ name, calls: of, denied }) => (
            <details key={name} className="call-group" open>
              <summary>
                <strong>
                  <Visible text={name} />
                </strong>{' '}
                {counted(of.length, 'call')}
                {denied > 0 ? <span className="bad"> · {number(denied)} denied</span> : null}
              </summary>
              {lines(of, `Calls of ${name}, newest first`)}
            </details>
          ))}
      <More list={list} />
    </Card>
  )
}

const timesOf = (calls: readonly EventRow[]): number[] =>
  calls.flatMap(({ time, outcome }) => [Date.parse(time), ...(outcome ? [Date.parse(outcome.at)] : [])])

const lengthOf = (calls: readonly EventRow[]): number => Math.max(...timesOf(calls)) - Math.min(...timesOf(calls))

/** The times at both ends of the bars. */
function Axis({ calls }: { calls: readonly EventRow[] }) {
  const first = Math.min(...timesOf(calls))
  const length = lengthOf(calls)
  return (
    <p className="call-axis" aria-hidden="true">
      <When iso={new Date(first).toISOString()} />
      <span>{lasting(length)}</span>
      <When iso={new Date(first + length).toISOString()} />
    </p>
  )
}

function CallLine({
  call,
  bar,
  agent,
  isFine,
}: {
  call: EventRow
  bar: Bar | undefined
  agent: string
  isFine: boolean
}) {
  const [words, tone] = resultOf(call)
  const named = argumentsText(call.arguments)
  const isOther = call.agent !== undefined && !call.agent.startsWith(`${agent}/`)
  const lasted = call.outcome === undefined ? undefined : Date.parse(call.outcome.at) - Date.parse(call.time)
  return (
    <li className={`call ${tone}`}>
      <When iso={call.time} fine={isFine} />
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
