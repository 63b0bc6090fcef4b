import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KafkaCluster, lacks, startKafka } from '@bailiwick/native'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { event, freshName, numbered, readToEnd, text, until } from '../contract/under-test.ts'
import { makeTopics, silent, withAdmin } from './broker.fixture.ts'
import type { KafkaConnection } from './connection.ts'
import { type KafkaBus, kafkaBus } from './kafka-bus.ts'
import { Load } from './load.fixture.ts'

const skipped = lacks('secure-kafka')
let cluster: KafkaCluster

beforeAll(async () => {
  if (!skipped) cluster = await startKafka({ nodes: 1 })
})
afterAll(() => cluster?.[Symbol.asyncDispose]())

const plain = (): KafkaConnection => ({ brokers: cluster.brokers, clientId: 'faults' })

async function open(options: { giveUpMs?: number } = {}): Promise<KafkaBus> {
  // As long as one producer is trusted, no event is published twice.
  return await kafkaBus({ connection: plain(), logger: silent, patienceMs: 60_000, ...options })
}

async function topicOf(partitions = 3, config: Record<string, string> = {}): Promise<string> {
  const name = freshName()
  await makeTopics(plain(), [{ name, partitions }], { config })
  return name
}

const node = () => {
  const [only] = cluster.nodes
  if (only === undefined) throw new Error('no node')
  return only
}

describe.skipIf(skipped)('the kafka bus, when its broker fails', () => {
  it('loses nothing, repeats nothing and keeps the order when the broker is killed and comes back', async () => {
    await using bus = await open()
    const load = new Load(bus, await topicOf(), () => performance.now())
    await using follower = await load.follow()
    load.start()
    await until(() => load.acknowledged > 300)
    await node().kill('SIGKILL')
    await sleep(2000)
    await node().start()
    const before = load.acknowledged
    await until(() => load.acknowledged > before + 300)
    const { published, duplicated } = await load.audit()
    expect(duplicated).toBe(0)
    await until(() => load.followed >= published)
    expect(bus.unhealthy()).toBeUndefined()
    await follower[Symbol.asyncDispose]()
  })

  it('does so when the broker is frozen for longer than a request may take', async () => {
    await using bus = await open()
    const load = new Load(bus, await topicOf(), () => performance.now())
    await using _ = await load.follow()
    load.start()
    await until(() => load.acknowledged > 300)
    await node().kill('SIGSTOP')
    await sleep(7000)
    await node().kill('SIGCONT')
    const before = load.acknowledged
    await until(() => load.acknowledged > before + 300)
    expect((await load.audit()).duplicated).toBe(0)
  })

  it('reports an unknown outcome when it gives up, and a thrown away producer writes nothing later', async () => {
    await using bus = await open({ giveUpMs: 1500 })
    const topic = await topicOf(1)
    await bus.publish(topic, [event('a', 'first')])
    await node().kill('SIGKILL')
    const lost = Promise.all([bus.publish(topic, [event('a', 'lost')]), bus.publish(topic, [event('a', 'lost too')])])
    await expect(lost).rejects.toMatchObject({ code: 'outcome_unknown' })
    await node().start()
    await until(async () => {
      return await bus.publish(topic, [event('a', 'next')]).then(
        () => true,
        () => false,
      )
    })
    await sleep(7000) // longer than any attempt of kafkajs may take
    const read = (await readToEnd(bus, topic)).map(text)
    expect(read[0]).toBe('first')
    expect(read.at(-1)).toBe('next')
    expect(read.filter((one) => one.startsWith('lost'))).toEqual([])
  })

  it('ends in time with an answer for every call when the broker is away, and then is still', async () => {
    let said = 0
    const count = () => {
      said += 1
    }
    const bus = await kafkaBus({ connection: plain(), logger: { ...silent, debug: count, warn: count } })
    const topic = await topicOf()
    await bus.publish(topic, numbered(10))
    const follower = await bus.follow([topic], 'start', async () => {})
    await follower.caughtUp
    await bus.consume([topic], 'group', async (batch) => batch.map(() => 'done'))
    await node().kill('SIGKILL')
    await sleep(1500)
    const publishing = Promise.allSettled(numbered(50).map((one) => bus.publish(topic, [one])))
    await bus[Symbol.asyncDispose]()
    for (const one of await publishing) expect(one).toMatchObject({ reason: { code: 'outcome_unknown' } })
    await sleep(3000) // kafkajs's current attempts end with their timeouts; a consumer that keeps restarting never does
    for (let before = -1; before !== said; await sleep(2000)) before = said
    await node().start()
  })
})

describe.skipIf(skipped)('the kafka bus, when it is cut off while it logs in', () => {
  it('does not take that for a refusal: followers, groups and publishers go on once a broker listens again', async () => {
    await using secure = await startKafka({ nodes: 1, secure: { users: [] }, sideDoors: true })
    const { caFile, passwordFile } = secure.security as NonNullable<typeof secure.security>
    const sasl = { username: 'admin', password: readFileSync(passwordFile('admin'), 'utf8').trim() }
    const connection = { clientId: 'cut', tls: { ca: readFileSync(caFile, 'utf8') }, sasl }
    const topic = freshName()
    await makeTopics({ ...connection, brokers: secure.brokers }, [{ name: topic, partitions: 1 }])
    const [door] = secure.sideDoors
    if (door === undefined) throw new Error('no side door')
    await using line = await rottenLine(door.toldPort, door.port)
    const brokers = [`127.0.0.1:${door.toldPort}`]
    await using bus = await kafkaBus({ connection: { ...connection, brokers }, logger: silent })
    const heard: string[] = []
    let failed: unknown
    await using follower = await bus.follow([topic], 'start', async (batch) => void heard.push(...batch.map(text)))
    follower.failed.catch((error) => {
      failed = error
    })
    const consumed: string[] = []
    await bus.consume([topic], 'cut', async (batch) => {
      consumed.push(...batch.map(text))
      return batch.map(() => 'done')
    })
    line.rot()
    await until(() => line.cuts > 30)
    line.mend()
    await bus.publish(topic, [event('a', 'heard')])
    await until(() => failed !== undefined || (heard.length > 0 && consumed.length > 0))
    expect({ failed, heard, consumed }).toEqual({ failed: undefined, heard: ['heard'], consumed: ['heard'] })
    expect(bus.unhealthy()).toBeUndefined()
  })
})

/** Forwards everything. While it rots, it breaks each connection off after one packet more than the previous one, from 1 to 12. */
async function rottenLine(from: number, to: number) {
  const open = new Set<Socket>()
  let rotting = false
  let cuts = 0
  const server = createServer((caller) => {
    const called = createConnection(to, '127.0.0.1')
    let left = rotting ? 1 + (cuts++ % 12) : Number.POSITIVE_INFINITY
    for (const [one, other] of [
      [caller, called],
      [called, caller],
    ] as const) {
      open.add(one)
      one.on('error', () => {})
      one.once('close', () => {
        open.delete(one)
        other.resetAndDestroy()
      })
      one.on('data', (bytes) => (left-- > 0 ? other.write(bytes) : one.resetAndDestroy()))
    }
  })
  server.listen(from, '127.0.0.1')
  await once(server, 'listening')
  return {
    get cuts() {
      return cuts
    },
    rot() {
      rotting = true
      cuts = 0
      for (const socket of open) socket.resetAndDestroy()
    },
    mend() {
      rotting = false
    },
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

describe.skipIf(skipped)('the kafka bus, when it may not', () => {
  it('reports at once what waiting cannot heal: topics, groups, passwords (V13)', async () => {
    await using secure = await startKafka({ nodes: 1, secure: { users: ['writer', 'reader'] } })
    const { caFile, passwordFile } = secure.security as NonNullable<typeof secure.security>
    const tls = { ca: readFileSync(caFile, 'utf8') }
    const as = (username: string, password = readFileSync(passwordFile(username), 'utf8').trim()) => {
      return { brokers: secure.brokers, clientId: username, tls, sasl: { username, password } }
    }
    const [topic, other] = [freshName(), freshName()]
    await makeTopics(
      as('admin'),
      [topic, other].map((name) => ({ name, partitions: 1 })),
    )
    await withAdmin(as('admin'), (admin) => {
      const allow = (username: string, operation: number) => ({
        resourceType: 2, // a topic
        resourceName: topic,
        resourcePatternType: 3, // by its name
        principal: `User:${username}`,
        host: '*',
        operation,
        permissionType: 3, // is allowed
      })
      return admin.createAcls({ acl: [allow('writer', 4), allow('reader', 3)] })
    })
    const said: string[] = []
    const logger = { ...silent, error: (_: object, message: string) => void said.push(message) }
    const openAs = async (connection: KafkaConnection) => await kafkaBus({ connection, logger })
    await using writer = await openAs(as('writer'))
    await using reader = await openAs(as('reader'))
    await using stranger = await openAs(as('reader', 'a wrong password'))
    await until(() =>
      writer.publish(topic, [event('a', 'written')]).then(
        () => true,
        () => false,
      ),
    )
    expect((await readToEnd(reader, topic)).map(text)).toEqual(['written'])
    expect([writer.unhealthy(), reader.unhealthy()]).toEqual([undefined, undefined])

    const refused = { code: 'bus_unavailable' }
    await expect(writer.publish(other, [event('a', 'x')])).rejects.toMatchObject(refused)
    await expect(reader.publish(topic, [event('a', 'x')])).rejects.toMatchObject(refused)
    await expect(reader.follow([other], 'start', async () => {})).rejects.toMatchObject(refused)
    await expect(stranger.publish(topic, [event('a', 'x')])).rejects.toMatchObject(refused)
    await expect(stranger.follow([topic], 'start', async () => {})).rejects.toMatchObject(refused)
    const follower = await writer.follow([topic], 'start', async () => {}) // WRITE lets it see the topic, but not read it
    await expect(follower.failed).rejects.toMatchObject(refused)
    await follower[Symbol.asyncDispose]()
    expect(reader.unhealthy()).toContain('AUTHORIZATION_FAILED')
    expect(said.length).toBeGreaterThan(0)

    await reader.consume([topic], 'no-right-to-this-group', async (batch) => batch.map(() => 'done'))
    await until(() => reader.unhealthy()?.includes('group no-right-to-this-group') === true)
    expect(await reader.ends(topic)).toEqual([1])
  })
})

describe.skipIf(skipped)('the kafka bus, when records go', () => {
  it('fails a follower that retention passed by, rather than skip anything (V13)', async () => {
    await using bus = await open()
    const topic = await topicOf(1)
    await bus.publish(topic, numbered(10))
    const gate = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const read: string[] = []
    const follower = await bus.follow([topic], 'start', async (batch) => {
      read.push(...batch.map(text))
      entered.resolve()
      await gate.promise
    })
    const failed = expect(follower.failed).rejects.toMatchObject({ code: 'bus_unavailable' })
    await entered.promise
    await bus.publish(topic, numbered(10, 10))
    await withAdmin(plain(), async (admin) => {
      await admin.fetchTopicOffsets(topic) // otherwise kafkajs does not know which broker to ask
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '15' }] })
    })
    gate.resolve()
    await failed
    expect(read).toEqual(numbered(10).map(({ bytes }) => Buffer.from(bytes).toString()))
    // A new follower begins where the partition now begins.
    expect((await readToEnd(bus, topic)).map(({ offset }) => offset)).toEqual([15, 16, 17, 18, 19])
    await follower[Symbol.asyncDispose]()
  })

  it('reads a compacted topic to its end, over every hole (rule 14)', async () => {
    await using bus = await open()
    const topic = await topicOf(1, {
      'cleanup.policy': 'compact',
      'segment.ms': '100',
      'min.cleanable.dirty.ratio': '0.01',
      'max.compaction.lag.ms': '100',
    })
    let sent = 0
    await until(async () => {
      for (const n of [0, 1, 2, 3, 4]) await bus.publish(topic, [event(`key-${n}`, `${n}:${sent}`)])
      sent += 5
      await sleep(100)
      const read = await readToEnd(bus, topic)
      expect(read.at(-1)?.offset).toBe(sent - 1)
      expect(new Set(read.map(({ key }) => key)).size).toBe(5)
      return read.length < sent / 2
    })
  })
})
