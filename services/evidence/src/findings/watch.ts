import type { DecodedEvent } from '@bailiwick/contracts'
import type { Health, Logger, Metrics } from '@bailiwick/host'
import type { Voice } from '@bailiwick/instance'
import type { Clock } from '@bailiwick/kit'
import type { LeafIndex } from '../index/leaf-index.ts'
import type { Published } from '../log/log.ts'
import { Gaps, gapName } from './gaps.ts'
import type { Lag } from './lag.ts'

export interface WatchOptions {
  participant: Pick<Voice, 'projection' | 'producer'>
  index: Pick<LeafIndex, 'chainOf' | 'isTold'>
  checkpoint: () => Published
  lag: Pick<Lag, 'messages' | 'check' | 'consumed' | 'onReading'>
  clock: Clock
  logger: Logger
  health: Health
  metrics: Metrics
}

const everyMs = 1000

/** Reports lag and size as metrics and readiness, and gaps in producers' chains as findings (V15). */
export function startWatch(options: WatchOptions): AsyncDisposable & { published(leaves: number): void } {
  const { participant, index, checkpoint, lag, clock, logger, health, metrics } = options
  const leaves = metrics.counter('evidence_leaves_total', 'Leaves appended since the start')
  const size = metrics.gauge('evidence_log_size', 'Leaves under the published checkpoint')
  const age = metrics.gauge('evidence_checkpoint_age_seconds', 'Since the newest checkpoint was published')
  const behind = metrics.gauge('evidence_lag_events', 'Events on the bus that are not in the log')
  const missing = metrics.counter('evidence_gaps_total', 'Gaps found in producers’ chains')
  const unhealthy = health.check('evidence-lag', lag.check)
  const unseen = metrics.counter('evidence_heads_crowded_total', 'Heads past which no gap is looked for: too many wait')
  unseen.inc(0)
  const crowded = new Set<string>()
  const gaps = new Gaps({
    chainOf: (source) => index.chainOf(source),
    monotonic: () => clock.monotonic(),
    onCrowded(service) {
      unseen.inc()
      crowded.add(service)
    },
  })
  let publishedAt = clock.monotonic()
  size.set(checkpoint().size)

  const stopListening = participant.projection.onFact(({ topic, event }) => {
    if (topic === 'heads.v1') gaps.head(event as DecodedEvent<'heads.v1'>)
  })
  const stopReading = lag.onReading(() => gaps.reading())

  async function look(): Promise<void> {
    age.set((clock.monotonic() - publishedAt) / 1000)
    if (lag.messages !== undefined) behind.set(lag.messages)
    for (const service of crowded)
      logger.error({ of: service }, 'TOO MANY PRODUCERS LACK EVENTS: A GAP MAY STAY UNSEEN')
    crowded.clear()
    for (const gap of gaps.due(lag.consumed)) {
      // Reported gaps are in the log, so the next start knows them too.
      if (index.isTold(gapName(gap))) {
        gaps.told(gap)
        continue
      }
      missing.inc()
      logger.error({ producer: gap.producer, from: gap.from, to: gap.to }, 'gap_detected')
      const { producer, service, from, to, headTime: head_time } = gap
      const data = { producer, service, from, to, head_time }
      await participant.producer.publish('findings.v1', [{ type: 'gap.detected', subject: gapName(gap), data }])
      gaps.told(gap)
    }
  }
  let looking: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking.then(look).catch((error: unknown) => logger.error({ err: error }, 'watch failed'))
  }, everyMs)

  return {
    published(appended) {
      publishedAt = clock.monotonic()
      leaves.inc(appended)
      size.set(checkpoint().size)
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      stopListening()
      stopReading()
      unhealthy()
      await looking
    },
  }
}
