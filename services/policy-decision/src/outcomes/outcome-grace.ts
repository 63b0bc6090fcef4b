export interface OutcomeGraceOptions {
  /** Whether this decision point is proved fresh. If not, it may lack the bus or the processor, and takes no outcome. */
  fresh: () => boolean
  monotonic: () => number
  /** How long an outcome is due, in ms. */
  dueMs: number
}

/**
 * Decides when an overdue outcome may be reported as missing. While a decision point cannot take outcomes, they wait at their enforcement
 * points, which try again within 5 s. The decision point therefore reports none as missing for a sixth of the time in which an outcome is
 * due (10 s of a minute), after its start and after each time in which it was not fresh.
 */
export class OutcomeGrace {
  readonly #options: OutcomeGraceOptions
  #ableSince: number

  constructor(options: OutcomeGraceOptions) {
    this.#options = options
    this.#ableSince = options.monotonic()
  }

  /** Call it at least once a second: these calls detect when the decision point is not fresh. */
  isOver(): boolean {
    const { fresh, monotonic, dueMs } = this.#options
    const now = monotonic()
    if (!fresh()) this.#ableSince = now
    return now - this.#ableSince >= dueMs / 6
  }
}
