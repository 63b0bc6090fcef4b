import type { EnforcementPoint } from '@bailiwick/contracts'
import { errorCode, isRequestable } from '@bailiwick/errors'
import type { Draft } from '@bailiwick/instance'
import { actingAgent } from '@bailiwick/projection'
import type { Denied } from '../answer.ts'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import { halvesOf } from '../order/halves.ts'
import type { Clocked, Judges, Logged, Recording } from '../ports.ts'
import { actedAs, actedBetween } from './acted-as.ts'
import { recordOnceTaken } from './record-once-taken.ts'

const longestQueue = 10_000
const batch = 64
const summaryEveryMs = 60_000
const longestSummary = 200
/** How many denials of one agent become events each second; the rest are counted (DESIGN §7.4, V18). */
const eventsPerSecond = 10
/** The share of a minute for a caller that has an agent's credential but not its key: the log shows that it tried, not how often. */
const unprovenPerMinute = 20
/** Stands for all further subjects and reasons once a sum is full. */
const others = 'others'

type Ports = Pick<Clocked, 'clock'> & Logged & Pick<Judges, 'policies'> & Pick<Recording, 'record'>

interface Queued {
  draft: Draft<'decisions.v1'>
  /** How a sum counts the denial if it cannot be an event of its own. */
  counted?: { subject: string; reason: string }
}

/**
 * Denials as evidence: a denial is answered at once and published later. Calls that were never authenticated cannot fill the log: they
 * are counted by enforcement point and reason, and summarised once a minute (decision 43). Denials beyond an agent's share, and those
 * that an event has no room for, are counted as well. The queue is bounded; a denial that finds it full is counted too.
 */
export class Denials implements AsyncDisposable {
  readonly #ports: Ports
  readonly #dropped: () => void
  readonly #queue: Queued[] = []
  readonly #counts = new Map<string, { subject: string; reason: string; count: number }>()
  readonly #proven = new PerWindow(1000, eventsPerSecond)
  readonly #unproven = new PerWindow(60_000, unprovenPerMinute)
  readonly #timer: NodeJS.Timeout
  #since: number
  #draining: Promise<void> | undefined
  readonly #stop = new AbortController()

  constructor(ports: Ports, dropped: () => void) {
    this.#ports = ports
    this.#dropped = dropped
    this.#since = ports.clock.now()
    this.#timer = setInterval(() => this.#summarise(), summaryEveryMs)
  }

  get length(): number {
    return this.#queue.length
  }

  /** A denial of a call whose credential verified is an event of its own; any other is counted. */
  add(point: EnforcementPoint, request: EvaluationRequest, denied: Denied): void {
    const { token, reason, unproven = false } = denied
    if (!token) {
      this.#count(point.id, reason)
      return
    }
    const caller = actingAgent(token)
    const now = this.#ports.clock.monotonic()
    const flood = (unproven && !this.#unproven.hasRoom(caller, now)) || !this.#proven.hasRoom(caller, now)
    if (flood) {
      // The sum names the point, not the agent: others used its credential.
      this.#count(unproven ? point.id : caller, reason)
      return
    }
    const data = {
      decision_id: denied.decisionId,
      ...(denied.callId === undefined ? {} : { call_id: denied.callId }),
      reason,
      enforcement_point: point.id,
      actor: {
        agent: token.sub,
        credential_id: token.jti,
        grant_id: token.grant.id,
        request_id: token.grant.request,
        ...actedAs(token),
      },
      ...actedBetween(token),
      ...(request.digest === undefined ? {} : { action: { name: request.action.name, resource: request.resource } }),
      ...policySetOf(denied.policySet ?? this.#ports.policies.current()?.hash),
      ...(denied.policies && denied.policies.length > 0 ? { policies: denied.policies.slice(0, 64) } : {}),
      requestable: isRequestable(reason),
    }
    const draft = { type: 'decision.denied' as const, subject: denied.decisionId, key: token.grant.root, data }
    this.#put({ draft, counted: { subject: caller, reason } })
  }

  /** A caller that did not authenticate. */
  unauthenticated(): void {
    this.#count('unauthenticated', 'caller_unauthenticated')
  }

  /** A call over the quota of its agent or grant. */
  overQuota(point: EnforcementPoint): void {
    this.#count(point.id, 'decision_quota_exceeded')
  }

  #count(subject: string, reason: string): void {
    const key = `${subject} ${reason}`
    const isFull = this.#counts.size >= longestSummary - 1 && !this.#counts.has(key)
    const known = this.#counts.get(isFull ? others : key) ?? {
      ...(isFull ? { subject: others, reason: others } : { subject, reason }),
      count: 0,
    }
    known.count++
    this.#counts.set(isFull ? others : key, known)
  }

  #summarise(): void {
    const denials = [...this.#counts.values()]
    const from = new Date(this.#since).toISOString()
    this.#since = this.#ports.clock.now()
    if (denials.length === 0) return
    this.#counts.clear()
    const to = new Date(this.#since).toISOString()
    this.#put(summaryOf({ from, to, denials }))
  }

  #put(queued: Queued): void {
    if (this.#queue.length >= longestQueue) {
      this.#dropped()
      return
    }
    this.#queue.push(queued)
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined
    })
  }

  async #drain(): Promise<void> {
    await undefined
    while (this.#queue.length > 0) await this.#publish(this.#queue.splice(0, batch))
  }

  async #publish(queued: readonly Queued[]): Promise<void> {
    try {
      const drafts = queued.map(({ draft }) => draft)
      await recordOnceTaken(this.#ports.record, drafts, this.#stop.signal)
    } catch (error) {
      // A numbered denial stays in hand until it is durable. A denial that is not read back in time is durable.
      if (errorCode(error) !== 'event_too_large') return
      // Nothing of it was published. An oversized denial fails alone.
      for (const part of queued.length > 1 ? halvesOf(queued) : []) await this.#publish(part)
      if (queued.length === 1) await this.#tooLarge(queued[0] as Queued)
    }
  }

  async #tooLarge({ draft, counted }: Queued): Promise<void> {
    if (draft.type === 'denials.summarised' && draft.data.denials.length > 1) {
      for (const denials of halvesOf(draft.data.denials)) await this.#publish([summaryOf({ ...draft.data, denials })])
      return
    }
    this.#ports.logger.error(
      { error_code: 'event_too_large', subject: draft.subject, ...counted },
      'a denial is no event',
    )
    if (counted) this.#count(counted.subject, counted.reason)
    else this.#dropped()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#stop.abort()
    // Drain before the last sum, which counts the denials that turn out to be too large.
    await this.#draining
    this.#summarise()
    await this.#draining
  }
}

/** A limit per subject and window of time. */
class PerWindow {
  readonly #ms: number
  readonly #most: number
  readonly #counts = new Map<string, number>()
  #window = 0

  constructor(ms: number, most: number) {
    this.#ms = ms
    this.#most = most
  }

  /** Takes one; `now` is monotonic. */
  hasRoom(subject: string, now: number): boolean {
    const window = Math.floor(now / this.#ms)
    if (window !== this.#window) this.#counts.clear()
    this.#window = window
    const count = (this.#counts.get(subject) ?? 0) + 1
    this.#counts.set(subject, count)
    return count <= this.#most
  }
}

type Summary = Extract<Draft<'decisions.v1'>, { type: 'denials.summarised' }>['data']

const summaryOf = (data: Summary): Queued => ({ draft: { type: 'denials.summarised', subject: 'denials', data } })

const policySetOf = (hash: string | undefined) => (hash === undefined ? {} : { policy_set: hash })
