import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { type NativeNode, untilServing } from './kafka-node.ts'
import type { KafkaClient } from './kafka-protocol.ts'

const dir = mkdtempSync(join(tmpdir(), 'bailiwick-kafka-node-'))
writeFileSync(join(dir, 'log'), 'its last words')
afterAll(() => rmSync(dir, { recursive: true }))

/** A running node, even if another server answers on its port. */
function node(id: number, running = true): NativeNode {
  return {
    id,
    broker: `node-${id}`,
    pid: id,
    dir,
    clusterId: 'ours',
    command: { name: `Kafka node ${id}`, program: '', args: [], log: join(dir, 'log') },
    server: { pid: id, running: () => running, kill: async () => {} },
    login: undefined,
    spawn() {},
    kill: async () => {},
    start: async () => {},
  }
}

/** Each node's answers, by its address. */
let answers: Record<string, { clusterId: string; brokers: number[]; groups: boolean }>
let connections: number
let brokenConnection: number

beforeEach(() => {
  const answer = () => ({ clusterId: 'ours', brokers: [1, 2, 3], groups: true })
  answers = { 'node-1': answer(), 'node-2': answer(), 'node-3': answer() }
  connections = 0
  brokenConnection = 0
})

async function connect(broker: string): Promise<KafkaClient> {
  const connection = ++connections
  const ask = () => {
    const answer = answers[broker]
    if (!answer || connection === brokenConnection) throw new Error('ECONNRESET')
    return answer
  }
  if (!answers[broker]) throw new Error('ECONNREFUSED')
  return {
    clusterId: async () => ask().clusterId,
    brokers: async () => ask().brokers,
    hasLeaders: async () => true,
    servesGroup: async (group) => ask().groups || group !== 'bailiwick-2',
    [Symbol.dispose]() {},
  }
}

const all = [node(1), node(2), node(3)]

/** Whether the nodes count as serving only once this flaw is undone. */
async function waitsFor(undo: () => void): Promise<boolean> {
  let undone = false
  setTimeout(() => {
    undone = true
    undo()
  }, 100)
  await untilServing(all, all, connect)
  return undone
}

describe('a cluster is not ready while a node', () => {
  it('misses another that runs', async () => {
    Object.assign(answers['node-1'] ?? {}, { brokers: [1, 2] })
    expect(await waitsFor(() => Object.assign(answers['node-1'] ?? {}, { brokers: [1, 2, 3] }))).toBe(true)
  })

  it("is not the one that answers on its port, but another cluster's", async () => {
    Object.assign(answers['node-2'] ?? {}, { clusterId: 'theirs' })
    expect(await waitsFor(() => Object.assign(answers['node-2'] ?? {}, { clusterId: 'ours' }))).toBe(true)
  })

  it('does not coordinate its share of the groups yet', async () => {
    Object.assign(answers['node-3'] ?? {}, { groups: false })
    expect(await waitsFor(() => Object.assign(answers['node-3'] ?? {}, { groups: true }))).toBe(true)
  })

  it('does not answer', async () => {
    const { 'node-1': answer } = answers
    delete answers['node-1']
    expect(await waitsFor(() => Object.assign(answers, { 'node-1': answer }))).toBe(true)
    expect(connections).toBeGreaterThan(3)
  })
})

describe('a cluster is ready', () => {
  it('even if a connection to a node broke, by another connection', async () => {
    brokenConnection = 2
    await untilServing(all, all, connect)
    expect(connections).toBe(4)
  })

  it('at once, with one connection to each node, when all is well', async () => {
    await untilServing(all, all, connect)
    expect(connections).toBe(3)
  })

  it('without a node that does not run', async () => {
    delete answers['node-3']
    Object.assign(answers['node-1'] ?? {}, { brokers: [1, 2] })
    const two = [node(1), node(2), node(3, false)]
    await untilServing(two, two, connect)
    expect(connections).toBe(2)
  })
})
