const bucketMs = 60_000
const windowMs = 8 * 3600 * 1000

/** What an agent touched lately, over all its instances and tasks. */
export interface Touched {
  calls: number
  labels: ReadonlySet<string>
}

interface Bucket extends Touched {
  calls: number
  labels: Set<string>
}

interface Agent {
  /** By minute since the epoch. */
  buckets: Map<number, Bucket>
  newest: number
  /** The sum of all buckets from `since` on. */
  sum: Bucket
  since: number
}

/**
 * What each agent did in the last 8 hours, by the minute: a touch is forgotten up to a minute late, never early. Asking costs
 * the same however much the agent did, and memory follows minutes, not calls: else a busy agent would slow every decision
 * of its own, and with them everybody's (V18).
 */
export class AgentHistory {
  readonly #agents = new Map<string, Agent>()

  /** `at` in ms since the epoch. */
  touch(agent: string, labels: readonly string[], at: number): void {
    const minute = Math.floor(at / bucketMs)
    const known = this.#agents.get(agent) ?? { buckets: new Map(), newest: minute, sum: emptyBucket(), since: minute }
    this.#agents.set(agent, known)
    const bucket = known.buckets.get(minute) ?? emptyBucket()
    known.buckets.set(minute, bucket)
    add(bucket, { calls: 1, labels: new Set(labels) })
    if (minute >= known.since) add(known.sum, { calls: 1, labels: new Set(labels) })
    if (minute <= known.newest) return
    known.newest = minute
    const kept = firstMinute(at) - 1 // a minute more: clocks differ
    for (const old of known.buckets.keys()) if (old < kept) known.buckets.delete(old)
  }

  /** What the agent (without instance) touched in the 8 hours before `now`. */
  of(agent: string, now: number): Touched {
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

  /** Forgets agents of whom nothing counts any more at `ms`. */
  forget(ms: number): void {
    for (const [agent, { newest }] of this.#agents) if (newest < firstMinute(ms)) this.#agents.delete(agent)
  }
}

const emptyBucket = (): Bucket => ({ calls: 0, labels: new Set() })

const firstMinute = (now: number) => Math.floor((now - windowMs) / bucketMs)

function add(bucket: Bucket, { calls, labels }: Touched): void {
  bucket.calls += calls
  for (const label of labels) bucket.labels.add(label)
}
