import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Bus } from '@bailiwick/bus'
import { assertTopics, type KafkaBus, type KafkaConnection, kafkaAdmin, kafkaBus } from '@bailiwick/bus/kafka'
import { kafkaAcls, kafkaTopics, services, topicNamed, topics, topicsOf, writersOf } from '@bailiwick/contracts'
import { type KafkaCluster, lacks, startKafka } from '@bailiwick/native'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

// An attacker who stole the Kafka user of a service or an agent has that user's rights, but no signature of another
// one. These tests show what such a user can do at the broker. Each user has the generated rights only, and the broker
// is real.

const users = [...services, 'agents', 'mallory'] as const
type User = (typeof users)[number]
const specs = kafkaTopics({ dev: true })

const mayWrite = (user: User, topic: string) => {
  const declared = topicNamed(topic)
  return declared !== undefined && writersOf(declared).some((writer) => writer === user)
}
const mayRead = (user: User, topic: string) => topicNamed(topic)?.readers.some((reader) => reader === user) ?? false

describe.skipIf(lacks('secure-kafka'))('with the generated rights alone', () => {
  let kafka: KafkaCluster
  let observer: Bus
  const buses = new Map<User, KafkaBus>()
  const busOf = (user: User): KafkaBus => {
    const bus = buses.get(user)
    if (bus === undefined) throw new Error(`${user} is not connected`)
    return bus
  }

  const connectionOf = (user: User | 'admin'): KafkaConnection => {
    if (kafka.security === undefined) throw new Error('the cluster is not secure')
    const { caFile, passwordFile } = kafka.security
    return {
      brokers: kafka.brokers,
      clientId: user,
      tls: { ca: readFileSync(caFile, 'utf8') },
      sasl: { username: user, password: readFileSync(passwordFile(user), 'utf8') },
    }
  }

  beforeAll(async () => {
    kafka = await startKafka({ secure: { users } })
    await using admin = await kafkaAdmin(connectionOf('admin'))
    expect((await admin.applyTopics(specs)).differences).toEqual([])
    expect((await admin.applyAcls(kafkaAcls())).differences).toEqual([])
    observer = await kafkaBus({ connection: connectionOf('admin'), logger: silent })
    for (const user of users) buses.set(user, await kafkaBus({ connection: connectionOf(user), logger: silent }))
  }, 120_000)

  afterAll(async () => {
    await Promise.all([...buses.values(), observer].map((bus) => bus?.[Symbol.asyncDispose]()))
    await kafka?.[Symbol.asyncDispose]()
  })

  const size = async (topic: string) => (await observer.ends(topic)).reduce((sum, end) => sum + end, 0)

  describe.each(users)('%s', (user) => {
    it('writes the topics that it is declared to write, and no message to any other', async () => {
      for (const { name } of topics) {
        const before = await size(name)
        const write = busOf(user).publish(name, [{ key: 'k', bytes: Buffer.from(`{"id":"${randomUUID()}"}`) }])
        if (mayWrite(user, name)) {
          await expect(write, name).resolves.toHaveLength(1)
          expect(await size(name), name).toBe(before + 1)
        } else {
          // The effect on the topic counts, not the text of the error.
          await expect(write, name).rejects.toThrow(/AUTHORIZATION_FAILED|forbidden/)
          expect(await size(name), name).toBe(before)
        }
      }
    })

    it('reads the topics that it is declared to read, and no other', async () => {
      for (const { name } of topics) {
        let seen = 0
        // A user that may write a topic may also see that the topic exists and how long it is. For such a user the
        // refusal comes with the first fetch, of the message that it wrote itself above.
        const read = async () => {
          await using follower = await busOf(user).follow([name], 'start', async (batch) => {
            seen += batch.length
          })
          await Promise.race([follower.caughtUp, follower.failed])
        }
        if (mayRead(user, name)) await read()
        else await expect(read(), name).rejects.toMatchObject({ code: 'bus_unavailable' })
        expect(seen, name).toBe(mayRead(user, name) ? await size(name) : 0)
      }
    })
  })

  it.each(services)(
    '%s checks that its topics are as declared, and refuses to start if they are not',
    async (service) => {
      const mine = specs.filter(({ name }) => topicsOf(service).includes(name))
      await assertTopics(connectionOf(service), mine)
      await expect(assertTopics(connectionOf(service), kafkaTopics())).rejects.toMatchObject({
        code: 'config_invalid',
        detail: expect.stringContaining(`${mine[0]?.name}: min.insync.replicas is 1, not 2 or more`),
      })
    },
  )

  it("no service gets a message through another's group, which would deprive the owner of it", async () => {
    await busOf('issuer').publish('grants.v1', [{ key: 'k', bytes: Buffer.from('{}') }])
    let stolen = 0
    const thief = await kafkaBus({ connection: connectionOf('issuer'), logger: silent })
    try {
      const joined = thief.consume(['grants.v1'], 'evidence', async (batch) => {
        stolen += batch.length
        return batch.map(() => 'done' as const)
      })
      const refused = joined.then(
        () => expect.poll(() => thief.unhealthy(), { timeout: 30_000 }).toBeDefined(),
        (error: unknown) => expect(error).toMatchObject({ code: 'bus_unavailable' }),
      )
      await refused
      expect(stolen).toBe(0)
    } finally {
      await thief[Symbol.asyncDispose]()
    }
  })

  it.each([
    ['approval', ['access-requests.v1']],
    ['evidence', topics.filter(({ leaf }) => leaf).map(({ name }) => name)],
  ] as const)('%s receives its work in its own group', async (service, from) => {
    const wanted = (await Promise.all(from.map(size))).reduce((sum, one) => sum + one, 0)
    let taken = 0
    await using _ = await busOf(service).consume(from, service, async (batch) => {
      taken += batch.length
      return batch.map(() => 'done' as const)
    })
    await expect.poll(() => taken, { timeout: 30_000 }).toBe(wanted)
  })

  it('no user can sign in with another password', async () => {
    const asIssuer = connectionOf('issuer')
    const guessed = { ...asIssuer, sasl: { username: 'issuer', password: connectionOf('agents').sasl?.password ?? '' } }
    await expect(kafkaAdmin(guessed)).rejects.toMatchObject({ code: 'caller_unauthenticated' })
    await using bus = await kafkaBus({ connection: guessed, logger: silent })
    const before = await size('grants.v1')
    await expect(bus.publish('grants.v1', [{ key: 'k', bytes: Buffer.from('{}') }])).rejects.toThrow()
    expect(await size('grants.v1')).toBe(before)
  })

  it('only the admin changes topics or rights', async () => {
    for (const user of users) {
      await using admin = await kafkaAdmin(connectionOf(user))
      await expect(admin.applyAcls([...kafkaAcls(), ...kafkaAcls({ readers: ['mallory'] })])).rejects.toMatchObject({
        code: 'caller_forbidden',
      })
      const widened = specs.map((spec) => ({ ...spec, config: { ...spec.config, 'retention.ms': '1' } }))
      await expect(admin.applyTopics(widened), user).rejects.toMatchObject({ code: 'caller_forbidden' })
    }
    await using admin = await kafkaAdmin(connectionOf('admin'))
    expect(await admin.checkTopics(specs)).toEqual([])
    expect(await admin.checkAcls(kafkaAcls())).toEqual([])
  })
})

const silent = { debug() {}, info() {}, warn() {}, error() {} }
