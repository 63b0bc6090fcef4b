import { setTimeout } from 'node:timers/promises'
import type { RevocationKind } from '@bailiwick/contracts'
import type { SigningKey } from '@bailiwick/credentials'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import type { Granted } from './world.ts'

const perSecond = 200
const beforeMs = 30
const afterMs = 60
/** The other one's credential lives five minutes. */
const renewedMs = 120_000

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
  prey(kind: RevocationKind): Promise<Prey>
  /** To a sub-agent of whose grant this is. */
  passOn(granted: Granted): Promise<Prey>
  ask(prey: Prey, n: number): Promise<Probed>
  /** Resolves when it is acknowledged. */
  revoke(kind: RevocationKind, target: string): Promise<void>
}

interface Watched extends Prey {
  madeAt: number
  acknowledgedAt: number
  lastAllow: number
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
])

/** Revokes again and again, under load, and keeps when each that was to end was last allowed. */
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

  async run(count: number, progress: (done: number) => void) {
    const watched: Watched[] = []
    const killsMany = !['credential', 'delegation', 'grant'].includes(this.#kind)
    const started = performance.now()
    const load = this.#load()
    for (let n = 0; n < count; n++) {
      progress(n)
      if (!this.#other || performance.now() - this.#other.madeAt > renewedMs) this.#other = await this.#make()
      const prey = await this.#make()
      this.#prey = prey
      await setTimeout(beforeMs)
      await this.#reach.revoke(this.#kind, this.#targetOf(prey))
      const ended = killsMany ? [prey, this.#other] : [prey]
      for (const each of ended) each.acknowledgedAt = performance.now()
      watched.push(...ended)
      await setTimeout(afterMs)
      this.#prey = undefined
      if (killsMany) this.#other = undefined
    }
    await load.stop()
    if (this.#failures.length > 0) throw this.#failures[0]
    const lags = watched.map(({ lastAllow, acknowledgedAt }) => Math.max(0, lastAllow - acknowledgedAt))
    return { lags, ...this.#tally, ms: performance.now() - started }
  }

  /** An open loop: a decision point that is slow is asked as often as one that is quick. */
  #load(): { stop(): Promise<void> } {
    const pending = new Set<Promise<void>>()
    let running = true
    const started = performance.now()
    const asking = (async () => {
      for (let n = 0; running; n++) {
        const prey = n % 2 === 0 ? (this.#prey ?? this.#other) : this.#other
        if (prey) {
          const asked = this.#ask(prey, n)
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

  async #ask(prey: Watched, n: number): Promise<void> {
    this.#tally.asked += 1
    const { decision, reason } = await this.#reach.ask(prey, n)
    if (decision) {
      this.#tally.allowed += 1
      prey.lastAllow = performance.now()
    } else if (late.has(reason)) this.#tally.late += 1
    else if (!over.has(reason)) throw new Error(`denied: ${reason}`)
  }

  async #make(): Promise<Watched> {
    const prey = await this.#reach.prey(this.#kind)
    return { ...prey, madeAt: performance.now(), acknowledgedAt: Number.POSITIVE_INFINITY, lastAllow: 0 }
  }

  #targetOf(prey: Prey): string {
    switch (this.#kind) {
      case 'credential':
        return jtiOf(prey.token)
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

const jtiOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti as string
