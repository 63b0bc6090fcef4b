import type { ServiceName } from '@bailiwick/contracts'
import type { Producer } from './producer.ts'
import type { Projection } from './projection.ts'

const headEveryMs = 500
/** A revocation does not wait for the next regular head, because a caller may be waiting to see it applied. Many revocations share one. */
const soonMs = 20
const soonEveryMs = 100
/** How long a stop waits for events that are on their way to the bus, ms. */
const settledWithinMs = 2000

export interface HeadPublisher extends AsyncDisposable {
  /** Publishes a head at once. Resolves when the head was read back, or could not be. */
  now(): Promise<void>
  /**
   * The monotonic time up to which this instance certainly kept the active instance's place: when it began to publish its newest head that
   * was read back and kept that place. Before its first such head: when it began to publish at all. A head that is read back too late to
   * prove freshness can still have kept the place. Where all instances of a service act, each `active` head that counts does this.
   */
  provedAt(): number
  /**
   * How long heads take to come back from the log, in ms: the newest one, or the one now awaited if that has already taken longer. Only
   * this process writes them, so this measures how slow process and bus are, whichever requests arrive.
   */
  latencyMs(): number
}

/**
 * Publishes this instance's signed head every 500 ms, soon after it has folded a revocation, and at stop (DESIGN §4). Start it after
 * the projection has read the service's own topics to their ends: the head must name the last event that counts in each, by any writer.
 */
export function publishHeads(options: {
  producer: Producer
  projection: Projection
  service: ServiceName
  /** The topics that the service writes. */
  writes: readonly string[]
  active: () => boolean
  /** ms of a clock that never goes back. */
  monotonic: () => number
  /** Called at the first failed head after a published one. Publishing is retried; readers go stale meanwhile, which is safe. */
  onError: (error: unknown) => void
}): HeadPublisher {
  const { producer, projection, service, writes, active, monotonic, onError } = options
  let provedAt = monotonic()
  let tookMs = 0
  const publish = async (stopping: boolean) => {
    const { sequence, hash } = producer.end
    const isActive = active()
    const began = monotonic()
    const [head] = await producer.publish('heads.v1', [
      {
        type: 'head.published',
        subject: producer.source,
        data: {
          service,
          producer: producer.source,
          active: isActive,
          sequence,
          hash,
          counted: projection.counted(
            [...new Set([...writes, 'revocations.v1'])].filter((topic) => projection.follows(topic)),
          ),
          read: projection.positions(),
          stopping,
        },
      },
    ])
    isFailing = false
    if (head === undefined || began < provedAt) return
    // A void head may be late only, and have kept the place. Or it kept nothing, and other instances may claim the place meanwhile.
    const keptPlace =
      head.verdict === 'counts' ? isActive && !stopping : projection.heads.leader(service)?.id === head.id
    if (!keptPlace) return
    provedAt = began
    tookMs = monotonic() - began
  }
  let isFailing = false
  const tell = (error: unknown) => {
    if (!isFailing) onError(error)
    isFailing = true
  }
  const running = new Set<Promise<void>>()
  let begunAt = monotonic()
  let soon: NodeJS.Timeout | undefined
  const tick = () => {
    clearTimeout(soon)
    soon = undefined
    begunAt = monotonic()
    const ticking = publish(false)
      .catch(tell)
      .finally(() => running.delete(ticking))
    running.add(ticking)
    return ticking
  }
  const unsubscribe = projection.onFact(({ event, verdict }) => {
    if (event.type !== 'revocation.declared' || verdict !== 'counts') return
    soon ??= setTimeout(tick, Math.max(soonMs, begunAt + soonEveryMs - monotonic()))
  })
  tick()
  const timer = setInterval(tick, headEveryMs)
  return {
    now: tick,
    provedAt: () => provedAt,
    latencyMs: () => Math.max(tookMs, monotonic() - provedAt - headEveryMs),
    async [Symbol.asyncDispose]() {
      unsubscribe()
      clearTimeout(soon)
      clearInterval(timer)
      // No further head may be published after the last one.
      await Promise.all(running)
      await producer.finish(settledWithinMs)
      await publish(true).catch(tell)
    },
  }
}
