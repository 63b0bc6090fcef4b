import { ServiceError } from '@bailiwick/errors'
import type { Clock } from '@bailiwick/kit'
import type { EnforcementPoint } from '@bailiwick/pep'
import { isSilence } from '../mcp/authenticate.ts'
import type { Owner } from '../mcp/claims.ts'
import type { Shares } from '../mcp/shares.ts'
import type { AccountSession } from './account-session.ts'

export interface SessionsOptions {
  point: Pick<EnforcementPoint, 'watch'>
  shares: Pick<Shares, 'sessions' | 'checkHeld'>
  clock: Pick<Clock, 'monotonic'>
  open: () => AccountSession
}

interface Held {
  readonly owner: Owner
  readonly session: AccountSession
  watched: Disposable | undefined
  lastUsed: number
}

/** How many sessions one application may have here, and how long one may be silent, in ms. */
const most = 1024
const idleMs = 900_000

/**
 * The sessions in one application, one for each holder of a grant: no two share a cookie. Each ends, with a log-out, as soon as its grant
 * does, or when it was silent for long.
 */
export class Sessions implements AsyncDisposable {
  readonly #options: SessionsOptions
  readonly #all = new Map<string, Held>()
  readonly #leaving = new Set<Promise<void>>()
  readonly #sweeper: NodeJS.Timeout
  #isOver = false

  constructor(options: SessionsOptions) {
    this.#options = options
    this.#sweeper = setInterval(() => this.#sweep(), 10_000).unref()
  }

  /**
   * The session of this holder, for a call that was allowed by this decision. Call it under a permit alone: what a credential merely claims
   * must open nothing. Throws `call_not_begun` if there is no room.
   */
  of(owner: Owner, decisionId: string): AccountSession {
    const held = this.#all.get(owner.key) ?? this.#open(owner)
    held.lastUsed = this.#options.clock.monotonic()
    this.#watch(held, decisionId)
    return held.session
  }

  #open(owner: Owner): Held {
    const { shares, open, clock } = this.#options
    if (this.#isOver) throw new ServiceError('call_not_begun', 'the application is no longer behind this gateway')
    if (this.#all.size >= most) throw new ServiceError('call_not_begun', 'too many sessions with this application')
    try {
      shares.checkHeld('sessions', owner.agent)
    } catch {
      throw new ServiceError('call_not_begun', 'the agent has too many sessions')
    }
    const held: Held = { owner, session: open(), watched: undefined, lastUsed: clock.monotonic() }
    this.#all.set(owner.key, held)
    shares.sessions.add(held)
    return held
  }

  /** A session goes on between calls, and must not outlive the grant that it was opened for. */
  #watch(held: Held, decisionId: string): void {
    held.watched?.[Symbol.dispose]()
    held.watched = this.#options.point.watch(decisionId, (reason) => {
      // A watch ends with its first word. While the decision point is away, no call reaches the session.
      if (isSilence(reason)) this.#watch(held, decisionId)
      else void this.#end(held)
    })
  }

  #end(held: Held): Promise<void> {
    if (this.#all.get(held.owner.key) === held) this.#all.delete(held.owner.key)
    this.#options.shares.sessions.delete(held)
    held.watched?.[Symbol.dispose]()
    const leaving = held.session.end().finally(() => this.#leaving.delete(leaving))
    this.#leaving.add(leaving)
    return leaving
  }

  #sweep(): void {
    const since = this.#options.clock.monotonic() - idleMs
    for (const held of this.#all.values()) if (held.lastUsed < since) void this.#end(held)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    clearInterval(this.#sweeper)
    for (const held of this.#all.values()) void this.#end(held)
    await Promise.all(this.#leaving)
  }
}
