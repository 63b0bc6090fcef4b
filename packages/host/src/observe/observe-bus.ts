import type { Bus } from '@bailiwick/bus'
import { errorCode } from '@bailiwick/errors'
import type { BusOutage } from './bus-outage.ts'
import type { Metrics } from './metrics.ts'

/** These rejections published nothing. After every other rejection the outcome is unknown (the port's contract). */
const nothingPublished = new Set(['event_too_large', 'event_malformed', 'queue_full', 'bus_unavailable'])

/**
 * The same bus with metrics: how publishes to each topic end, and how long they take until durable. A head that does not become
 * durable makes every reader stale, so watch `heads.v1` above all. `outage` is called for each publish that begins and ends.
 */
export function observedBus(bus: Bus, metrics: Metrics, monotonic: () => number, outage?: BusOutage): Bus {
  const published = metrics.counter('bus_publishes_total', 'Publishes by how they ended: durable, refused, unknown', [
    'topic',
    'result',
  ])
  // For Prometheus, a series that first appears with 1 has not increased.
  for (const result of ['refused', 'unknown']) published.inc({ topic: 'heads.v1', result }, 0)
  const seconds = metrics.histogram('bus_publish_seconds', 'From a publish to its being durable', ['topic'])
  return {
    durableWithinMs: bus.durableWithinMs,
    async publish(topic, events) {
      const from = monotonic()
      const answered = outage?.begun()
      try {
        const positions = await bus.publish(topic, events)
        published.inc({ topic, result: 'durable' })
        seconds.observe({ topic }, (monotonic() - from) / 1000)
        return positions
      } catch (error) {
        published.inc({ topic, result: nothingPublished.has(errorCode(error)) ? 'refused' : 'unknown' })
        throw error
      } finally {
        answered?.()
      }
    },
    consume: (topics, group, handler) => bus.consume(topics, group, handler),
    follow: (topics, since, handler) => bus.follow(topics, since, handler),
    ends: (topic) => bus.ends(topic),
    [Symbol.asyncDispose]: () => {
      outage?.[Symbol.dispose]()
      return bus[Symbol.asyncDispose]()
    },
  }
}
