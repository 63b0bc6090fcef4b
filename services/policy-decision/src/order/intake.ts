import { ServiceError } from '@bailiwick/errors'

export interface IntakeOptions {
  /** How many calls are begun in one turn of the event loop, at most. */
  perTurn: number
  /** How many calls of one lane may be begun and not over, at most. */
  atOnce: number
  /** How many calls of one lane may be begun or wait, at most. */
  most: number
  /** How long a call may take from its beginning, in ms. */
  deadlineMs: number
  /** Whether the whole process is slow. A call that is late meanwhile need not be its own lane's fault. */
  isSlow: () => boolean
  /** ms */
  monotonic: () => number
}

/** The questions that the intake asks about a waiting call. */
export interface Caller {
  /** Whether the caller no longer waits for the answer. */
  isGone?: (() => boolean) | undefined
  /** Whether the call came with others in one request, which has more time. */
  isOneOfMany?: (() => boolean) | undefined
}

/** A call that was begun. */
export interface Place {
  /** Idempotent. */
  leave(): void
}

interface Waiting extends Caller {
  begin(place: Place): void
  turnAway(): void
  /** How many sweeps the call has waited through. */
  sweeps: number
}

interface Begun {
  /** ms, monotonic */
  at: number
  isSwept: boolean
  /** Whether the call counts against the window of all lanes. */
  counts: boolean
}

interface Lane {
  window: Window
  begun: Map<Place, Begun>
  waiting: Set<Waiting>
}

/** The first window of a new lane, and the first window of all lanes together. */
const [firstWindow, firstWindowOfAll] = [16, 64]
/** Sweeps per deadline. */
const sweeps = 4
/** How many sweeps a call may wait to be begun, and how many if the process is slow: its caller gives up after two deadlines. */
const [mostSweeps, mostSweepsIfSlow] = [10 * sweeps, sweeps]

/** One call every eight deadlines, over all lanes: this call shows the process when calls are in time again. */
const leastWindowOfAll = 1 / 16

interface WindowBounds {
  least: number
  most: number
  /** A call that took longer was slow. */
  slowMs: number
  /** A call that took longer was too late. */
  lateMs: number
}

/**
 * How many calls may be under way at once. A call that took too long halves the window; any other call adds one, as in TCP. Calls that
 * were begun before the last cut do not cut it again. Only calls that were too late make it less than one.
 */
class Window {
  size: number
  readonly #bounds: WindowBounds
  #cutAt = Number.NEGATIVE_INFINITY

  constructor(first: number, bounds: WindowBounds) {
    this.size = Math.min(first, bounds.most)
    this.#bounds = bounds
  }

  /** Adjusts the window after a call that was begun at `at`. */
  over(at: number, now: number, may: { grow: boolean; shrink: () => boolean }): void {
    const { least, most, slowMs, lateMs } = this.#bounds
    const ms = now - at
    if (ms <= (this.size < 1 ? lateMs : slowMs)) {
      if (may.grow) this.size = Math.min(this.size < 1 ? 2 * this.size : this.size + 1, most)
    } else if (at >= this.#cutAt && may.shrink()) {
      const half = this.size > 1 ? Math.max(1, Math.floor(this.size / 2)) : this.size / 2
      if (half >= 1 || ms > lateMs) this.size = Math.max(least, half)
      this.#cutAt = now
    }
  }
}

/**
 * Decides when each call begins, so that begun calls are answered before more begin. If 500 calls arrived at once and all 500 signatures
 * were verified first, no time would be left for any decision. A few calls begin in each turn of the event loop, so that they share a
 * durable write. Lanes take turns (V18), and within a lane the oldest call begins first. The number of calls that one lane may have begun
 * follows from their duration: the slower the machine, the store or the broker, the fewer. The number over all lanes follows it as well,
 * but only while the whole process is slow (decision 57). A lane that is slow by itself holds up no other lane: its calls do not shrink
 * the window of all lanes, and count against it for at most half a deadline.
 */
export class Intake implements Disposable {
  readonly #options: IntakeOptions
  readonly #lanes = new Map<string, Lane>()
  /** Lanes that may begin a call, in the order of their turns. */
  readonly #ready = new Set<string>()
  readonly #sweeper: NodeJS.Timeout
  readonly #window: Window
  /** Begun calls that count against `#window`. */
  #counting = 0
  /** When the last call of any lane was begun. */
  #begunAt = Number.NEGATIVE_INFINITY
  #turn: NodeJS.Immediate | undefined

  constructor(options: IntakeOptions) {
    this.#options = options
    const { deadlineMs } = options
    const bounds = { least: leastWindowOfAll, most: Number.MAX_SAFE_INTEGER }
    this.#window = new Window(firstWindowOfAll, { ...bounds, slowMs: deadlineMs / 2, lateMs: deadlineMs })
    this.#sweeper = setInterval(() => this.#sweep(), deadlineMs / sweeps).unref()
  }

  /** How many calls of all lanes may be begun now. */
  get window(): number {
    return this.#window.size
  }

  /**
   * Resolves once the call may begin. Rejects with `queue_full` if too many calls of its lane are under way, if it waited too long, or
   * if its caller has gone meanwhile. A rejected call was not begun.
   */
  async enter(key: string, caller: Caller = {}): Promise<Place> {
    const { atOnce, most, deadlineMs } = this.#options
    const lane: Lane = this.#lanes.get(key) ?? {
      window: new Window(firstWindow, { least: 1, most: atOnce, slowMs: deadlineMs / 4, lateMs: deadlineMs }),
      ...{ begun: new Map(), waiting: new Set() },
    }
    if (lane.begun.size + lane.waiting.size >= most)
      throw new ServiceError('queue_full', 'too many calls of this credential are under way')
    this.#lanes.set(key, lane)
    const { promise, resolve, reject } = Promise.withResolvers<Place>()
    const turnAway = () => reject(new ServiceError('queue_full', 'too many calls came before this one'))
    lane.waiting.add({ ...caller, begin: resolve, turnAway, sweeps: 0 })
    this.#settle(key, lane)
    return promise
  }

  /** Updates the bookkeeping after a lane changes: whether it may begin a call, and whether the lane is kept. */
  #settle(key: string, lane: Lane): void {
    if (this.#mayBegin(lane)) this.#ready.add(key)
    else this.#ready.delete(key)
    if (lane.waiting.size === 0 && lane.begun.size === 0) this.#lanes.delete(key)
    this.#schedule()
  }

  /** Begins calls once all requests of this turn were read: reading requests must not use up a decision's time. */
  #schedule(): void {
    if (this.#ready.size > 0 && this.#hasRoom) this.#turn ??= setImmediate(() => this.#beginSome())
  }

  get #hasRoom(): boolean {
    const { size } = this.#window
    if (size >= 1) return this.#counting < size
    const { deadlineMs, monotonic } = this.#options
    return monotonic() - this.#begunAt >= deadlineMs / 2 / size
  }

  #mayBegin({ begun, waiting, window }: Lane): boolean {
    return waiting.size > 0 && begun.size < window.size
  }

  #leave(key: string, lane: Lane, place: Place): void {
    const begun = lane.begun.get(place)
    if (begun === undefined) return
    lane.begun.delete(place)
    const { at } = begun
    const now = this.#options.monotonic()
    lane.window.over(at, now, { grow: true, shrink: () => true })
    // A window that limits nothing does not grow. Otherwise its first cuts would have no effect. Below 1 it limits by pacing alone.
    const grow = this.#window.size < 1 || 2 * this.#counting >= this.#window.size
    this.#window.over(at, now, { grow, shrink: this.#options.isSlow })
    this.#discount(begun)
    this.#settle(key, lane)
  }

  #discount(begun: Begun): void {
    if (begun.counts) this.#counting--
    begun.counts = false
  }

  #beginSome(): void {
    this.#turn = undefined
    for (let begun = 0; begun < this.#options.perTurn && this.#hasRoom; begun++) if (!this.#beginOne()) return
  }

  /** Begins one call. Returns whether there was one to begin. */
  #beginOne(): boolean {
    for (const key of this.#ready) {
      this.#ready.delete(key)
      const lane = this.#lanes.get(key)
      const [next] = lane?.waiting ?? []
      if (!lane || !next || !this.#mayBegin(lane)) continue
      lane.waiting.delete(next)
      if (next.isGone?.() !== true) {
        const place = { leave: () => this.#leave(key, lane, place) }
        this.#begunAt = this.#options.monotonic()
        lane.begun.set(place, { at: this.#begunAt, isSwept: false, counts: true })
        this.#counting++
        this.#settle(key, lane)
        next.begin(place)
        return true
      }
      this.#settle(key, lane)
      next.turnAway()
    }
    return false
  }

  /**
   * Turns away calls that waited too long. It counts sweeps and not time, since no call gets a turn while the machine is held up.
   * A begun call counts against the window of all lanes until its second sweep: a call that waits for a slow broker must not keep
   * others from beginning.
   */
  #sweep(): void {
    const isSlow = this.#options.isSlow()
    if (!isSlow) this.#window.size = Math.max(1, this.#window.size)
    const most = isSlow ? (this.#window.size < 1 ? 1 : mostSweepsIfSlow) : mostSweeps
    for (const [key, lane] of this.#lanes) {
      for (const begun of lane.begun.values()) {
        if (begun.isSwept) this.#discount(begun)
        begun.isSwept = true
      }
      for (const waiting of lane.waiting) {
        const mayWaitLonger = this.#window.size >= 1 && waiting.isOneOfMany?.() === true
        if (++waiting.sweeps < (mayWaitLonger ? mostSweeps : most)) continue
        lane.waiting.delete(waiting)
        waiting.turnAway()
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
