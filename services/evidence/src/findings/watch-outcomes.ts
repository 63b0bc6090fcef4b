import type { EventData } from '@bailiwick/contracts'
import type { Logger, Metrics } from '@bailiwick/host'
import type { Voice } from '@bailiwick/instance'
import type { Clock } from '@bailiwick/kit'
import type { LeafIndex } from '../index/leaf-index.ts'
import { chainName } from '../index/outcome-links.ts'
import { Gaps } from './gaps.ts'
import type { Lag } from './lag.ts'

export interface WatchOutcomesOptions {
  participant: { producer: Pick<Voice['producer'], 'publish'> }
  index: Pick<LeafIndex, 'outcomeChainOf' | 'unwholeOutcomes' | 'doubledOutcomes' | 'isTold'>
  lag: Pick<Lag, 'consumed' | 'onReading'>
  clock: Clock
  logger: Logger
  metrics: Metrics
}

const everyMs = 1000

/**
 * Checks how enforcement points number their outcomes. An instance has several outcomes on their way at once, and each states the number
 * up to which all had their last answer from a decision point. Evidence reads on to where the bus ended by then, and waits one more
 * minute. A number up to the stated one that is still missing was lost or never delivered (`outcome.skipped`). A missing number above it
 * may still wait, and is not a gap. A number with two outcomes is `outcome.contradicted`.
 */
export function watchOutcomes(options: WatchOutcomesOptions): AsyncDisposable {
  const { participant, index, lag, clock, logger, metrics } = options
  const skipped = metrics.counter('evidence_outcomes_skipped_total', 'Gaps found in what instances of points reported')
  const gaps = new Gaps({
    chainOf: (name) => index.outcomeChainOf(name),
    monotonic: () => clock.monotonic(),
    onCrowded: (point) =>
      logger.error({ enforcement_point: point }, 'TOO MANY INSTANCES LACK OUTCOMES: A GAP MAY STAY UNSEEN'),
  })
  const stopReading = lag.onReading(() => {
    for (const chain of index.unwholeOutcomes) {
      const [sequence, hash] = chain.last
      gaps.name(chainName(chain), { service: chain.point, sequence, hash, time: '' })
    }
    return gaps.reading()
  })

  /** The findings since the start about two outcomes under one number. */
  const said = new Set<string>()

  async function look(): Promise<void> {
    for (const gap of gaps.due(lag.consumed)) {
      const { producer, from, to } = gap
      const [enforcement_point = '', instance = ''] = producer.split(' ')
      const subject = `outcomes of ${producer}#${from}-${to}`
      if (!index.isTold(subject)) {
        skipped.inc()
        logger.error({ enforcement_point, instance, from, to }, 'outcome_skipped')
        const data = { enforcement_point, instance, from, to }
        await participant.producer.publish('findings.v1', [{ type: 'outcome.skipped', subject, data }])
      }
      gaps.told(gap)
    }
    for (const {
      decisionId: decision_id,
      point: enforcement_point,
      instance,
      sequence,
      hash,
    } of index.doubledOutcomes) {
      if (said.has(hash)) continue
      const data = { decision_id, enforcement_point, instance, sequence, of: 'sequence' as const, signed_sha256: hash }
      await tellContradicted(participant, index, data)
      said.add(hash)
    }
  }
  let looking: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking.then(look).catch((err: unknown) => logger.error({ err }, 'outcomes were not looked at'))
  }, everyMs)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      stopReading()
      await looking
    },
  }
}

type Contradicted = EventData<'findings.v1', 'outcome.contradicted'>

/** Publishes one finding for each outcome that contradicts another. */
export async function tellContradicted(
  { producer }: WatchOutcomesOptions['participant'],
  index: { isTold(name: string): boolean },
  data: Contradicted,
): Promise<void> {
  const subject = contradictionName(data)
  if (!index.isTold(subject)) await producer.publish('findings.v1', [{ type: 'outcome.contradicted', subject, data }])
}

export const contradictionName = ({
  decision_id,
  enforcement_point,
  signed_sha256,
}: Pick<Contradicted, 'decision_id' | 'enforcement_point' | 'signed_sha256'>): string =>
  `${decision_id} ${enforcement_point} ${signed_sha256}`
