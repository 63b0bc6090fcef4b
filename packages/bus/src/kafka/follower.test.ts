import { Buffer } from 'node:buffer'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Message, Since } from '../bus.ts'
import type { Fetched, FetchedPartition, Led, Link, Wanted } from './cluster-link.ts'
import { Follower } from './follower.ts'

type Fault = (method: 'leaders' | 'offsets' | 'fetch', call: number) => void

/** Offsets from `first` to `end`. A missing record was compacted away. */
interface FakePartition {
  records: Map<number, string>
  first: number
  end: number
  leader: number
}

/** A cluster as a link sees it: the records of each partition, the leaders, and the faults. */
class FakeCluster {
  readonly partitions: FakePartition[]
  /** The most offsets that a fetch gives, for all partitions of one answer. */
  perFetch = 1000
  /** Brokers that do not answer, though they still count as leaders. */
  readonly dead = new Set<number>()
  links = 0
  closed = 0
  calls = 0
  fault: Fault = () => {}

  constructor(partitions: readonly (readonly string[])[]) {
    this.partitions = partitions.map((texts, n) => {
      return { records: new Map(texts.entries()), first: 0, end: texts.length, leader: n % 2 }
    })
  }

  at(partition: number): FakePartition {
    const found = this.partitions[partition]
    if (found === undefined) throw new Error(`no partition ${partition}`)
    return found
  }

  append(partition: number, text: string): void {
    const { records, end } = this.at(partition)
    records.set(end, text)
    this.at(partition).end += 1
  }

  readonly open = (): Link => {
    this.links += 1
    return {
      leaders: async () => {
        this.fault('leaders', ++this.calls)
        return this.partitions.map(({ leader }, partition): Led => ({ topic: 't', partition, leader }))
      },
      offsets: async (led, point) => {
        this.fault('offsets', ++this.calls)
        return led.map(({ partition }) => {
          const { first, end, records } = this.at(partition)
          if (point === 'latest') return end
          return point === 'earliest' ? first : [...records.keys()].find((offset) => offset >= point.time)
        })
      },
      fetch: async (wanted) => {
        if (this.dead.has(wanted[0]?.leader ?? -1)) throw new Error('connect ECONNREFUSED')
        await sleep(1)
        this.fault('fetch', ++this.calls)
        return this.#fetch(wanted)
      },
      close: async () => {
        this.closed += 1
      },
    }
  }

  #fetch(wanted: readonly Wanted[]): Fetched {
    let left = this.perFetch
    let empty = true
    const partitions = wanted.map(({ partition, leader, offset }): FetchedPartition => {
      const { records: kept, first, end, leader: actual } = this.at(partition)
      const base = { topic: 't', partition, errorCode: 0, highWatermark: end, batches: [] }
      if (leader !== actual) return { ...base, errorCode: 6 }
      if (offset < first || offset > end) return { ...base, errorCode: 1 }
      const wantedOnes = [...kept].filter(([at]) => at >= offset).slice(0, left)
      left -= wantedOnes.length
      if (wantedOnes.length > 0) empty = false
      // A batch arrives as it was written, including records before the requested offset.
      const found = wantedOnes.length > 0 ? [...kept].filter(([at]) => at === offset - 1).concat(wantedOnes) : []
      const records = found.map(([at, text]) => ({ offset: at, timestamp: at, key: '', bytes: Buffer.from(text) }))
      const last = records.at(-1)?.offset
      return { ...base, batches: last === undefined ? [] : [{ end: last + 1, records }] }
    })
    return { partitions, empty }
  }
}

function follow(
  cluster: FakeCluster,
  handler: (batch: readonly Message[]) => Promise<void>,
  since: Since = 'start',
): { follower: Follower; troubles: string[] } {
  const troubles: string[] = []
  const onTrouble = (reason: string) => void troubles.push(reason)
  return { follower: new Follower({ topics: ['t'], since, handler, openLink: cluster.open, onTrouble }), troubles }
}

const place = ({ partition, offset }: Message) => `${partition}/${offset}`

async function until(condition: () => boolean): Promise<void> {
  for (let n = 0; n < 1000 && !condition(); n += 1) await sleep(5)
  expect(condition()).toBe(true)
}

describe('a follower', () => {
  it('gives everything once and in order, through moved leaders, lost links and stale answers', async () => {
    const cluster = new FakeCluster([[], [], []])
    cluster.perFetch = 7
    const read: Message[] = []
    let running = 0
    let most = 0
    const { follower } = follow(cluster, async (batch) => {
      running += 1
      most = Math.max(most, running)
      await sleep(1)
      running -= 1
      read.push(...batch)
    })
    cluster.fault = (method, call) => {
      if (method === 'fetch' && call % 13 === 0) throw new Error('connection closed')
    }
    for (let n = 0; n < 300; n += 1) {
      cluster.append(n % 3, `${n}`)
      if (n % 100 === 50) cluster.at(n % 3).leader = 1 - cluster.at(n % 3).leader
      if (n % 10 === 0) await sleep(1)
    }
    await until(() => read.length >= 300)
    await follower[Symbol.asyncDispose]()
    expect(most).toBe(1)
    expect(new Set(read.map(place)).size).toBe(300)
    expect(read).toHaveLength(300)
    for (const partition of [0, 1, 2]) {
      const own = read.filter((message) => message.partition === partition).map(({ offset }) => offset)
      expect(own).toEqual(Array.from({ length: 100 }, (_, n) => n))
    }
    expect(cluster.links).toBeGreaterThan(1)
    await follower.released()
    expect(cluster.closed).toBe(cluster.links)
  })

  it('goes on reading from the living while a broker is dead', async () => {
    const cluster = new FakeCluster([['a'], ['b']])
    const read: string[] = []
    const { follower } = follow(cluster, async (batch) => void read.push(...batch.map(place)))
    await follower.caughtUp
    cluster.dead.add(1)
    cluster.append(1, 'waits')
    for (let n = 0; n < 40; n += 1) {
      cluster.append(0, 'comes')
      await sleep(5)
    }
    expect(read.length).toBeGreaterThan(30)
    cluster.dead.delete(1)
    await until(() => read.includes('1/1') && read.length === 43)
    await follower[Symbol.asyncDispose]()
  })

  it('does not deliver again what a handler was at when its link was lost', async () => {
    const cluster = new FakeCluster([['a', 'b'], ['c']])
    const gate = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const read: string[] = []
    const { follower } = follow(cluster, async (batch) => {
      read.push(...batch.map(place))
      entered.resolve()
      await gate.promise
    })
    await entered.promise
    cluster.fault = (method) => {
      if (method === 'fetch') throw new Error('connection closed')
    }
    await sleep(30)
    cluster.fault = () => {}
    const { calls } = cluster
    await sleep(250)
    expect(cluster.calls).toBe(calls) // no messages accumulate behind the call
    expect(read.length).toBeLessThan(3)
    gate.resolve()
    await follower.caughtUp
    await follower[Symbol.asyncDispose]()
    expect(read.toSorted()).toEqual(['0/0', '0/1', '1/0'])
  })

  it('begins at a time, and where nothing is that late, at the end that it saw before it asked', async () => {
    const cluster = new FakeCluster([['a', 'b', 'c'], ['d']])
    const read: string[] = []
    cluster.fault = (method, call) => {
      if (method === 'offsets' && call === 3) cluster.append(1, 'between the two questions')
    }
    const { follower } = follow(cluster, async (batch) => void read.push(...batch.map(place)), { time: 2 })
    await follower.caughtUp
    await until(() => read.length === 2)
    await follower[Symbol.asyncDispose]()
    expect(read.toSorted()).toEqual(['0/2', '1/1'])
  })

  it('begins at the offset of a partition, at the first that is kept, or at the end of one that is shorter', async () => {
    const cluster = new FakeCluster([['a', 'b', 'c'], ['d', 'e', 'f'], ['g'], ['h']])
    Object.assign(cluster.at(1), { first: 2 })
    for (const gone of [0, 1]) cluster.at(1).records.delete(gone)
    const read: string[] = []
    const since = { time: 0, offsets: { t: [1, 0, 7] } }
    const { follower } = follow(cluster, async (batch) => void read.push(...batch.map(place)), since)
    await follower.caughtUp
    cluster.append(2, 'later')
    await until(() => read.length === 5)
    await follower[Symbol.asyncDispose]()
    expect(read.toSorted()).toEqual(['0/1', '0/2', '1/2', '2/1', '3/0'])
  })

  it('is caught up over holes that compaction left, also at the very end (rule 14)', async () => {
    const cluster = new FakeCluster([['a', 'b', 'c', 'd']])
    for (const gone of [1, 2, 3]) cluster.at(0).records.delete(gone)
    const read: string[] = []
    const { follower } = follow(cluster, async (batch) => void read.push(...batch.map(place)))
    await follower.caughtUp
    expect(read).toEqual(['0/0'])
    await follower[Symbol.asyncDispose]()
  })

  it('is not caught up by an empty answer of one partition while another filled the whole of it', async () => {
    const cluster = new FakeCluster([['a', 'b', 'c'], [], ['d', 'e']])
    cluster.perFetch = 1
    const read: string[] = []
    const { follower } = follow(cluster, async (batch) => void read.push(...batch.map(place)))
    await follower.caughtUp
    expect(read).toHaveLength(5)
    await follower[Symbol.asyncDispose]()
  })

  it('reads every partition however long the backlog of one is', async () => {
    const cluster = new FakeCluster([['a'], [], ['b']])
    cluster.perFetch = 1
    cluster.fault = (method) => {
      if (method === 'fetch') cluster.append(0, 'more')
    }
    const seen = Promise.withResolvers<void>()
    const { follower } = follow(cluster, async (batch) => {
      if (batch.some(({ partition }) => partition === 2)) seen.resolve()
    })
    await seen.promise
    await follower[Symbol.asyncDispose]()
  })

  it('fails when retention passed by what it had not read, and skips nothing (V13)', async () => {
    const cluster = new FakeCluster([['a', 'b']])
    const read: string[] = []
    const { follower } = follow(cluster, async (batch) => void read.push(...batch.map(place)))
    await follower.caughtUp
    Object.assign(cluster.at(0), { first: 3, end: 5 })
    await expect(follower.failed).rejects.toMatchObject({ code: 'bus_unavailable' })
    expect(read).toEqual(['0/0', '0/1'])
    await follower[Symbol.asyncDispose]()
  })

  it('begins again where the partition now begins when retention passed by before its first fetch', async () => {
    const cluster = new FakeCluster([['a', 'b', 'c']])
    cluster.fault = (method, call) => {
      if (method === 'fetch' && call === 4) cluster.at(0).first = 2
    }
    const read: string[] = []
    const { follower } = follow(cluster, async (batch) => void read.push(...batch.map(place)))
    await follower.caughtUp
    await follower[Symbol.asyncDispose]()
    expect(read).toEqual(['0/2'])
  })

  const no = () => {
    throw Object.assign(new Error('no'), { type: 'TOPIC_AUTHORIZATION_FAILED' })
  }

  it('fails at once when the broker never let it read, and does not when that is only away', async () => {
    const cluster = new FakeCluster([['a']])
    cluster.fault = (_, call) => {
      if (call < 3) throw Object.assign(new Error('connect ECONNREFUSED'), { retriable: false })
    }
    const { follower, troubles } = follow(cluster, async () => {})
    await follower.caughtUp
    expect(troubles).toEqual(['connect ECONNREFUSED', 'connect ECONNREFUSED'])
    await follower[Symbol.asyncDispose]()
    cluster.fault = no
    const { follower: stranger } = follow(cluster, async () => {})
    await expect(stranger.failed).rejects.toMatchObject({ code: 'bus_unavailable' })
    await stranger[Symbol.asyncDispose]()
  })

  it('waits when the broker takes its right away, says so, and goes on where it was when that comes back', async () => {
    const cluster = new FakeCluster([['a']])
    const said: (string | undefined)[] = []
    const read: string[] = []
    const follower = new Follower({
      topics: ['t'],
      since: 'start',
      handler: async (batch) => void read.push(...batch.map(place)),
      openLink: cluster.open,
      onTrouble() {},
      onForbidden: (reason) => void said.push(reason),
    })
    await follower.caughtUp
    cluster.fault = no
    await until(() => said.length > 0)
    expect(said[0]).toBe('TOPIC_AUTHORIZATION_FAILED')
    cluster.append(0, 'b')
    cluster.fault = () => {}
    await until(() => said.at(-1) === undefined && read.length === 2)
    expect(read).toEqual(['0/0', '0/1'])
    await follower[Symbol.asyncDispose]()
  })

  it('makes no call after its handler threw, and fails with what it threw (V13)', async () => {
    const cluster = new FakeCluster([['a'], ['b']])
    let calls = 0
    const { follower } = follow(cluster, async () => {
      calls += 1
      throw new Error('cannot fold')
    })
    await expect(follower.failed).rejects.toThrow('cannot fold')
    await expect(follower.caughtUp).rejects.toThrow('cannot fold')
    await sleep(20)
    expect(calls).toBe(1)
    await follower[Symbol.asyncDispose]()
  })

  it('ends at once while a poll is under way', async () => {
    const cluster = new FakeCluster([['a']])
    const open = (): Link => ({ ...cluster.open(), fetch: () => new Promise(() => {}) })
    const follower = new Follower({
      topics: ['t'],
      since: 'start',
      handler: async () => {},
      openLink: open,
      onTrouble() {},
    })
    await follower.started
    await follower[Symbol.asyncDispose]()
    await expect(follower.caughtUp).rejects.toMatchObject({ code: 'bus_unavailable' })
  })
})
