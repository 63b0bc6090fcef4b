import { encodeBase64url } from '@bailiwick/credentials'
import type { Metrics } from '@bailiwick/host'
import type { RandomSource } from '@bailiwick/kit'
import type { Effect } from '@bailiwick/pep'

/** Under this name, Envoy keeps the mark: as a field of an answer over HTTP, and as a member of an answer over gRPC. */
export const logField = 'bailiwick-log'

/** What Envoy's log says of a request. */
export interface Logged {
  /** The status of the API's answer. Undefined: Envoy did not pass on one answer to one request. */
  readonly status: number | undefined
  /** The bytes of the answer's body that Envoy sent. */
  readonly bytes: number | undefined
}

/** What became of an entry of a log. */
export type LogResult = (typeof logResults)[number]
const logResults = [
  ...(['reported', 'unknown', 'foreign', 'repeated', 'late'] as const),
  ...(['unmarked', 'interim', 'malformed'] as const),
] as const

/** A request that Envoy will log. */
export interface Expected {
  /** Given to Envoy with the decision, to come back in its log. Random, and shown to no agent and no API. */
  readonly mark: string
  /** The outcome: what the log says, or that nothing was observed, if it does not come in time. Never rejects. */
  readonly outcome: Promise<Effect>
}

interface Waiting {
  readonly entry: string
  end(how: 'reported' | 'late', effect: Effect): void
}

export interface AccessLogsOptions {
  random: RandomSource
  metrics: Pick<Metrics, 'counter'>
  /** How many requests may wait for their log at once; the outcome of a further one is `not_observed` at once. */
  mostWaiting?: number
  /** How many of them may be of one agent. */
  mostOfAgent?: number
}

const notObserved: Effect = { status: 'not_observed' }

/**
 * Outcomes from the access logs of proxies. Each allowed request waits for one entry of the log, under a mark that only the gateway and the
 * proxy know. An entry counts once, from the proxy that asked, while the request waits for it.
 */
export class AccessLogs implements Disposable {
  readonly #random: RandomSource
  readonly #most: number
  readonly #mostOfAgent: number
  readonly #count: (result: LogResult) => void
  readonly #waiting = new Map<string, Waiting>()
  /** How many wait of each agent. */
  readonly #ofAgents = new Map<string, number>()
  #isClosed = false
  /** What became of those that wait no more, the oldest first. */
  readonly #ended = new Map<string, { entry: string; how: 'reported' | 'late' }>()

  constructor({ random, metrics, mostWaiting = 10_000, mostOfAgent = 2500 }: AccessLogsOptions) {
    this.#random = random
    this.#most = mostWaiting
    this.#mostOfAgent = mostOfAgent
    const entries = metrics.counter(
      'gateway_access_log_entries_total',
      'Entries of access logs of proxies, by what became of them',
      ['result'],
    )
    for (const result of logResults) entries.inc({ result }, 0)
    this.#count = (result) => entries.inc({ result })
  }

  /**
   * Waits for the log of a request that was just allowed to the proxy of this entry. Undefined: too many wait, in all or of this verified
   * agent, or the gateway stops.
   */
  expect(entry: string, agent: string, withinMs: number): Expected | undefined {
    const own = this.#ofAgents.get(agent) ?? 0
    if (this.#isClosed || this.#waiting.size >= this.#most || own >= this.#mostOfAgent) return undefined
    this.#ofAgents.set(agent, own + 1)
    const mark = encodeBase64url(this.#random(16))
    const { promise, resolve } = Promise.withResolvers<Effect>()
    const late = setTimeout(() => this.#waiting.get(mark)?.end('late', notObserved), withinMs).unref()
    this.#waiting.set(mark, {
      entry,
      end: (how, effect) => {
        clearTimeout(late)
        this.#waiting.delete(mark)
        this.#leave(agent)
        this.#remember(mark, entry, how)
        resolve(effect)
      },
    })
    return { mark, outcome: promise }
  }

  /** Takes an entry of the log of the proxy of `entry`, which proved itself, and counts it. */
  take(entry: string, mark: string, logged: Logged): LogResult {
    const waiting = this.#waiting.get(mark)
    const known = waiting ?? this.#ended.get(mark)
    const result = this.#resultOf(entry, known)
    if (result === 'reported') waiting?.end('reported', effectOf(logged))
    this.#count(result)
    return result
  }

  /** Counts an entry that says nothing of a request that waits. */
  leave(result: 'unmarked' | 'interim' | 'malformed'): void {
    this.#count(result)
  }

  #resultOf(entry: string, known: { entry: string; how?: 'reported' | 'late' } | undefined): LogResult {
    if (known === undefined) return 'unknown'
    if (known.entry !== entry) return 'foreign'
    if (known.how === undefined) return 'reported'
    return known.how === 'late' ? 'late' : 'repeated'
  }

  #leave(agent: string): void {
    const left = (this.#ofAgents.get(agent) ?? 1) - 1
    if (left > 0) this.#ofAgents.set(agent, left)
    else this.#ofAgents.delete(agent)
  }

  #remember(mark: string, entry: string, how: 'reported' | 'late'): void {
    this.#ended.set(mark, { entry, how })
    const [oldest] = this.#ended.keys()
    if (this.#ended.size > this.#most && oldest !== undefined) this.#ended.delete(oldest)
  }

  /** Requests that still wait are not observed. */
  [Symbol.dispose](): void {
    this.#isClosed = true
    for (const { end } of [...this.#waiting.values()]) end('late', notObserved)
  }
}

/** As for an API behind the gateway, a status of 400 or more means that the effect failed. */
function effectOf({ status, bytes }: Logged): Effect {
  const sent = bytes === undefined ? {} : { egress_bytes: bytes }
  if (status === undefined || status < 100 || status > 599) return { status: 'unknown', ...sent }
  return { status: status < 400 ? 'succeeded' : 'failed', http_status: status, ...sent }
}
