import { ServiceError } from '@bailiwick/errors'
import type { Bus, FollowSubscription, Message } from './bus.ts'

/** `before`: nothing happened. `after`: it all happened, and only the answer was lost. */
export type Break = 'before' | 'after'

/** `n` counts the calls of this method on this topic, from 0. For `consume` a call is the delivery of one batch. */
export interface BusCall {
  method: 'publish' | 'ends' | 'follow' | 'consume'
  topic: string
  n: number
}

export interface FaultyBus extends Bus {
  /** From now on messages of this topic wait before they reach a handler, on this bus only. Messages of other topics flow. */
  hold(topic: string): void
  release(topic: string): void
}

/**
 * A bus over a real one, whose calls break where `plan` says so. It owns the real bus: disposing of it disposes of both.
 * - `publish` rejects with `outcome_unknown`, before or after its effect.
 * - `consume`: the batch does not reach the handler, or it does and its answers are lost. The bus delivers it again.
 * - `ends` and `follow`, which have no effect, reject with `bus_unavailable`.
 */
export function faultyBus(real: Bus, plan: (call: BusCall) => Break | undefined): FaultyBus {
  const calls = new Map<string, number>()
  const gates = new Map<string, PromiseWithResolvers<void>>()

  function planned(method: BusCall['method'], topic: string): Break | undefined {
    const name = `${method} ${topic}`
    const n = calls.get(name) ?? 0
    calls.set(name, n + 1)
    return plan({ method, topic, n })
  }

  /** true once the topic flows; false if the reader stopped first. */
  async function flowing(topic: string, stopped: Promise<false>): Promise<boolean> {
    for (let gate = gates.get(topic); gate !== undefined; gate = gates.get(topic)) {
      if ((await Promise.race([gate.promise, stopped])) === false) return false
    }
    return true
  }

  return {
    async publish(topic, events) {
      const where = planned('publish', topic)
      if (where === 'before') throw new ServiceError('outcome_unknown', 'broken before its effect')
      const positions = await real.publish(topic, events)
      if (where === 'after') throw new ServiceError('outcome_unknown', 'broken after its effect')
      return positions
    },

    async consume(topics, group, handler) {
      const stop = Promise.withResolvers<false>()
      const subscription = await real.consume(topics, group, async (batch) => {
        const again = batch.map(() => ({ again: 0 }))
        const topic = batch[0]?.topic ?? ''
        if (!(await flowing(topic, stop.promise))) return again
        const where = planned('consume', topic)
        if (where === 'before') return again
        const answers = await handler(batch)
        return where === 'after' ? again : answers
      })
      return {
        refused: subscription.refused,
        async [Symbol.asyncDispose]() {
          stop.resolve(false)
          await subscription[Symbol.asyncDispose]()
        },
      }
    },

    async follow(topics, since, handler) {
      if (topics.some((topic) => planned('follow', topic) !== undefined)) {
        throw new ServiceError('bus_unavailable', 'broken')
      }
      const stop = Promise.withResolvers<false>()
      // One real follower per topic, so that a held topic delays no other. The handler still gets one call at a time.
      let turn: Promise<unknown> = Promise.resolve()
      const inTurn = (batch: readonly Message[]): Promise<void> => {
        const mine = turn.then(() => handler(batch))
        turn = mine.catch(() => {})
        return mine
      }
      const parts: FollowSubscription[] = []
      for (const topic of new Set(topics)) {
        parts.push(
          await real.follow([topic], since, async (batch) => {
            // A reader that stops while its topic is held never handled this. It must not look caught up.
            if (!(await flowing(topic, stop.promise))) throw new ServiceError('bus_unavailable', 'stopped while held')
            await inTurn(batch)
          }),
        )
      }
      return joined(parts, () => stop.resolve(false))
    },

    ends: async (topic) => {
      if (planned('ends', topic) !== undefined) throw new ServiceError('bus_unavailable', 'broken')
      return real.ends(topic)
    },

    hold(topic) {
      if (!gates.has(topic)) gates.set(topic, Promise.withResolvers())
    },

    release(topic) {
      gates.get(topic)?.resolve()
      gates.delete(topic)
    },

    async [Symbol.asyncDispose]() {
      for (const gate of gates.values()) gate.resolve()
      gates.clear()
      await real[Symbol.asyncDispose]()
    },
  }
}

function joined(parts: readonly FollowSubscription[], stop: () => void): FollowSubscription {
  const caughtUp = Promise.all(parts.map((part) => part.caughtUp)).then(() => {})
  caughtUp.catch(() => {}) // `failed` reports the error; a caller that awaits caughtUp still gets it
  return {
    caughtUp,
    failed: Promise.race(parts.map((part) => part.failed)),
    async [Symbol.asyncDispose]() {
      const ended = parts.map((part) => part[Symbol.asyncDispose]())
      stop()
      await Promise.all(ended)
    },
  }
}
