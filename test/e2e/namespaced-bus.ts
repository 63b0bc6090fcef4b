import type { Bus, Message, Since } from '@bailiwick/bus'

/** One broker for many worlds: each world uses the topics' own names, and the broker has a different name for each world. */
export function namespacedBus(bus: Bus, namespace: string): Bus {
  const there = (topic: string) => `${namespace}.${topic}`
  const here = <T extends { topic: string }>(position: T): T => ({
    ...position,
    topic: position.topic.slice(namespace.length + 1),
  })
  const sinceThere = (since: Since): Since =>
    since === 'start' || since.offsets === undefined
      ? since
      : {
          ...since,
          offsets: Object.fromEntries(Object.entries(since.offsets).map(([topic, at]) => [there(topic), at])),
        }
  return {
    publish: async (topic, events) => (await bus.publish(there(topic), events)).map(here),
    consume: (topics, group, handler) =>
      bus.consume(topics.map(there), there(group), (batch) => handler(batch.map<Message>(here))),
    follow: (topics, since, handler) =>
      bus.follow(topics.map(there), sinceThere(since), (batch) => handler(batch.map<Message>(here))),
    ends: (topic) => bus.ends(there(topic)),
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  }
}
