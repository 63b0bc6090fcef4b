import { setTimeout } from 'node:timers/promises'
import type { RevocationKind } from '@bailiwick/contracts'
import { errorCode } from '@bailiwick/errors'
import { Semaphore } from '@bailiwick/kit'
import { passing, persistently } from './patience.ts'
import type { Granted } from './world.ts'

const perSecond = 200
const beforeMs = 30
const afterMs = 60
/** The other decision point's credential lives five minutes. */
const renewedMs = 120_000
/**
 * If a target is still allowed this long after the answer, it has outlived every bound, and there is no use in waiting
 * for its end.
 */
const outlivedMs = 5000
/** How long a shared machine may take to answer at all. */
const saidWithinMs = 120_000
/** A machine that is too slow for the rate gets no more than this many calls at once. */
const unanswered = 32

/** A target of a revocation. */
export interface Prey extends Granted {
  /** The name that a revocation of its kind needs. */
  target: string
}

export interface Probed {
  decision: boolean
  reason?: string | undefined
}

/** The access to a system, in this process or over HTTP. */
export interface Reach {
  /** The number of decision points. */
  points: number
  /** The number of revocations under way at once, each with its own prober. `all` ends everything, so it has only one. */
  atOnce: number
  /** The number of further targets that are prepared. */
  ahead: number
  /** A target that no revocation of another lane (from 0 on) ends, except one of `all`. */
  prey(kind: RevocationKind, lane: number): Promise<Prey>
  /** A call that no revocation ends, except one of `all`. */
  other(): Promise<Granted>
  /** `point`: from 0 on. */
  ask(granted: Granted, point: number): Promise<Probed>
  /** Resolves when it is acknowledged. */
  revoke(kind: RevocationKind, target: string): Promise<void>
}

interface Watched extends Granted {
  madeAt: number
  /** The number of calls for it: decision points take turns. */
  asked: number
  acknowledgedAt: number
  lastAllow: number
  /** It was denied because it had ended, at any time. */
  ended: boolean
  /** The decision points that were called after the answer and denied it because it had ended. */
  deniedBy: Set<number>
}

/** The reasons for everything that a revocation may end. */
const over: ReadonlySet<string | undefined> = new Set([
  'credential_revoked',
  'grant_revoked',
  'agent_revoked',
  'approver_revoked',
  'tool_server_revoked',
  'everything_revoked',
  'delegation_revoked',
  'delegation_invalid',
])
export const isOver = (reason: string | undefined) => over.has(reason)

/** The answers that a busy machine may cause, and a tree for which two decision points decide at once. */
const late: ReadonlySet<string | undefined> = new Set([
  'deadline_exceeded',
  'state_stale',
  'evidence_unavailable',
  'state_contended',
  'credential_unrecorded',
  'proof_nonce_required',
  ...passing,
])
export const isLate = (reason: string | undefined) => late.has(reason)

/** Like `ask`, but an answer that is not a decision, or no answer, also counts as late: the machine may be busy. */
export async function askOf(reach: Pick<Reach, 'ask'>, granted: Granted, point: number): Promise<Probed> {
  try {
    return await reach.ask(granted, point)
  } catch (error) {
    if (!passing.has(errorCode(error))) throw error
    return { decision: false, reason: errorCode(error) }
  }
}

export interface Probe {
  /** The number of revocations. */
  revoked: number
  /** ms from the answer to the last ALLOW of each target; 0 where there was none. */
  lags: number[]
  /** The targets that were still allowed 5 s after the answer. */
  outlived: number
  asked: number
  allowed: number
  late: number
  ms: number
}

/**
 * Revokes repeatedly, under load, and records when each target was last allowed. Each target was allowed before, and is
 * called until every decision point has denied it: a target that was not called, or got no answer, would look like a
 * quick end.
 */
export class RevocationProbe {
  readonly #reach: Reach
  readonly #kind: RevocationKind
  readonly #tally = { asked: 0, allowed: 0, late: 0 }
  readonly #failures: unknown[] = []
  /** The targets that are about to end, or just ended, each called as often as the others. */
  readonly #probed = new Set<Watched>()
  readonly #watched: Watched[] = []
  readonly #revoking: Semaphore
  #other: Watched | undefined

  constructor(reach: Reach, kind: RevocationKind) {
    this.#reach = reach
    this.#kind = kind
    this.#revoking = new Semaphore(kind === 'all' ? 1 : reach.atOnce, Number.POSITIVE_INFINITY)
  }

  /** No revocation is begun after `seconds`. */
  async run(count: number, progress: (done: number) => void, seconds = Number.POSITIVE_INFINITY): Promise<Probe> {
    const { atOnce, ahead } = this.#reach
    // Targets that end together cannot be prepared in advance, but while one is called to its end, the next may be
    // made.
    const lanes = this.#kind === 'all' ? 2 : atOnce + ahead
    const started = performance.now()
    const load = this.#load()
    let begun = 0
    try {
      if (this.#kind !== 'all') await this.#renewOther()
      const working = Array.from({ length: Math.min(lanes, count) }, async (_, lane) => {
        while (begun < count && this.#failures.length === 0 && performance.now() - started < seconds * 1000) {
          progress(begun++)
          await this.#one(lane)
        }
      })
      await Promise.all(working.map((lane) => lane.catch((error: unknown) => void this.#failures.push(error))))
    } finally {
      await load.stop()
    }
    if (this.#failures.length > 0) throw this.#failures[0]
    const lags = this.#watched.map(({ lastAllow, acknowledgedAt }) => Math.max(0, lastAllow - acknowledgedAt))
    const outlived = lags.filter((lag) => lag > outlivedMs).length
    return { revoked: begun, lags, outlived, ...this.#tally, ms: performance.now() - started }
  }

  async #one(lane: number): Promise<void> {
    if (this.#kind === 'all') return await this.#everything()
    const first = await this.#make(lane)
    const ended = await this.#revoking.run(async () => {
      await this.#renewOther()
      const prey = await this.#living(() => this.#make(lane), first)
      await this.#revoke(prey.target, [prey])
      await this.#untilOver([prey])
      return [prey]
    })
    for (const each of ended) this.#probed.delete(each)
  }

  /** The target in use meanwhile dies too, and is watched as well. A target made before the answer would be dead at birth. */
  async #everything(): Promise<void> {
    const ended = await this.#revoking.run(async () => {
      const made = await Promise.all([0, 1].map((n) => this.#living(() => this.#make(n))))
      await this.#revoke('*', made)
      return made
    })
    this.#other = ended[0]
    await this.#untilOver(ended)
    for (const each of ended) this.#probed.delete(each)
  }

  async #revoke(target: string, ended: readonly Watched[]): Promise<void> {
    await this.#reach.revoke(this.#kind, target)
    const acknowledgedAt = performance.now()
    for (const each of ended) each.acknowledgedAt = acknowledgedAt
    this.#watched.push(...ended)
  }

  async #untilOver(ended: readonly Watched[]): Promise<void> {
    await setTimeout(afterMs)
    await this.#until(() => ended.every((each) => this.#seen(each)))
  }

  /** Whether every decision point has reported its end, or never will. */
  #seen({ deniedBy, lastAllow, acknowledgedAt }: Watched): boolean {
    return deniedBy.size === this.#reach.points || lastAllow - acknowledgedAt > outlivedMs
  }

  /**
   * A target that was allowed and not reported as ended: a target that something else had ended would look like a quick
   * end. It is made anew while the console has not heard of the previous revocation, under which it is dead at birth.
   */
  async #living<W extends Watched>(make: () => Promise<W>, first?: W): Promise<W> {
    for (let made = first ?? (await make()); ; made = await make()) {
      this.#probed.add(made)
      await this.#until(() => made.lastAllow > 0 || made.ended)
      if (!made.ended) await setTimeout(beforeMs)
      if (!made.ended) return made
      this.#probed.delete(made)
    }
  }

  /** Fails with the first answer that must not happen, or when no decisive answer ever comes. */
  async #until(condition: () => boolean): Promise<void> {
    for (const end = performance.now() + saidWithinMs; !condition(); await setTimeout(5)) {
      if (this.#failures.length > 0) throw this.#failures[0]
      if (performance.now() > end) throw new Error(`${this.#kind}: neither allowed nor over for ${saidWithinMs} ms`)
    }
  }

  /** An open loop: a slow decision point is called as often as a fast one. */
  #load(): { stop(): Promise<void> } {
    const pending = new Set<Promise<void>>()
    let running = true
    const started = performance.now()
    const asking = (async () => {
      for (let n = 0; running; n++) {
        const turns = [...this.#probed]
        if (turns.length < 2 && this.#other) turns.push(this.#other)
        const next = turns[n % turns.length]
        if (next && pending.size < unanswered) {
          const asked = this.#ask(next, next.asked++ % this.#reach.points)
            .catch((error: unknown) => void this.#failures.push(error))
            .finally(() => pending.delete(asked))
          pending.add(asked)
        }
        await setTimeout(Math.max(0, started + ((n + 1) * 1000) / perSecond - performance.now()))
      }
    })()
    return {
      async stop() {
        running = false
        await asking
        await Promise.all(pending)
      },
    }
  }

  async #ask(watched: Watched, point: number): Promise<void> {
    this.#tally.asked += 1
    const askedAt = performance.now()
    const { decision, reason } = await askOf(this.#reach, watched, point)
    if (decision) {
      this.#tally.allowed += 1
      watched.lastAllow = performance.now()
    } else if (isOver(reason)) {
      watched.ended = true
      if (askedAt >= watched.acknowledgedAt) watched.deniedBy.add(point)
    } else if (isLate(reason)) this.#tally.late += 1
    else throw new Error(`denied: ${reason}`)
  }

  async #make(lane: number): Promise<Watched & Prey> {
    return watch(await persistently(() => this.#reach.prey(this.#kind, lane)))
  }

  async #renewOther(): Promise<void> {
    if (this.#other && performance.now() - this.#other.madeAt < renewedMs) return
    this.#other = watch(await persistently(() => this.#reach.other()))
  }
}

const watch = <G extends Granted>(granted: G): Watched & G => ({
  ...granted,
  madeAt: performance.now(),
  asked: 0,
  acknowledgedAt: Number.POSITIVE_INFINITY,
  lastAllow: 0,
  ended: false,
  deniedBy: new Set(),
})

export const claimsOf = (token: string): { jti: string; exp: number } =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
