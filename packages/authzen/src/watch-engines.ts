import type { Logger, Metrics } from '@bailiwick/host'
import type { RandomSource } from '@bailiwick/kit'
import { type EngineDifference, EngineWatch, oneIn } from '@bailiwick/policy'

/** A comparison must not hold up the answer that it is about, and a durable decision takes a while. */
const compareAfterMs = 1000
/** The most comparisons that wait, each with its request in memory. The rest are left out: other requests show a difference too. */
const mostWaiting = 64

export interface WatchEnginesOptions {
  metrics: Metrics
  logger: Logger
  /** On average, one of this many decisions of the compiled engine is compared with Cedar's. */
  compareOneIn: number
  /** Chooses them: no caller may know which. */
  random: RandomSource
  /** Gets each difference, beside the alarm. Must not throw. */
  onDifferent?(difference: EngineDifference): void
  /** Default: a timer that does not keep the process alive. */
  after?(ms: number, run: () => void): void
}

/** Counts which engine answers, and raises the alarm when the two differ. */
export function watchEngines(options: WatchEnginesOptions): EngineWatch {
  const { metrics, logger, compareOneIn, random, onDifferent, after = unheld } = options
  const answers = metrics.counter(
    'policy_answers_total',
    'Answers of policies, by the engine that gave them; for cedar, why the compiled engine did not',
    ['engine', 'why'],
  )
  const comparisons = metrics.counter(
    'policy_comparisons_total',
    'Answers compared between the two engines; `skipped`: too many waited; `failed`: Cedar could not be asked',
    ['result'],
  )
  // Prometheus sees no increase in a series that first appears with 1.
  comparisons.inc({ result: 'different' }, 0)
  let waiting = 0
  return new EngineWatch(
    {
      answered: (engine, why) => answers.inc({ engine, why }),
      compared: (result) => comparisons.inc({ result }),
      different: (difference) => {
        const { policySet, compiled, cedar } = difference
        logger.error(
          {
            policy_set: policySet,
            compiled,
            cedar: { outcome: cedar.outcome, policies: 'policies' in cedar ? cedar.policies : [] },
          },
          'COMPILED POLICIES DIFFER FROM CEDAR: Cedar decides by this set from now on',
        )
        onDifferent?.(difference)
      },
    },
    oneIn(compareOneIn, random),
    (compare) => {
      if (waiting >= mostWaiting) {
        comparisons.inc({ result: 'skipped' })
        return
      }
      waiting++
      after(compareAfterMs, () => {
        waiting--
        compare()
      })
    },
  )
}

const unheld = (ms: number, run: () => void): void => void setTimeout(run, ms).unref()
