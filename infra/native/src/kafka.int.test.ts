import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { startKafka } from './kafka.ts'
import type { KafkaNode } from './kafka-node.ts'
import { connectKafka } from './kafka-protocol.ts'
import { lacks } from './parts.ts'
import { freePorts } from './ports.ts'

const OFFSETS = '__consumer_offsets'

async function seenBy(node: KafkaNode): Promise<number[]> {
  using client = await connectKafka(node.broker)
  return (await client.brokers()).toSorted()
}

function topicId(dir: string): string | undefined {
  const file = join(dir, `node-1/data/${OFFSETS}-0/partition.metadata`)
  return existsSync(file) ? /topic_id: (.+)/.exec(readFileSync(file, 'utf8'))?.[1] : undefined
}

describe.skipIf(lacks('kafka'))('a native Kafka of one node', () => {
  it('serves groups when it is ready, has only topics that were created, and leaves nothing behind', async () => {
    // The first free port is taken by the time it is used: another one must be chosen.
    await using thief = createServer((socket) => socket.resume()).listen(0, '127.0.0.1') // accepts everything, says nothing
    await once(thief, 'listening')
    const stolen = (thief.address() as AddressInfo).port
    let found = 0
    const kafka = await startKafka({}, async (count) =>
      found++ === 0 ? [stolen, ...(await freePorts(count - 1))] : freePorts(count),
    )
    expect(found).toBe(2)
    const [node] = kafka.nodes
    if (!node) throw new Error('no node')
    expect(kafka.brokers).toEqual([node.broker])
    {
      using client = await connectKafka(node.broker)
      expect(await client.servesGroup('some group', node.id)).toBe(true)
      expect(await client.hasLeaders('asked-for')).toBe(false)
      expect(await client.hasLeaders('asked-for')).toBe(false)
    }
    const { pid } = node
    const folder =
      /(\S+)\/node-1\/server\.properties/.exec(
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '),
      )?.[1] ?? ''
    expect(existsSync(folder)).toBe(true)
    await kafka[Symbol.asyncDispose]()
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    expect(existsSync(folder)).toBe(false)
  })

  it('comes back on the same port with the same data, after SIGKILL and in a kept folder', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'bailiwick-kafka-kept-'))
    try {
      let broker: string | undefined
      let id: string | undefined
      {
        await using kafka = await startKafka({ dir })
        const [node] = kafka.nodes
        broker = node?.broker
        id = await vi.waitUntil(() => topicId(dir), 60_000)
        await node?.kill('SIGKILL')
        await expect(connectKafka(broker ?? '')).rejects.toThrow('ECONNREFUSED')
        await node?.start()
        await kafka.ready()
        expect(topicId(dir)).toBe(id)
      }
      {
        const port = Number(broker?.split(':')[1])
        await using other = await startKafka({}, async (count) => [port, ...(await freePorts(count - 1))])
        expect(other.brokers).toEqual([broker])
        // Another Kafka answers there, with the same node id: that does not make this one ready.
        await expect(startKafka({ dir })).rejects.toThrow(/service_unready: .*already in use/s)
      }
      await using again = await startKafka({ dir })
      expect(again.brokers).toEqual([broker])
      expect(topicId(dir)).toBe(id)
      await expect(startKafka({ dir, nodes: 3 })).rejects.toThrow(/config_invalid: .* holds another kind of cluster/)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})

describe.skipIf(lacks('kafka'))('a native Kafka of three nodes', () => {
  it('is ready when each node sees all; a killed node is missed by the others until it is back', async () => {
    await using kafka = await startKafka({ nodes: 3 })
    const [first, second, third] = kafka.nodes
    if (!first || !second || !third) throw new Error('fewer than three')
    expect(await Promise.all(kafka.nodes.map(seenBy))).toEqual(Array(3).fill([1, 2, 3]))
    await second.kill('SIGKILL')
    await expect.poll(() => seenBy(first)).toEqual([1, 3])
    await second.start()
    await kafka.ready()
    expect(await Promise.all(kafka.nodes.map(seenBy))).toEqual(Array(3).fill([1, 2, 3]))
    await third.kill('SIGSTOP')
    await expect.poll(() => seenBy(first)).toEqual([1, 2])
    await third.kill('SIGCONT')
    await kafka.ready() // not before the two that fenced it accept it again
    expect(await Promise.all([first, second].map(seenBy))).toEqual(Array(2).fill([1, 2, 3]))
  })
})

describe.skipIf(lacks('secure-kafka'))('a secure native Kafka', () => {
  it('admits only users with a password; keeps passwords in private files, and out of its log', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'bailiwick-kafka-secure-'))
    try {
      await using kafka = await startKafka({ dir, secure: { users: ['issuer'] } })
      const [broker = ''] = kafka.brokers
      const { security } = kafka
      if (!security) throw new Error('not secure')
      const ca = readFileSync(security.caFile, 'utf8')
      const password = (user: string) => readFileSync(security.passwordFile(user), 'utf8')

      for (const username of ['admin', 'issuer']) {
        using client = await connectKafka(broker, { ca, username, password: password(username) })
        // A user without rights sees that the cluster exists, but no topic.
        expect(await client.brokers()).toEqual([1])
        expect(await client.hasLeaders(OFFSETS)).toBe(username === 'admin')
      }
      const wrong = { ca, username: 'issuer', password: password('admin') }
      await expect(connectKafka(broker, wrong)).rejects.toThrow('login refused')
      await expect(connectKafka(broker, { ...wrong, username: 'nobody' })).rejects.toThrow('login refused')
      await expect(connectKafka(broker, { ...wrong, ca: '' })).rejects.toThrow('certificate')
      using plain = await connectKafka(broker)
      await expect(plain.brokers()).rejects.toThrow(/closed/)

      const files = ['admin', 'issuer', 'broker'].map(security.passwordFile)
      const secrets = [...files, join(dir, 'security/keystore.pem'), join(dir, 'node-1/server.properties')]
      expect(secrets.map((file) => statSync(file).mode & 0o077)).toEqual([0, 0, 0, 0, 0])
      expect(existsSync(join(dir, 'security/ca.key'))).toBe(false)
      const passwords = files.map((file) => readFileSync(file, 'utf8'))
      expect(new Set(passwords).size).toBe(3)
      const log = readFileSync(join(dir, 'node-1/kafka.log'), 'utf8')
      expect(passwords.filter((word) => word.length < 32 || log.includes(word))).toEqual([])
      await expect(startKafka({ dir })).rejects.toThrow(/config_invalid/)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it('refuses a user whose name is a path', async () => {
    await expect(startKafka({ secure: { users: ['../issuer'] } })).rejects.toThrow(/config_invalid: a user's name/)
  })
})
