import { ServiceError } from '@bailiwick/errors'

export interface IntakeOptions {
  /** How many calls are begun in one turn of the event loop, at most. */
  perTurn: number
  /** How many calls of one lane may be begun and not over, at most. */
  atOnce: number
  /** How many may be begun or wait. */
  most: number
  /** A call that took longer was slow: its lane has half as many at once from then on. One that did not lets one more begin. */
  slowMs: number
  /** How long one may wait, in ms, not counting how long its first turn takes to come; at most twice as long. */
  waitMs: number
  /** ms */
  monotonic: () => number
}

/** A call that was begun. */
export interface Place {
  /** Again is no matter. */
  leave(): void
}

interface Waiting {
  begin(place: Place): void
  turnAway(): void
  isGone(): boolean
  /** Was there at the last sweep. */
  isSwept: boolean
}

interface Lane {
  /** How many may be begun at once, as things are. */
  window: number
  /** When it was last cut: what was begun before that does not cut it again. */
  cutAt: number
  /** When each was begun, the earliest first. */
  begun: Map<Place, number>
  waiting: Set<Waiting>
}

/** Of a lane that nothing is known of yet. */
const firstWindow = 16

/**
 * Begins calls, so that those that were begun are answered before more are: of 500 that come at once, 500 signatures verified first
 * would leave no time for any decision. A few calls are begun each turn of the event loop, so that they share a durable write: the lanes
 * in turn (V18), and within a lane the oldest first. The number of calls of a lane that are begun at once follows from their duration, as in
 * TCP (additive increase, multiplicative decrease): the slower the machine, the store or the broker, the fewer. A lane that is held up
 * holds up no other.
 */
export class Intake implements Disposable {
  readonly #options: IntakeOptions
  readonly #lanes = new Map<string, Lane>()
  /** Lanes that may begin a call, in their order. */
  readonly #ready = new Set<string>()
  readonly #sweeper: NodeJS.Timeout
  #turn: NodeJS.Immediate | undefined

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#sweeper = setInterval(() => this.#sweep(), options.waitMs).unref()
  }

  /**
   * Resolves once the call may begin. Rejects with `queue_full` where too many of its lane are under way, where it waited too long, and
   * where its caller has gone meanwhile (`isGone`): then nothing was begun.
   */
  async enter(key: string, isGone: () => boolean = () => false): Promise<Place> {
    const { atOnce, most } = this.#options
    const lane: Lane = this.#lanes.get(key) ?? {
      ...{ window: Math.min(firstWindow, atOnce), cutAt: Number.NEGATIVE_INFINITY },
      ...{ begun: new Map(), waiting: new Set() },
    }
    if (lane.begun.size + lane.waiting.size >= most)
      throw new ServiceError('queue_full', 'too many calls of this credential are under way')
    this.#lanes.set(key, lane)
    const { promise, resolve, reject } = Promise.withResolvers<Place>()
    const turnAway = () => reject(new ServiceError('queue_full', 'too many calls came before this one'))
    lane.waiting.add({ begin: resolve, turnAway, isGone, isSwept: false })
    this.#settle(key, lane)
    return promise
  }

  /** After a change of the lane: whether it may begin a call, and whether it is kept. */
  #settle(key: string, lane: Lane): void {
    if (this.#mayBegin(lane)) this.#ready.add(key)
    else this.#ready.delete(key)
    if (lane.waiting.size === 0 && lane.begun.size === 0) this.#lanes.delete(key)
    // Once all that came in this turn is here: reading requests is no part of a decision's time.
    if (this.#ready.size > 0) this.#turn ??= setImmediate(() => this.#beginSome())
  }

  #mayBegin({ begun, waiting, window }: Lane): boolean {
    return waiting.size > 0 && begun.size < window
  }

  #leave(key: string, lane: Lane, place: Place): void {
    const begunAt = lane.begun.get(place)
    if (begunAt === undefined) return
    lane.begun.delete(place)
    const now = this.#options.monotonic()
    if (now - begunAt <= this.#options.slowMs) lane.window = Math.min(lane.window + 1, this.#options.atOnce)
    else if (begunAt >= lane.cutAt) {
      lane.window = Math.max(1, Math.floor(lane.window / 2))
      lane.cutAt = now
    }
    this.#settle(key, lane)
  }

  #beginSome(): void {
    this.#turn = undefined
    for (let begun = 0; begun < this.#options.perTurn; begun++) if (!this.#beginOne()) return
  }

  /** Begins one call. Returns whether there was one to begin. */
  #beginOne(): boolean {
    for (const key of this.#ready) {
      this.#ready.delete(key)
      const lane = this.#lanes.get(key)
      const [next] = lane?.waiting ?? []
      if (!lane || !next || !this.#mayBegin(lane)) continue
      lane.waiting.delete(next)
      if (!next.isGone()) {
        const place = { leave: () => this.#leave(key, lane, place) }
        lane.begun.set(place, this.#options.monotonic())
        this.#settle(key, lane)
        next.begin(place)
        return true
      }
      this.#settle(key, lane)
      next.turnAway()
    }
    return false
  }

  /** One that was there at the last sweep has had that long: by sweeps, since while the machine is held up no turn comes either. */
  #sweep(): void {
    for (const [key, lane] of this.#lanes) {
      for (const waiting of lane.waiting) {
        if (waiting.isSwept) {
          lane.waiting.delete(waiting)
          waiting.turnAway()
        }
        waiting.isSwept = true
      }
      this.#settle(key, lane)
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweeper)
    clearImmediate(this.#turn)
    for (const { waiting } of this.#lanes.values()) for (const each of waiting) each.turnAway()
  }
}
