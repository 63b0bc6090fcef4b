import type { Fact, Verdict } from '@bailiwick/projection'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { publishHeads } from './head-publisher.ts'
import type { Producer } from './producer.ts'
import type { Projection } from './projection.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

interface SaidHead {
  active: boolean
  sequence: number
  stopping: boolean
  counted: object
  read: object
}

/** Heads of an instance over a bus whose answers the test sets. */
function aPublisher() {
  const world = {
    now: 1000,
    isActive: false,
    heads: [] as SaidHead[],
    drafts: [] as object[],
    errors: [] as unknown[],
    finishes: 0,
    answer: async (): Promise<Verdict | undefined> => 'counts',
    /** The head that the place was kept by last. */
    keptBy: undefined as string | undefined,
    tell: (_: Partial<Fact>): void => undefined,
    isSubscribed: true,
  }
  const producer = {
    source: '/issuer/a',
    end: { sequence: 7, hash: 'H' },
    finish: async () => void world.finishes++,
    publish: async (topic: string, [draft]: [{ type: string; subject: string; data: SaidHead }]) => {
      world.drafts.push({ topic, ...draft })
      world.heads.push(draft.data)
      const id = `head ${world.heads.length}`
      const verdict = await world.answer()
      return verdict === undefined ? [] : [{ id, verdict }]
    },
  } as unknown as Producer
  const projection = {
    follows: (topic: string) => topic !== 'approvals.v1',
    counted: (topics: string[]) => ({ topics }),
    heads: { leader: () => (world.keptBy === undefined ? undefined : { producer: '/issuer/a', id: world.keptBy }) },
    positions: () => ({ 'grants.v1': 3 }),
    onFact: (listener: typeof world.tell) => {
      world.tell = listener
      return () => {
        world.isSubscribed = false
      }
    },
  } as unknown as Projection
  const heads = publishHeads({
    producer,
    projection,
    service: 'issuer',
    writes: ['grants.v1', 'revocations.v1', 'approvals.v1'],
    active: () => world.isActive,
    monotonic: () => world.now,
    onError: (error) => world.errors.push(error),
  })
  const pass = async (ms: number) => {
    for (let n = 0; n < ms; n += 10) {
      world.now += 10
      await vi.advanceTimersByTimeAsync(10)
    }
  }
  const revoke = (verdict: Verdict = 'counts', type = 'revocation.declared') =>
    world.tell({ event: { type }, verdict } as unknown as Fact)
  return { world, heads, pass, revoke, end: () => heads[Symbol.asyncDispose]() }
}

it('publishes a head at once, and then each 500 ms, which says all that is known', async () => {
  const { world, pass, end } = aPublisher()
  expect(world.drafts).toEqual([
    {
      topic: 'heads.v1',
      type: 'head.published',
      subject: '/issuer/a',
      data: {
        service: 'issuer',
        producer: '/issuer/a',
        active: false,
        sequence: 7,
        hash: 'H',
        counted: { topics: ['grants.v1', 'revocations.v1'] },
        read: { 'grants.v1': 3 },
        stopping: false,
      },
    },
  ])
  world.isActive = true
  await pass(490)
  expect(world.heads).toHaveLength(1)
  await pass(10)
  expect(world.heads.map(({ active }) => active)).toEqual([false, true])
  await pass(1000)
  expect(world.heads).toHaveLength(4)
  await end()
})

it('publishes one head more 20 ms after a revocation, for all that come meanwhile, and no two within 100 ms', async () => {
  const { world, pass, revoke, end } = aPublisher()
  await pass(200)
  revoke()
  revoke()
  await pass(10)
  expect(world.heads).toHaveLength(1)
  await pass(10)
  expect(world.heads).toHaveLength(2)
  revoke()
  await pass(90)
  expect(world.heads).toHaveLength(2)
  await pass(10)
  expect(world.heads).toHaveLength(3)
  await pass(70)
  expect(world.heads).toHaveLength(3)
  await end()
})

it('waits for nothing more than 500 ms where nothing counts', async () => {
  const { world, pass, revoke, end } = aPublisher()
  await pass(200)
  revoke('void')
  revoke('repeated')
  revoke('counts', 'revocation.acknowledged')
  await pass(290)
  expect(world.heads).toHaveLength(1)
  await end()
})

it('has one head for a revocation that comes right before the next', async () => {
  const { world, pass, revoke, end } = aPublisher()
  await pass(490)
  revoke()
  await pass(30)
  expect(world.heads).toHaveLength(2)
  await end()
})

it('says up to when it kept its place: when it began the newest head that counts', async () => {
  const { world, heads, pass, end } = aPublisher()
  world.isActive = true
  expect(heads.provedAt()).toBe(1000)
  await pass(500)
  expect(heads.provedAt()).toBe(1500)
  world.answer = async () => 'void'
  await pass(500)
  world.answer = async () => undefined
  await pass(500)
  expect(heads.provedAt()).toBe(1500)
  // A head that was begun earlier and is read back later proves nothing newer.
  const slow = Promise.withResolvers<Verdict>()
  world.answer = () => slow.promise
  const asked = heads.now()
  world.answer = async () => 'counts'
  await pass(500)
  expect(heads.provedAt()).toBe(3000)
  slow.resolve('counts')
  await asked
  expect(heads.provedAt()).toBe(3000)
  await end()
})

it('of an active instance that is void has kept the place if the topic says so, however late it comes back (V8)', async () => {
  const { world, heads, pass, end } = aPublisher()
  world.isActive = true
  world.answer = async () => 'void'
  world.keptBy = 'head 2'
  await pass(500)
  expect(heads.provedAt()).toBe(1500)
  await pass(1000)
  expect(world.heads).toHaveLength(4)
  expect(heads.provedAt()).toBe(1500)
  world.keptBy = 'head 5'
  await pass(500)
  expect(heads.provedAt()).toBe(3000)
  world.keptBy = undefined
  world.answer = async () => undefined
  await pass(500)
  expect(heads.provedAt()).toBe(3000)
  expect(world.errors).toEqual([])
  await end()
})

it('of an instance that stands by, or its last one, keeps no place (V8)', async () => {
  const { world, heads, pass, end } = aPublisher()
  await pass(500)
  expect(world.heads).toHaveLength(2)
  expect(heads.provedAt()).toBe(1000)
  world.isActive = true
  await pass(500)
  expect(heads.provedAt()).toBe(2000)
  world.now += 100
  await end()
  expect(world.heads.at(-1)).toMatchObject({ active: true, stopping: true })
  expect(heads.provedAt()).toBe(2000)
})

it('tells of the first head of an outage that could not be published, and of none after it', async () => {
  const { world, pass, end } = aPublisher()
  const gone = new Error('the bus is gone')
  world.answer = () => Promise.reject(gone)
  await pass(1000)
  expect(world.errors).toEqual([gone])
  world.answer = async () => 'counts'
  await pass(500)
  world.answer = () => Promise.reject(gone)
  await pass(500)
  expect(world.errors).toEqual([gone, gone])
  await end()
})

it('publishes a head when it is asked to, which is there when that resolves', async () => {
  const { world, heads, end } = aPublisher()
  await heads.now()
  expect(world.heads).toHaveLength(2)
  world.answer = () => Promise.reject(new Error('the bus is gone'))
  await heads.now()
  expect(world.errors).toHaveLength(1)
  await end()
})

it('ends with a head that says so, behind all that are on their way, and publishes none after it', async () => {
  const { world, heads, pass, revoke, end } = aPublisher()
  await pass(200)
  const slow = Promise.withResolvers<Verdict>()
  world.answer = () => slow.promise
  void heads.now()
  revoke()
  world.answer = async () => 'counts'
  const ending = end()
  await pass(600)
  expect(world.heads.map(({ stopping }) => stopping)).toEqual([false, false])
  expect(world.finishes).toBe(0)
  slow.resolve('counts')
  await ending
  expect(world.heads.map(({ stopping }) => stopping)).toEqual([false, false, true])
  expect(world.finishes).toBe(1)
  expect(world.isSubscribed).toBe(false)
  await pass(600)
  expect(world.heads).toHaveLength(3)
})

it('ends also where its last head cannot be published', async () => {
  const { world, end } = aPublisher()
  world.answer = () => Promise.reject(new Error('the bus is gone'))
  await end()
  expect(world.errors).toHaveLength(1)
})
