import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bus, Message } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { kafkaAdmin, kafkaBus } from '@bailiwick/bus/kafka'
import { kafkaTopics } from '@bailiwick/contracts'
import type { GrantStore } from '@bailiwick/grant-store'
import { embeddedGrantStore } from '@bailiwick/grant-store/embedded'
import { redisGrantStore } from '@bailiwick/grant-store/redis'
import { logger as makeLogger } from '@bailiwick/host'
import { topicSettings } from '@bailiwick/host/process'
import { systemClock } from '@bailiwick/kit'
import { inject } from 'vitest'
import { namespacedBus } from './namespaced-bus.ts'

/**
 * The adapters behind both ports, empty: embedded, or Kafka and Redis in the project that starts them (DESIGN §11).
 * `ahead` is the number of ms by which every client's clock, and the bus's own, is ahead of the machine's. The bus must
 * be included because heads whose time differs from the bus's are ignored.
 */
export async function openAdapters(
  ahead: () => number = () => 0,
): Promise<{ bus: Bus; store: GrantStore } & AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const parts = inject('realParts')
  const now = () => systemClock.now() + ahead()
  if (parts === undefined || parts === 'missing') {
    const dir = mkdtempSync(join(tmpdir(), 'bailiwick-world-bus-'))
    opened.defer(() => rmSync(dir, { recursive: true, force: true }))
    const bus = opened.use(await embeddedBus({ dir: join(dir, 'bus'), ...topicSettings, now }))
    const store = opened.use(embeddedGrantStore({ dir: join(dir, 'grants'), now }))
    const owned = opened.move()
    return { bus, store, [Symbol.asyncDispose]: () => owned.disposeAsync() }
  }
  const logger = makeLogger({ service: 'world', level: 'silent' })
  const namespace = `world-${randomUUID()}`
  const connection = { brokers: parts.brokers, clientId: namespace }
  await using admin = await kafkaAdmin(connection)
  const topics = kafkaTopics({ dev: true }).map((topic) => ({ ...topic, name: `${namespace}.${topic.name}` }))
  await admin.applyTopics(topics)
  const bus = opened.use(aheadBus(namespacedBus(await kafkaBus({ connection, logger }), namespace), ahead))
  const store = opened.use(await redisGrantStore({ url: parts.redis, logger }))
  const owned = opened.move()
  return { bus, store, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** A bus whose clock is ahead of its broker's, from the first publication with such a clock. */
function aheadBus(bus: Bus, ahead: () => number): Bus {
  const moves = [{ since: 0, by: 0 }]
  const taken = (message: Message): Message => {
    const by = moves.findLast(({ since }) => since <= message.timestamp)?.by ?? 0
    return { ...message, timestamp: message.timestamp + by }
  }
  return {
    publish(topic, events) {
      const by = ahead()
      if (moves.at(-1)?.by !== by) moves.push({ since: systemClock.now(), by })
      return bus.publish(topic, events)
    },
    consume: (topics, group, handler) => bus.consume(topics, group, (batch) => handler(batch.map(taken))),
    follow: (topics, since, handler) => bus.follow(topics, since, (batch) => handler(batch.map(taken))),
    ends: (topic) => bus.ends(topic),
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  }
}
