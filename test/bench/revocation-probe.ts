import { setTimeout } from 'node:timers/promises'
import type { RevocationKind } from '@bailiwick/contracts'
import type { SigningKey } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { passing, persistently } from './patience.ts'
import type { Granted } from './world.ts'

const perSecond = 200
const beforeMs = 30
const afterMs = 60
/** The other one's credential lives five minutes. */
const renewedMs = 120_000
/** Whoever is still allowed so long after the answer has outlived every bound: no use to wait for its end. */
const outlivedMs = 5000
/** How long a machine that others use too may take to say anything at all. */
const saidWithinMs = 120_000
/** A machine that is too slow for the rate is not asked for more than that at once. */
const unanswered = 500

/** What is about to be revoked. */
export interface Prey extends Granted {
  /** Of whoever acts, where that is not the agent whose grant it is. */
  key: SigningKey<'agent'> | undefined
  delegation: string | undefined
}

export interface Probed {
  decision: boolean
  reason?: string | undefined
}

/** How a system is reached, in this process or over HTTP. */
export interface Reach {
  /** How many decision points there are. */
  points: number
  prey(kind: RevocationKind): Promise<Prey>
  /** To a sub-agent of whose grant this is. */
  passOn(granted: Granted): Promise<Prey>
  /** `point`: from 0 on. */
  ask(prey: Prey, point: number): Promise<Probed>
  /** Resolves when it is acknowledged. */
  revoke(kind: RevocationKind, target: string): Promise<void>
}

interface Watched extends Prey {
  madeAt: number
  acknowledgedAt: number
  lastAllow: number
  /** It was denied for being over, whenever. */
  ended: boolean
  /** Those that were asked after the answer, and denied it for being over. */
  deniedBy: Set<number>
}

/** Of everything that a revocation may end, the reason. */
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

/** What a busy machine makes of a decision, and a tree of which two decision points decide at once. */
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

/** As `ask`; what is answered instead of a decision, or not at all, on a busy machine is late too. */
export async function askOf(reach: Reach, prey: Prey, point: number): Promise<Probed> {
  try {
    return await reach.ask(prey, point)
  } catch (error) {
    if (!passing.has(errorCode(error))) throw error
    return { decision: false, reason: errorCode(error) }
  }
}

export interface Probe {
  /** ms from the answer to the last ALLOW, of each that was to end; 0 where there was none. */
  lags: number[]
  /** Those that were still allowed 5 s after the answer. */
  outlived: number
  asked: number
  allowed: number
  late: number
  ms: number
}

/**
 * Revokes again and again, under load, and keeps when each that was to end was last allowed. Each was allowed before, and is asked
 * until every decision point has denied it: what nobody asked for, or heard no answer to, would look like a quick end.
 */
export class RevocationProbe {
  readonly #reach: Reach
  readonly #kind: RevocationKind
  readonly #tally = { asked: 0, allowed: 0, late: 0 }
  readonly #failures: unknown[] = []
  #prey: Watched | undefined
  #other: Watched | undefined

  constructor(reach: Reach, kind: RevocationKind) {
    this.#reach = reach
    this.#kind = kind
  }

  async run(count: number, progress: (done: number) => void): Promise<Probe> {
    const watched: Watched[] = []
    const killsMany = !['credential', 'delegation', 'grant'].includes(this.#kind)
    const started = performance.now()
    const load = this.#load()
    try {
      for (let n = 0; n < count; n++) {
        progress(n)
        if (!this.#other || performance.now() - this.#other.madeAt > renewedMs)
          this.#other = await this.#living((made) => (this.#other = made))
        const prey = await this.#living((made) => (this.#prey = made))
        const ended = killsMany ? [prey, this.#other] : [prey]
        await setTimeout(beforeMs)
        await this.#reach.revoke(this.#kind, this.#targetOf(prey))
        for (const each of ended) each.acknowledgedAt = performance.now()
        watched.push(...ended)
        await setTimeout(afterMs)
        await this.#until(() => ended.every((each) => this.#seen(each)))
        this.#prey = undefined
        if (killsMany) this.#other = undefined
      }
    } finally {
      await load.stop()
    }
    if (this.#failures.length > 0) throw this.#failures[0]
    const lags = watched.map(({ lastAllow, acknowledgedAt }) => Math.max(0, lastAllow - acknowledgedAt))
    const outlived = lags.filter((lag) => lag > outlivedMs).length
    return { lags, outlived, ...this.#tally, ms: performance.now() - started }
  }

  /** Every decision point says that it is over, or it never will be. */
  #seen({ deniedBy, lastAllow, acknowledgedAt }: Watched): boolean {
    return deniedBy.size === this.#reach.points || lastAllow - acknowledgedAt > outlivedMs
  }

  /** One that was allowed. Made anew while the console has not heard of what was revoked before, under which it is dead at birth. */
  async #living(aim: (made: Watched) => void): Promise<Watched> {
    for (;;) {
      const made = await persistently(() => this.#make())
      aim(made)
      await this.#until(() => made.lastAllow > 0 || made.ended)
      if (made.lastAllow > 0) return made
    }
  }

  /** Fails with the first thing that must not be; when nothing of the kind is ever said, with that. */
  async #until(condition: () => boolean): Promise<void> {
    for (const end = performance.now() + saidWithinMs; !condition(); await setTimeout(5)) {
      if (this.#failures.length > 0) throw this.#failures[0]
      if (performance.now() > end) throw new Error(`${this.#kind}: neither allowed nor over for ${saidWithinMs} ms`)
    }
  }

  /** An open loop: a decision point that is slow is asked as often as one that is quick. */
  #load(): { stop(): Promise<void> } {
    const pending = new Set<Promise<void>>()
    let running = true
    const started = performance.now()
    const asking = (async () => {
      for (let n = 0; running; n++) {
        const prey = n % 2 === 0 ? (this.#prey ?? this.#other) : this.#other
        if (prey && pending.size < unanswered) {
          // In pairs: every second one goes to what is about to be revoked.
          const asked = this.#ask(prey, Math.floor(n / 2) % this.#reach.points)
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

  async #ask(prey: Watched, point: number): Promise<void> {
    this.#tally.asked += 1
    const askedAt = performance.now()
    const { decision, reason } = await askOf(this.#reach, prey, point)
    if (decision) {
      this.#tally.allowed += 1
      prey.lastAllow = performance.now()
    } else if (isOver(reason)) {
      prey.ended = true
      if (askedAt >= prey.acknowledgedAt) prey.deniedBy.add(point)
    } else if (isLate(reason)) this.#tally.late += 1
    else throw new Error(`denied: ${reason}`)
  }

  async #make(): Promise<Watched> {
    const prey = await this.#reach.prey(this.#kind)
    const madeAt = performance.now()
    return {
      ...prey,
      madeAt,
      acknowledgedAt: Number.POSITIVE_INFINITY,
      lastAllow: 0,
      ended: false,
      deniedBy: new Set(),
    }
  }

  #targetOf(prey: Prey): string {
    switch (this.#kind) {
      case 'credential':
        return claimsOf(prey.token).jti
      case 'delegation':
        return prey.delegation ?? ''
      case 'grant':
        return prey.grantId
      case 'agent':
        return sampleAgentId('reconciler')
      case 'approver':
        return sample.owner
      case 'tool-server':
        return sample.toolServer
      case 'all':
        return '*'
    }
  }
}

export const claimsOf = (token: string): { jti: string; exp: number } =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
