import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { type KafkaCluster, type KafkaNode, lacks, startKafka } from '@bailiwick/native'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Bus, Message } from '../bus.ts'
import { kafkaAdmin } from './admin.ts'
import { silent, withAdmin } from './broker.fixture.ts'
import { Gaps } from './gaps.fixture.ts'
import { type KafkaBus, kafkaBus } from './kafka-bus.ts'
import { Load } from './load.fixture.ts'
import { leaderOf } from './naive.fixture.ts'
import { wholeTopic } from './whole-topic.fixture.ts'

const nightly = process.env.BAILIWICK_NIGHTLY === '1'
const PARTITIONS = 6
const now = () => performance.now()

describe.skipIf(lacks('kafka'))('three brokers under load', () => {
  let kafka: KafkaCluster
  beforeAll(async () => {
    kafka = await startKafka({ nodes: 3 })
  })
  afterAll(async () => {
    await kafka?.[Symbol.asyncDispose]()
  })

  const connection = () => ({ brokers: kafka.brokers, clientId: 'cluster' })
  // As long as one producer is trusted, no event is published twice.
  const open = () => kafkaBus({ connection: connection(), logger: silent, patienceMs: 60_000 })

  const nodeOf = (id: number): KafkaNode => {
    const node = kafka.nodes.find((one) => one.id === id)
    if (node === undefined) throw new Error(`no node ${id}`)
    return node
  }
  const leaderOfFirst = async (topic: string) =>
    nodeOf(await withAdmin(connection(), (admin) => leaderOf(admin, topic, 0)))

  /** Waits until every copy is there again: then the next broker may be stopped. */
  const whole = (topic: string) =>
    expect
      .poll(
        () =>
          withAdmin(connection(), async (admin) => {
            const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
            return topics[0]?.partitions.every(({ isr }) => isr.length === 3)
          }).catch(() => false),
        { timeout: 90_000, interval: 500 },
      )
      .toBe(true)

  const faults: Record<string, { cycles: number; bring(topic: string): Promise<void> }> = {
    'the leader is killed': {
      cycles: nightly ? 5 : 1,
      async bring(topic) {
        const node = await leaderOfFirst(topic)
        await node.kill('SIGKILL')
        await wait(8000)
        await node.start()
      },
    },
    'the leader is stopped and goes on': {
      cycles: nightly ? 3 : 1,
      async bring(topic) {
        const node = await leaderOfFirst(topic)
        await node.kill('SIGSTOP')
        await wait(12_000)
        await node.kill('SIGCONT')
      },
    },
    'all three are restarted in turn': {
      cycles: nightly ? 2 : 1,
      async bring(topic) {
        for (const node of kafka.nodes) {
          await node.kill('SIGTERM')
          await node.start()
          await whole(topic)
        }
      },
    },
  }

  it.each(Object.keys(faults))(
    '%s: nothing acknowledged is lost, doubled or reordered, and all go on by themselves',
    {
      timeout: nightly ? 900_000 : 300_000,
    },
    async (name) => {
      const { cycles, bring } = faults[name] as (typeof faults)[string]
      const topic = `topic-${randomUUID()}`
      {
        await using admin = await kafkaAdmin(connection())
        const config = { 'min.insync.replicas': '2' }
        await admin.applyTopics([{ name: topic, partitions: PARTITIONS, replication: 3, config }])
      }
      await using publisher = await open()
      await using reader = await open()
      await using members = new AsyncDisposableStack()
      const acknowledged = new Gaps(now)
      const load = new Load(noting(publisher, acknowledged), topic, now)

      const followed = new Seen(PARTITIONS)
      const following = new Gaps(now)
      await using follower = await reader.follow([topic], 'start', async (batch) => {
        for (const message of batch) {
          followed.next(message)
          following.came(message.partition)
        }
      })
      let failed: unknown
      follower.failed.catch((error: unknown) => {
        failed = error
      })

      const worked = new Seen(PARTITIONS)
      const working = new Gaps(now)
      const buses: KafkaBus[] = [publisher, reader]
      for (let member = 0; member < 2; member++) {
        const bus = members.use(await open())
        buses.push(bus)
        await bus.consume([topic], topic, async (batch) => {
          for (const message of batch) {
            worked.again(message)
            working.came(message.partition)
          }
          return batch.map(() => 'done')
        })
      }

      load.start({ keys: 60, perSecond: 200 })
      await expect.poll(() => worked.size).toBeGreaterThan(500)
      for (let cycle = 1; cycle <= cycles; cycle++) {
        for (const gaps of [acknowledged, following, working]) gaps.take()
        const before = load.acknowledged
        await bring(topic)
        await whole(topic)
        // A partition that is no longer read or written keeps its gap open.
        const again = (gaps: Gaps) => expect.poll(() => gaps.open).toBeLessThan(1000)
        await Promise.all([acknowledged, following, working].map(again))
        const recovered = { publishMs: acknowledged.take(), followMs: following.take(), consumeMs: working.take() }
        console.log(
          `kafka-faults: ${JSON.stringify({ fault: name, cycle, ...recovered, acknowledged: load.acknowledged - before })}`,
        )
      }

      const { published, duplicated } = await load.audit()
      const all = await wholeTopic(connection(), topic)
      expect({ published, duplicated, present: all.length }).toEqual({ published, duplicated: 0, present: published })
      await expect.poll(() => [followed.size, worked.size]).toEqual([all.length, all.length])
      expect(failed).toBeUndefined()
      expect(buses.map((bus) => bus.unhealthy())).toEqual(buses.map(() => undefined))
      console.log(
        `kafka-faults: ${JSON.stringify({ fault: name, cycles, published, lost: 0, duplicated, handledTwice: worked.repeated })}`,
      )
    },
  )

  it("commits what is handled also while the group's coordinator stays away", { timeout: 300_000 }, async () => {
    const topic = `topic-${randomUUID()}`
    const group = `group-${randomUUID()}`
    {
      await using admin = await kafkaAdmin(connection())
      await admin.applyTopics([{ name: topic, partitions: 1, replication: 3, config: { 'min.insync.replicas': '2' } }])
    }
    await using publisher = await open()
    await using member = await open()
    const handled = new Seen(1)
    await member.consume([topic], group, async (batch) => {
      for (const message of batch) handled.again(message)
      return batch.map(() => 'done')
    })
    const load = new Load(publisher, topic, now)
    load.start({ perSecond: 50 })
    await expect.poll(() => handled.size).toBeGreaterThan(50)

    const coordinator = await coordinatorOf(group)
    await coordinator.kill('SIGKILL')
    const atDeath = handled.size
    const others = kafka.nodes.filter((node) => node !== coordinator).map(({ broker }) => broker)
    const committed = () =>
      withAdmin({ brokers: others, clientId: 'cluster' }, async (admin) => {
        const [one] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
        return Number(one?.partitions[0]?.offset)
      }).catch(() => 0)
    await expect.poll(committed, { timeout: 60_000, interval: 1000 }).toBeGreaterThan(atDeath + 100)
    await coordinator.start()
    await load.audit()
  })

  /** The leader of the group's partition of the committed offsets. The broker finds the coordinator in the same way. */
  async function coordinatorOf(group: string): Promise<KafkaNode> {
    return await withAdmin(connection(), async (admin) => {
      const topic = '__consumer_offsets'
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const hash = [...group].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) | 0, 0)
      return nodeOf(await leaderOf(admin, topic, Math.abs(hash) % (topics[0]?.partitions.length ?? 1)))
    })
  }
})

/** The same bus, but it notes each acknowledgement with its partition. */
function noting(bus: Bus, gaps: Gaps): Bus {
  return {
    publish: async (topic, events) => {
      const positions = await bus.publish(topic, events)
      for (const { partition } of positions) gaps.came(partition)
      return positions
    },
    consume: (topics, group, handler) => bus.consume(topics, group, handler),
    follow: (topics, since, handler) => bus.follow(topics, since, handler),
    ends: (topic) => bus.ends(topic),
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  }
}

/** The messages that a reader got of each partition. */
class Seen {
  readonly #offsets: Set<number>[]
  repeated = 0

  constructor(partitions: number) {
    this.#offsets = Array.from({ length: partitions }, () => new Set())
  }

  get size(): number {
    return this.#offsets.reduce((sum, { size }) => sum + size, 0)
  }

  /** For a reader that neither skips nor repeats. */
  next({ partition, offset }: Message): void {
    expect(offset).toBe(this.#offsets[partition]?.size)
    this.#offsets[partition]?.add(offset)
  }

  /** For a reader that may get a message again. */
  again({ partition, offset }: Message): void {
    if (this.#offsets[partition]?.has(offset)) this.repeated++
    this.#offsets[partition]?.add(offset)
  }
}
