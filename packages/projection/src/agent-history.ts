import type { BudgetAmounts } from '@bailiwick/contracts'
import { amountsRow, labelsRow, readAmounts, readLabels } from './cut/amount-columns.ts'
import { CutMap } from './cut/cut-map.ts'
import type { Columns, Row } from './cut/row.ts'
import { addCost, countedIn, giveBackTouch, type Touch, type Touched, touch } from './touched.ts'
import type { AllowRecord } from './tree-spend.ts'

const bucketMs = 60_000
const windowMs = 8 * 3600 * 1000

interface Bucket extends Touched {
  spent: Map<string, bigint>
  labels: Map<string, Touch>
}

interface Agent {
  /** By minute since the epoch. */
  buckets: Map<number, Bucket>
  newest: number
  /** The sum of all buckets from `since` on. */
  sum: Bucket
  since: number
}

type Act = Pick<AllowRecord, 'agents' | 'owners' | 'labels' | 'reserved' | 'at' | 'chain' | 'round'>

/**
 * What each agent, or all agents of each owner together, did in the last 8 hours, by the minute.
 * A touch is forgotten up to a minute late, never early. The cost of a query does not depend on how much the agent did, and memory grows
 * with minutes and labels, not with calls. So a busy agent neither pushes out what it touched earlier nor slows down decisions (V18).
 */
export class AgentHistory {
  readonly #whose: 'agents' | 'owners'
  readonly #agents = new Map<string, Agent>()
  readonly #cut = new CutMap<Agent>((agent, known) => [agentRow(this.#whose, agent, known)])

  /** `owners`: wherever this class says agent, it means all agents of one owner. */
  constructor(whose: 'agents' | 'owners' = 'agents') {
    this.#whose = whose
  }

  /** Adds an ALLOW to each agent that had a part in it. */
  add(act: Act): void {
    for (const agent of act[this.#whose]) for (const bucket of this.#at(agent, act.at)) addAct(bucket, act)
  }

  /** Gives back amounts of an ALLOW that was added earlier. */
  giveBack(act: Act, released: BudgetAmounts): void {
    const minute = minuteOf(act.at)
    for (const agent of act[this.#whose]) {
      const known = this.#agents.get(agent)
      const bucket = known?.buckets.get(minute)
      if (!known || !bucket) continue
      this.#cut.before(agent)
      for (const each of minute >= known.since ? [bucket, known.sum] : [bucket]) {
        if (released.calls > 0) each.calls -= countedIn(act)
        addCost(each.spent, released.cost, -1n)
        giveBackTouch(each.labels, act, released)
      }
    }
  }

  addDenials(agent: string, count: number, at: number): void {
    for (const bucket of this.#at(agent, at)) bucket.denials += count
  }

  /** The buckets and sums that an act of that time belongs to. */
  #at(agent: string, at: number): Bucket[] {
    const minute = minuteOf(at)
    this.#cut.before(agent)
    const known = this.#agents.get(agent) ?? { buckets: new Map(), newest: minute, sum: emptyBucket(), since: minute }
    this.#agents.set(agent, known)
    const bucket = known.buckets.get(minute) ?? emptyBucket()
    known.buckets.set(minute, bucket)
    if (minute > known.newest) {
      known.newest = minute
      const kept = firstMinute(at) - 1 // one minute more, because clocks differ
      for (const old of known.buckets.keys()) if (old < kept) known.buckets.delete(old)
    }
    return minute >= known.since ? [bucket, known.sum] : [bucket]
  }

  /**
   * What the agent (without instance), or the owner, touched in the 8 hours before `now`. `ahead`: ALLOWs that are still on their way
   * to the log, which count too.
   */
  of(agent: string, now: number, ahead: readonly Act[] = []): Touched {
    const sum = this.#sum(agent, now)
    const own = ahead.filter((act) => act[this.#whose].includes(agent))
    if (own.length === 0) return sum
    const more = emptyBucket()
    add(more, sum)
    for (const act of own) addAct(more, act)
    return more
  }

  #sum(agent: string, now: number): Touched {
    const known = this.#agents.get(agent)
    if (!known) return emptyBucket()
    const since = firstMinute(now)
    if (known.since !== since) {
      known.since = since
      known.sum = emptyBucket()
      for (const [minute, bucket] of known.buckets) if (minute >= since) add(known.sum, bucket)
    }
    return known.sum
  }

  /** Its state as it is now, as rows that `restore` reads. */
  cut(): IterableIterator<Row> {
    return this.#cut.begin(this.#agents)
  }

  restore(columns: Columns): void {
    const agent = columns.text()
    const newest = columns.whole()
    const buckets = new Map(columns.each((bucket) => [bucket.whole(), readBucket(bucket)]))
    // Ahead of all buckets, so the sum of none. The next question makes it anew.
    this.#agents.set(agent, { buckets, newest, sum: emptyBucket(), since: newest + 1 })
  }

  /** Forgets agents of which nothing counts any more at `ms`. */
  forget(ms: number): void {
    for (const [agent, { newest }] of this.#agents) if (newest < firstMinute(ms)) this.#agents.delete(agent)
  }
}

const emptyBucket = (): Bucket => ({ calls: 0, spent: new Map(), labels: new Map(), denials: 0, depth: 0 })

const agentRow = (whose: string, agent: string, { newest, buckets }: Agent): Row => [
  whose,
  agent,
  newest,
  [...buckets].map(([minute, { calls, spent, labels, denials, depth }]) => [
    minute,
    calls,
    amountsRow(spent),
    labelsRow(labels),
    denials,
    depth,
  ]),
]

const readBucket = (columns: Columns): Bucket => ({
  calls: columns.whole(),
  spent: readAmounts(columns),
  labels: readLabels(columns),
  denials: columns.whole(),
  depth: columns.whole(),
})

const minuteOf = (at: number) => Math.floor(at / bucketMs)
const firstMinute = (now: number) => minuteOf(now - windowMs)

function addAct(bucket: Bucket, act: Act): void {
  bucket.calls += countedIn(act)
  addCost(bucket.spent, act.reserved.cost, 1n)
  touch(bucket.labels, act)
  bucket.depth = Math.max(bucket.depth, act.chain?.length ?? 0)
}

function add(bucket: Bucket, { calls, spent, labels, denials, depth }: Touched): void {
  bucket.calls += calls
  bucket.denials += denials
  bucket.depth = Math.max(bucket.depth, depth)
  for (const [currency, micros] of spent) bucket.spent.set(currency, (bucket.spent.get(currency) ?? 0n) + micros)
  for (const [label, { count, spent, lastAt }] of labels) {
    const known = bucket.labels.get(label) ?? { count: 0, spent: new Map(), lastAt }
    known.count += count
    known.lastAt = Math.max(known.lastAt, lastAt)
    for (const [currency, micros] of spent) known.spent.set(currency, (known.spent.get(currency) ?? 0n) + micros)
    bucket.labels.set(label, known)
  }
}
