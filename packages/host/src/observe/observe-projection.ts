import type { Clock } from '@bailiwick/kit'
import type { Metrics } from './metrics.ts'

/** The parts of a projection that are observed. */
export interface ObservedProjection {
  fresh(): boolean
  readonly heads: { active(service: 'issuer'): { receivedAt: number } | undefined }
  positions(): Record<string, Record<string, number>>
  onFact(
    listener: (fact: { topic: string; event: { type: string }; verdict: 'counts' | 'void' | 'repeated' }) => void,
  ): () => void
}

/**
 * Shows what one service of this process knows and how fresh that is. Readers are compared by what they have folded of each topic, so the
 * bus need not be asked. Only facts from now on are counted, not those that a start reads again.
 */
export function observeProjection(
  role: string,
  projection: ObservedProjection,
  {
    metrics,
    clock,
    producer,
    watchedTypes = [],
  }: {
    metrics: Metrics
    /** The producer of this role. */
    producer?: { readonly waiting: { events: number } | undefined }
    clock: Pick<Clock, 'monotonic'>
    /** Shown as 0 before their first event: for Prometheus, a series that first appears with 1 has not increased. */
    watchedTypes?: readonly string[]
  },
): void {
  metrics.gauge('projection_fresh', 'Whether the state is proved fresh: 1; 0: nothing is allowed', ['role'], (gauge) =>
    gauge.set({ role }, projection.fresh() ? 1 : 0),
  )
  metrics.gauge(
    'projection_head_age_seconds',
    'Since the newest head of the active issuer arrived; absent before the first',
    ['role'],
    (gauge) => {
      const newest = projection.heads.active('issuer')
      if (newest) gauge.set({ role }, (clock.monotonic() - newest.receivedAt) / 1000)
    },
  )
  metrics.gauge(
    'projection_folded_messages',
    'Messages of a topic that are behind this reader',
    ['role', 'topic'],
    (gauge) => {
      for (const [topic, partitions] of Object.entries(projection.positions()))
        gauge.set(
          { role, topic },
          Object.values(partitions).reduce((sum, offset) => sum + offset + 1, 0),
        )
    },
  )
  if (producer)
    metrics.gauge('events_in_hand', 'Numbered events that wait for the bus', ['role'], (gauge) =>
      gauge.set({ role }, producer.waiting?.events ?? 0),
    )
  const facts = metrics.counter('events_total', 'Events read since the start, by type and whether they count', [
    'role',
    'type',
    'verdict',
  ])
  for (const type of watchedTypes) facts.inc({ role, type, verdict: 'counts' }, 0)
  projection.onFact(({ topic, event, verdict }) => {
    if (topic !== 'heads.v1') facts.inc({ role, type: event.type, verdict })
  })
}
