export interface OutcomeGraceOptions {
  /** Whether this decision point is proved fresh: else it may lack the bus, or the machine, and takes no outcome. */
  fresh: () => boolean
  monotonic: () => number
  /** How long an outcome is due, in ms. */
  dueMs: number
}

/**
 * When an overdue outcome may be said to be missing. While a decision point cannot take outcomes, they wait at their enforcement points, which
 * try again every 5 s at most. So it says nothing for a sixth of the time in which an outcome is due (10 s of a minute), from its start on and
 * after each time in which it was not fresh.
 */
export class OutcomeGrace {
  readonly #options: OutcomeGraceOptions
  #ableSince: number

  constructor(options: OutcomeGraceOptions) {
    this.#options = options
    this.#ableSince = options.monotonic()
  }

  /** To be asked again and again, at least once a second. */
  isOver(): boolean {
    const { fresh, monotonic, dueMs } = this.#options
    const now = monotonic()
    if (!fresh()) this.#ableSince = now
    return now - this.#ableSince >= dueMs / 6
  }
}
