import { afterAll, beforeAll } from 'vitest'
import { busContract } from '../bus.contract.ts'
import { killAfterLines } from '../contract/crash-work.ts'
import { aBroker, type BrokerUnderTest, makeTopics, removeTopics, silent } from './broker.fixture.ts'
import { kafkaBus } from './kafka-bus.ts'

let broker: BrokerUnderTest

beforeAll(async () => {
  broker = await aBroker(process.env.KAFKA_BROKERS)
}, 60_000)
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
