import type { ServiceName } from '@bailiwick/contracts'
import type { Producer } from './producer.ts'
import type { Projection } from './projection.ts'

const headEveryMs = 500
/** A revocation is not kept for the next head: somebody may be waiting to see it applied. Many share one. */
const soonMs = 20
const soonEveryMs = 100

export interface HeadPublisher extends AsyncDisposable {
  /** Publishes a head at once; resolves when it was read back, or could not be. */
  now(): Promise<void>
  /**
   * Up to when others have surely heard of this instance, by its monotonic clock: when it began to publish the newest head
   * that it read back and that counts; at first, when it began at all. A head of the active instance that is read back too late to prove
   * anything fresh still keeps its place.
   */
  provedAt(): number
  /**
   * How long its heads take to come back from the log, in ms: the newest, or the one that it waits for, if that takes longer already. Nobody
   * but this process writes them, so this says how slow process and bus are, whatever is asked of them.
   */
  latencyMs(): number
}

/**
 * Publishes this instance's signed head each 500 ms, soon after it has folded a revocation, and at stop (DESIGN §4). Start it once the projection has read the
 * service's own topics to their ends, so that the head names the last event that counts in each, whoever wrote it.
 */
export function publishHeads(options: {
  producer: Producer
  projection: Projection
  service: ServiceName
  /** The topics that the service writes. */
  writes: readonly string[]
  active: () => boolean
  /** ms that never go back. */
  monotonic: () => number
  /** Called at the first failed head after one that was published. Publishing is tried again; readers go stale meanwhile, which is safe. */
  onError: (error: unknown) => void
}): HeadPublisher {
  const { producer, projection, service, writes, active, monotonic, onError } = options
  let provedAt = monotonic()
  let tookMs = 0
  const publish = async (stopping: boolean) => {
    const { sequence, hash } = producer.end
    const began = monotonic()
    const [head] = await producer.publish('heads.v1', [
      {
        type: 'head.published',
        subject: producer.source,
        data: {
          service,
          producer: producer.source,
          active: active(),
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
    const isHeard = head?.verdict === 'counts' || projection.heads.leader(service)?.producer === producer.source
    if (!isHeard || began < provedAt) return
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
      // Publish no further head after the last one.
      await Promise.all(running)
      await publish(true).catch(tell)
    },
  }
}
