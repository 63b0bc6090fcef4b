import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { type KafkaCluster, type KafkaNode, lacks, startKafka } from '@bailiwick/native'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kafkaAdmin } from './admin.ts'
import { silent, withAdmin } from './broker.fixture.ts'
import { kafkaClient } from './client.ts'
import { kafkaBus } from './kafka-bus.ts'
import { leaderOf, naiveProducer, told } from './naive.fixture.ts'
import { openSender } from './sender.ts'
import { textOf, wholeTopic } from './whole-topic.fixture.ts'

// KAFKA.md §1.2: what kafkajs loses without a word. Each fault is brought about twice: with a naive producer, to see that it
// is the fault, and with the adapter, which must not lose by it.

describe.skipIf(lacks('kafka'))('what kafkajs loses without a word', () => {
  let kafka: KafkaCluster
  beforeAll(async () => {
    kafka = await startKafka({ nodes: 3 })
  })
  afterAll(async () => {
    await kafka?.[Symbol.asyncDispose]()
  })

  const connection = () => ({ brokers: kafka.brokers, clientId: 'losses' })

  const aTopic = async (partitions: number): Promise<string> => {
    const name = `topic-${randomUUID()}`
    await using admin = await kafkaAdmin(connection())
    await admin.applyTopics([{ name, partitions, replication: 3, config: { 'min.insync.replicas': '2' } }])
    return name
  }

  const leader = async (topic: string, partition = 0): Promise<KafkaNode> => {
    const id = await withAdmin(connection(), (admin) => leaderOf(admin, topic, partition))
    const node = kafka.nodes.find((one) => one.id === id)
    if (node === undefined) throw new Error(`no node ${id}`)
    return node
  }

  const adapter = () => kafkaBus({ connection: connection(), logger: silent })
  const event = (id: string) => ({ key: 'one-key', bytes: Buffer.from(id) })
  const present = async (topic: string) => (await wholeTopic(connection(), topic)).map(textOf).sort()

  /** Freezes a broker for so long. Resolves once it stands still, which takes a moment if it runs in a container. */
  async function frozen(node: KafkaNode, ms: number): Promise<{ thawed: Promise<void> }> {
    await node.kill('SIGSTOP')
    const thaw = async () => {
      await wait(ms)
      await node.kill('SIGCONT')
      await wait(2000) // until then it may believe that it still leads, and tells readers of an end that is long past
      await kafka.ready()
    }
    return { thawed: thaw() }
  }

  /** Whether the naive one loses depends on how fast the machine is just then: once in three tries shows the fault. */
  async function losesOnce(attempt: (topic: string) => Promise<boolean>, partitions = 1): Promise<void> {
    for (let tries = 1; tries <= 3; tries++) if (await attempt(await aTopic(partitions))) return
    expect.fail('the fault did not come about')
  }

  it('A: what one send wrote to some of its leaders only is not acknowledged for all', {
    timeout: 240_000,
  }, async () => {
    const partitions = [0, 1, 2, 3, 4, 5]
    const toEach = (text: string) => partitions.map((partition) => ({ partition, value: `${text}-${partition}` }))
    await losesOnce(async (topic) => {
      await using naive = await naiveProducer(kafka.brokers, { requestTimeout: 30_000, idempotent: true })
      await using bus = await adapter()
      // Keys that come to lie on every partition, found by where the adapter puts them.
      const many = Array.from({ length: 60 }, (_, n) => ({ key: `key-${n}`, bytes: Buffer.from('warm') }))
      const warm = await bus.publish(topic, many)
      const keys = partitions.map((wanted) => `key-${warm.findIndex(({ partition }) => partition === wanted)}`)
      await naive.send({ topic, acks: -1, messages: toEach('warm') })

      const dying = await leader(topic)
      await dying.kill('SIGSTOP')
      const byNaive = told(naive.send({ topic, acks: -1, messages: toEach('naive') }))
      const mine = keys.map((key, n) => ({ key, bytes: Buffer.from(`adapter-${n}`) }))
      const byAdapter = bus.publish(topic, mine)
      await wait(5000) // the others have answered by then: the frozen one holds them up no longer than its session
      await dying.kill('SIGKILL')

      const [positions, answer] = await Promise.all([byAdapter, byNaive])
      await dying.start()
      const all = await present(topic)
      expect(positions.map(({ partition }) => partition)).toEqual(partitions)
      expect(all.filter((id) => id.startsWith('adapter-'))).toEqual(partitions.map((n) => `adapter-${n}`))
      return 'acknowledged' in answer && all.filter((id) => id.startsWith('naive-')).length < partitions.length
    }, partitions.length)
  })

  it('B: loses no concurrent send around a request that timed out', async () => {
    await losesOnce(async (topic) => {
      await using naive = await naiveProducer(kafka.brokers, { requestTimeout: 1000, idempotent: true })
      await naive.send({ topic, acks: -1, messages: [{ value: 'warm' }] })
      const { thawed } = await frozen(await leader(topic), 2500)
      const answers = await Promise.all(
        [0, 1, 2, 3].map((n) => told(naive.send({ topic, acks: -1, messages: [{ value: `naive-${n}` }] }))),
      )
      await thawed
      const ids = new Set(await present(topic))
      return answers.some((answer, n) => 'acknowledged' in answer && !ids.has(`naive-${n}`))
    })

    const topic = await aTopic(1)
    await using bus = await adapter()
    await bus.publish(topic, [event('warm')])
    const { thawed } = await frozen(await leader(topic), 7000) // longer than the adapter's own request timeout
    await Promise.all([0, 1, 2, 3].map((n) => bus.publish(topic, [event(`adapter-${n}`)])))
    await thawed
    expect(await present(topic)).toEqual(['adapter-0', 'adapter-1', 'adapter-2', 'adapter-3', 'warm'])
  })

  it('C: after a batch that was rejected although it was written, the next one is written too', async () => {
    await losesOnce(async (topic) => {
      // One retry is the least that kafkajs takes. The freeze is shorter than what makes another broker the leader.
      const retry = { initialRetryTime: 100, retries: 1 }
      await using naive = await naiveProducer(kafka.brokers, { requestTimeout: 500, idempotent: true, retry })
      await naive.send({ topic, acks: -1, messages: [{ value: 'warm' }] })
      const { thawed } = await frozen(await leader(topic), 2200)
      const first = await told(naive.send({ topic, acks: -1, messages: [{ value: 'first' }] }))
      await thawed
      await wait(500) // what was on its way to the frozen broker is written now
      const next = await told(naive.send({ topic, acks: -1, messages: [{ value: 'next!' }] }))
      return 'refused' in first && 'acknowledged' in next && !(await present(topic)).includes('next!')
    })

    const topic = await aTopic(1)
    await using bus = await kafkaBus({ connection: connection(), logger: silent, giveUpMs: 1500 })
    await bus.publish(topic, [event('warm')])
    const { thawed } = await frozen(await leader(topic), 2500)
    await expect(bus.publish(topic, [event('first')])).rejects.toMatchObject({ code: 'outcome_unknown' })
    await thawed
    const [position] = await bus.publish(topic, [event('next!')])
    const all = await wholeTopic(connection(), topic)
    expect(all.map(textOf)).toContain('next!')
    expect(position?.offset).toBe(all.findIndex((message) => textOf(message) === 'next!'))
  })

  it('D: of thousands that wait while a broker is gone, each is written once or refused at once', async () => {
    const topic = await aTopic(6)
    await using bus = await adapter()
    await bus.publish(topic, [event('warm')])
    const node = await leader(topic)
    const publish = (n: number) => bus.publish(topic, [{ key: `key-${n % 60}`, bytes: Buffer.from(`event-${n}`) }])
    const waiting = Promise.allSettled(Array.from({ length: 20_000 }, (_, n) => publish(n)))
    await node.kill('SIGKILL')
    await wait(4000)
    const [answers] = await Promise.all([waiting, node.start()])
    const refused = answers.filter(({ status }) => status === 'rejected')
    for (const answer of refused) expect(answer).toMatchObject({ reason: { code: 'queue_full' } })
    const wanted = answers.flatMap(({ status }, n) => (status === 'fulfilled' ? [`event-${n}`] : []))
    expect(wanted.length).toBeGreaterThan(1000)
    expect((await present(topic)).filter((id) => id !== 'warm')).toEqual(wanted.sort())
  })

  it('an answer that does not name the partition acknowledges nothing', async () => {
    const topic = await aTopic(2)
    await using naive = await naiveProducer(kafka.brokers, { requestTimeout: 5000 })
    expect(await told(naive.send({ topic, acks: -1, messages: [{ partition: 9, value: 'x' }] }))).toEqual({
      acknowledged: [],
    })
    const sender = await openSender(
      kafkaClient(connection(), () => {}),
      topic,
      9,
    )
    const parcel = { key: Buffer.from('k'), value: Buffer.from('x'), acknowledged() {}, failed() {}, abandoned: false }
    await expect(sender.send([parcel])).rejects.toThrow('does not acknowledge')
    await sender.close()
    expect(await present(topic)).toEqual([])
  })
})
