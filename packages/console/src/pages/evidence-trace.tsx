import { useInfiniteQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { firstTry } from '../agent/calls.ts'
import { api, query } from '../api.ts'
import { Link } from '../router.tsx'
import type { Trace, TraceStep } from '../types.ts'
import { Copy } from '../ui/copy.tsx'
import { More, Tabs } from '../ui/lists.tsx'
import { number } from '../ui/numbers.ts'
import { Card, Failed, Loading } from '../ui/parts.tsx'
import { lasting, When } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { actorOf, gistOf, toneOf, wordsOf } from './event-words.ts'
import { NoEffect, shortAgent } from './evidence-search.tsx'
import { commitsToWords, KeptWords } from './kept-words.tsx'
import { isProvable, ProveButton } from './prove-button.tsx'
import { ReceiptCheck } from './receipt-check.tsx'

const views = { '': 'Everything', 'decision.denied': 'Denials', outcome: 'Outcomes', request: 'Approvals' } as const

/** The story of one id, from the request and its signers down to the actions, with each step verified again. */
export function TracePage({ id }: { id: string }) {
  useTitle(`Evidence of ${id}`)
  const [type, setType] = useState<keyof typeof views>('')
  const story = useInfiniteQuery({
    queryKey: ['trace', id, type],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      api<Trace>(`/evidence/trace/${encodeURIComponent(id)}${query({ type, cursor: pageParam })}`),
    getNextPageParam: ({ next }) => next,
  })
  const pages = story.data?.pages ?? []
  const steps = pages.flatMap((page) => page.steps)
  const trees = pages.flatMap((page) => page.trees)
  return (
    <>
      <div className="page-head">
        <h1>Evidence</h1>
        <Link to="/console/evidence">All evidence</Link>
      </div>
      <p className="story-id id">
        <Visible text={id} /> <Copy text={id} what="this id" />
      </p>
      <div className="toolbar">
        <Tabs label="What to show" options={views} value={type} onChange={setType} />
        {isProvable(id) ? <ProveButton id={id} /> : null}
      </div>
      {story.isPending ? <Loading /> : null}
      {story.error ? <Failed error={story.error} /> : null}
      {pages.length > 0 ? <Verdict steps={steps} size={pages[0]?.size ?? 0} isWhole={!story.hasNextPage} /> : null}
      {trees.length > 0 ? <SubAgents trees={trees} counts={countsOf(type, story.hasNextPage)} /> : null}
      {pages.map((page, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: pages have no identity, and never change place
        <section key={n} aria-label={n === 0 ? 'What happened' : `What happened before, page ${n + 1}`}>
          <Steps steps={page.trees} whole={spanOf(page.trees)} />
        </section>
      ))}
      <More list={story} />
    </>
  )
}

function Verdict({ steps, size, isWhole }: { steps: Trace['steps']; size: number; isWhole: boolean }) {
  const broken = steps.filter(({ verified }) => !verified)
  if (steps.length === 0) return <p className="hint">Nothing of this kind.</p>
  return broken.length === 0 ? (
    <p className="note good">
      <strong>
        All {steps.length} steps {isWhole ? '' : 'shown so far '}verify
      </strong>
      , as evidence says: each signature was checked again. The log has {number(size)} entries.
    </p>
  ) : (
    <p className="note bad" role="alert">
      <strong>
        {broken.length} of {steps.length} steps {isWhole ? '' : 'shown so far '}do not verify.
      </strong>{' '}
      They are marked below.
    </p>
  )
}

function Steps({ steps, whole, above }: { steps: TraceStep[]; whole: TimeSpan; above?: TraceStep }) {
  return (
    <ol className="story">
      {steps.map((step) => (
        <StepWithMore key={step.leaf_index} step={step} whole={whole} above={above} />
      ))}
    </ol>
  )
}

/** A step, and what followed from it, which can be folded away. */
function StepWithMore(props: { step: TraceStep; whole: TimeSpan; above: TraceStep | undefined }) {
  const [isFolded, setIsFolded] = useState(false)
  const { step, whole } = props
  const below = countBelow(step)
  return (
    <li>
      <Step {...props}>
        {below > 1 ? (
          <button type="button" className="fold" aria-expanded={!isFolded} onClick={() => setIsFolded(!isFolded)}>
            {isFolded ? `Show ${number(below)} steps` : `Fold ${number(below)} steps`}
          </button>
        ) : null}
      </Step>
      {below > 0 && !isFolded ? <Steps steps={step.steps} whole={whole} above={step} /> : null}
    </li>
  )
}

const countBelow = ({ steps }: TraceStep): number => steps.reduce((count, step) => count + 1 + countBelow(step), 0)

/** A reason of a person is read first, so it is shown without opening the entry. */
const tellsWhy = (type: string) => type === 'request.denied' || type === 'request.withdrawn'

function Step({
  step,
  whole,
  above,
  children,
}: {
  step: TraceStep
  whole: TimeSpan
  above: TraceStep | undefined
  children: ReactNode
}) {
  const { type, time, verified, problem, signed_by, void: isVoid, leaf_index, event_id, data } = step
  const agent = actorOf(step)
  const [open, setOpen] = useState(false)
  return (
    <article className={`step ${verified ? toneOf(isVoid ? '' : type) : 'broken'}`} data-event={event_id}>
      <p className="step-head">
        <strong>{wordsOf(type)}</strong>
        <span className="step-gist">
          <Visible text={gistOf(step)} />
        </span>
        {above === undefined ? null : <Later ms={Date.parse(time) - Date.parse(above.time)} />}
        <When iso={time} />
      </p>
      <Lasted own={spanOf([step])} whole={whole} />
      <div className="step-foot">
        {agent !== undefined ? (
          <span className="id">
            <Visible text={shortAgent(agent)} />
          </span>
        ) : null}
        {signed_by !== undefined && signed_by.length > 0 ? (
          <span>
            signed by{' '}
            <strong>
              <Visible
                text={signed_by.map((who) => (who.startsWith('spiffe://') ? shortAgent(who) : who)).join(', ')}
              />
            </strong>
          </span>
        ) : null}
        {isVoid ? <NoEffect /> : null}
        {verified ? null : (
          <span className="badge state-denied">
            Not verified: <Visible text={problem ?? 'no reason given'} />
          </span>
        )}
        {children}
      </div>
      {tellsWhy(type) && commitsToWords(data) ? <KeptWords eventId={event_id} /> : null}
      <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>
          Entry {number(leaf_index)}
          <span className="hidden"> of the log: {wordsOf(type)}</span>
        </summary>
        {open ? (
          <>
            <ReceiptCheck eventId={event_id} leafIndex={leaf_index} />
            {commitsToWords(data) && !tellsWhy(type) ? <KeptWords eventId={event_id} /> : null}
            <pre className="event-data">
              <Visible text={JSON.stringify(data, null, 2)} lines />
            </pre>
          </>
        ) : null}
      </details>
    </article>
  )
}

/** ms since the epoch. */
interface TimeSpan {
  first: number
  last: number
}

/** From the first of these steps to the last of what followed from them. */
function spanOf(steps: readonly TraceStep[]): TimeSpan {
  const all = steps.flatMap(({ time, steps }) => [
    Date.parse(time),
    ...(steps.length === 0 ? [] : [spanOf(steps).last]),
  ])
  return { first: Math.min(...all), last: Math.max(...all) }
}

/** When a step came, and how long what followed from it went on, among all steps of the page. */
function Lasted({ own, whole }: { own: TimeSpan; whole: TimeSpan }) {
  const length = whole.last - whole.first
  if (!(length > 0)) return null
  const at = (ms: number) => ((ms - whole.first) / length) * 1000
  return (
    <svg className="step-bar" aria-hidden="true" viewBox="0 0 1000 4" preserveAspectRatio="none">
      <rect x={Math.min(at(own.first), 994)} width={Math.max(6, at(own.last) - at(own.first))} height="4" />
    </svg>
  )
}

/** How long after the step that it follows from. Two clocks: it can carry an earlier time. */
function Later({ ms }: { ms: number }) {
  if (ms < 0) return null
  return (
    <small title="After the step that it follows from">
      +{lasting(ms)}
      <span className="hidden"> after the step that it follows from</span>
    </small>
  )
}

interface Hand {
  agent: string
  allowed: number
  denied: number
  below: Hand[]
}

type Counts = (hand: Pick<Hand, 'allowed' | 'denied'>) => string

/** The counts for each agent from the loaded steps; totals only when all steps are loaded. */
const countsOf =
  (type: keyof typeof views, hasMore: boolean): Counts =>
  ({ allowed, denied }) => {
    if (type === 'decision.denied') return hasMore ? `at least ${denied} denied` : `${denied} denied`
    if (type !== '') return ''
    return `${hasMore ? 'so far ' : ''}${allowed} allowed, ${denied} denied${hasMore ? ': more steps are below' : ''}`
  }

/** Who acted for whom: the agent of each grant, and below it the agents to which it delegated. */
function SubAgents({ trees, counts }: { trees: TraceStep[]; counts: Counts }) {
  const hands = mergeHands(trees.flatMap((tree) => handsIn(tree, undefined)))
  if (hands.every(({ below }) => below.length === 0)) return null
  return (
    <Card title="Who acted">
      <Hands hands={hands} counts={counts} />
    </Card>
  )
}

function Hands({ hands, counts }: { hands: Hand[]; counts: Counts }) {
  return (
    <ul className="tree">
      {hands.map(({ agent, allowed, denied, below }) => (
        <li key={agent}>
          <span className="id">
            <Visible text={agent} />
          </span>{' '}
          <small>{counts({ allowed, denied })}</small>
          {below.length > 0 ? <Hands hands={below} counts={counts} /> : null}
        </li>
      ))}
    </ul>
  )
}

function handsIn(step: TraceStep, of: Hand | undefined): Hand[] {
  const agent = actorOf(step)
  if ((step.type === 'grant.created' || step.type === 'delegation.redeemed') && agent !== undefined) {
    const hand: Hand = { agent, allowed: 0, denied: 0, below: [] }
    of?.below.push(hand)
    for (const below of step.steps) handsIn(below, hand)
    return of === undefined ? [hand] : []
  }
  if (of !== undefined && step.type === 'decision.allowed' && !step.void) of.allowed++
  if (of !== undefined && step.type === 'decision.denied' && reasonOf(step.data) !== firstTry) of.denied++
  return step.steps.flatMap((below) => handsIn(below, of))
}

const reasonOf = (data: unknown): unknown =>
  typeof data === 'object' && data !== null && 'reason' in data ? data.reason : undefined

/** Several pages may have the same grant, and an agent may have several grants. */
function mergeHands(hands: Hand[]): Hand[] {
  return [...Map.groupBy(hands, ({ agent }) => agent)].map(([agent, same]) => ({
    agent,
    allowed: same.reduce((count, hand) => count + hand.allowed, 0),
    denied: same.reduce((count, hand) => count + hand.denied, 0),
    below: mergeHands(same.flatMap(({ below }) => below)),
  }))
}
