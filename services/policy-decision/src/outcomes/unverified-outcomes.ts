import type { EnforcementPoint } from '@bailiwick/contracts'
import { thumbprint } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'
import type { Logger, Metrics } from '@bailiwick/host'

/** The outcomes that this decision point cannot verify. A point lets no call through while one of its own start is among them (decision 55). */
export class UnverifiedOutcomes {
  readonly #count: { inc(labels: { enforcement_point: string }): void }
  readonly #logger: Pick<Logger, 'warn'>
  readonly #told = new Set<string>()

  constructor(metrics: Pick<Metrics, 'counter'>, logger: Pick<Logger, 'warn'>) {
    this.#logger = logger
    this.#count = metrics.counter(
      'outcomes_unverified_total',
      'Outcomes that do not verify by the outcome key of their enforcement point in the registry',
      ['enforcement_point'],
    )
  }

  /** Counts it, and logs the first of each point and outcome key: an earlier start may have left outcomes that never verify. */
  add({ id, outcome_jwk: jwk }: Pick<EnforcementPoint, 'id' | 'outcome_jwk'>, code: ErrorCode): void {
    this.#count.inc({ enforcement_point: id })
    const told = `${id} ${thumbprint(jwk)}`
    if (this.#told.has(told)) return
    this.#told.add(told)
    this.#logger.warn({ enforcement_point: id, code }, 'outcomes of this enforcement point cannot be verified')
  }
}
