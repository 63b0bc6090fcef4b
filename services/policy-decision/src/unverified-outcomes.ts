import type { ErrorCode } from '@bailiwick/errors'
import type { Logger, Metrics } from '@bailiwick/service-kit'

/** The enforcement points whose outcomes this decision point cannot verify. Such a point lets no call through (decision 55). */
export class UnverifiedOutcomes {
  readonly #count: { inc(labels: { enforcement_point: string }): void }
  readonly #logger: Pick<Logger, 'warn'>
  readonly #points = new Set<string>()

  constructor(metrics: Pick<Metrics, 'counter'>, logger: Pick<Logger, 'warn'>) {
    this.#logger = logger
    this.#count = metrics.counter(
      'outcomes_unverified_total',
      'Outcomes that do not verify by the outcome key of their enforcement point in the registry',
      ['enforcement_point'],
    )
  }

  /** Logs the first one since an outcome of this point was verified. */
  begin(point: string, code: ErrorCode): void {
    this.#count.inc({ enforcement_point: point })
    if (this.#points.has(point)) return
    this.#points.add(point)
    this.#logger.warn({ enforcement_point: point, code }, 'outcomes of this enforcement point cannot be verified')
  }

  /** An outcome of this point was verified and counts. */
  end(point: string): void {
    this.#points.delete(point)
  }
}
