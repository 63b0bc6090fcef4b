import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { lacks } from '@bailiwick/native'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { busContract } from '../bus.contract.ts'
import { killAfterLines } from '../contract/crash-work.ts'
import { aBroker, type BrokerUnderTest, makeTopics, removeTopics, silent } from './broker.fixture.ts'
import { kafkaBus } from './kafka-bus.ts'

const named = process.env.KAFKA_BROKERS

describe.skipIf(named === undefined && lacks('kafka'))('on a real broker', () => {
  let broker: BrokerUnderTest

  beforeAll(async () => {
    broker = await aBroker(named)
  })
  afterAll(() => broker[Symbol.asyncDispose]())

  busContract(
    'kafka bus',
    async (topics) => {
      const { brokers } = broker
      const connection = { brokers, clientId: 'contract' }
      await makeTopics(connection, topics)
      const start = () => kafkaBus({ connection, logger: silent })
      let bus = await start()
      return {
        get bus() {
          return bus
        },
        async reopen() {
          await bus[Symbol.asyncDispose]()
          bus = await start()
          return bus
        },
        async killed(work, lines) {
          await bus[Symbol.asyncDispose]()
          const child = new URL('./crash-child.ts', import.meta.url)
          return await killAfterLines(child, [JSON.stringify(brokers), JSON.stringify(work)], lines)
        },
        async [Symbol.asyncDispose]() {
          await bus[Symbol.asyncDispose]()
          await removeTopics(connection, topics)
        },
      }
    },
    { events: process.env.BAILIWICK_NIGHTLY === '1' ? 100_000 : 20_000 },
  )

  it('leaves no connection behind when it ends while the cluster is asked: a process would never end', async () => {
    const connection = { brokers: broker.brokers, clientId: 'ending' }
    const topics = [{ name: 'asked.while-it-ends', partitions: 1 }]
    await makeTopics(connection, topics)
    const sockets = new Set<Socket>()
    const opened = (message: unknown) => void sockets.add((message as { socket: Socket }).socket)
    subscribe('net.client.socket', opened)
    try {
      const bus = await kafkaBus({ connection, logger: silent })
      const ends = bus.ends('asked.while-it-ends').catch(() => {})
      const following = bus.follow(['asked.while-it-ends'], 'start', async () => {}).catch(() => {})
      await bus[Symbol.asyncDispose]()
      await Promise.all([ends, following])
      const open = () => [...sockets].filter(({ destroyed }) => !destroyed).length
      await expect.poll(open, { timeout: 60_000 }).toBe(0)
      expect(sockets.size).toBeGreaterThan(0)
      await expect(bus.ends('asked.while-it-ends')).rejects.toMatchObject({ code: 'bus_unavailable' })
    } finally {
      unsubscribe('net.client.socket', opened)
      await removeTopics(connection, topics)
    }
  })
})
