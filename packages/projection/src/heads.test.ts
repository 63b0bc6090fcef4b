import type { Head } from '@bailiwick/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anEvent, at, noon } from './events.fixture.ts'
import { Heads, hasFolded } from './heads.ts'

const head = (data: Partial<Head>, time = at(0)) => anEvent('heads.v1', 'head.published', { data, time })
const active = (producer: string, more: Partial<Head> = {}, time = at(0)) =>
  head({ service: 'issuer', producer, active: true, stopping: false, ...more }, time)
/** `key-2` became the signing key after `key-1`. */
const succeeds = (kid: string, former: string) => kid === 'key-2' && former === 'key-1'
const heard = (monotonic: number) => ({ kid: 'key', takenAt: noon, now: noon, monotonic, succeeds })

/** An instance by its name, as long as it is remembered separately. */
const of = (heads: Heads, name: string) => heads.all().find(({ producer }) => producer === name)

/** A head of an issuer that the bus took `ms` after noon and that is read at once. */
const say = (heads: Heads, ms: number, producer: string, more: Partial<Head> = {}, kid = 'key') =>
  heads.apply(active(producer, more, at(ms)), { kid, takenAt: noon + ms, now: noon + ms, monotonic: ms, succeeds })

it.each([
  [0, true],
  [1000, true],
  [-1000, true],
  [1001, false],
  [-1001, false],
  [-9 * 3600 * 1000, false],
])('a head whose clock is %d ms off is taken: %s (V8)', (skew, taken) => {
  const heads = new Heads()
  expect(heads.apply(head({ service: 'issuer', active: true, stopping: false }, at(skew)), heard(5))).toBe(taken)
  expect(heads.active('issuer') !== undefined).toBe(taken)
  expect(heads.all()).toHaveLength(taken ? 1 : 0)
})

it.each([
  [900, 4100],
  [0, 5000],
  [-900, 5000],
])('a head that was %d ms under way is as old as that when it comes (V7, V8)', (ms, receivedAt) => {
  const heads = new Heads()
  heads.apply(active('/issuer/one'), { kid: 'key', takenAt: noon, now: noon + ms, monotonic: 5000, succeeds })
  expect(heads.active('issuer')?.receivedAt).toBe(receivedAt)
})

it('only the active instance speaks for its service, and not as it stops (V8)', () => {
  const heads = new Heads()
  heads.apply(active('/issuer/standby', { active: false }), heard(1))
  heads.apply(active('/issuer/stopping', { stopping: true }), heard(2))
  expect(heads.active('issuer')).toBeUndefined()
  heads.apply(active('/issuer/one'), heard(3))
  heads.apply(active('/issuer/standby', { active: false }), heard(4))
  heads.apply(active('/issuer/one', { stopping: true }), heard(5))
  expect(heads.active('issuer')).toMatchObject({ receivedAt: 3, head: { producer: '/issuer/one' } })
  expect(of(heads, '/issuer/standby')?.receivedAt).toBe(4)
  expect(heads.active('approval')).toBeUndefined()
})

describe('who is the active one', () => {
  it('a claim is void while the active one was heard less than 3 s ago, and counts then (V8)', () => {
    const heads = new Heads()
    expect(say(heads, 0, '/issuer/one')).toBe(true)
    expect(say(heads, 2999, '/issuer/two')).toBe(false)
    expect(heads.leader('issuer')?.producer).toBe('/issuer/one')
    expect(heads.active('issuer')?.head.producer).toBe('/issuer/one')
    expect(say(heads, 3000, '/issuer/two')).toBe(true)
    expect(heads.leader('issuer')?.producer).toBe('/issuer/two')
  })

  it('an instance that was succeeded does not keep others fresh, even if it comes back (V8)', () => {
    const heads = new Heads()
    say(heads, 0, '/issuer/one')
    say(heads, 3000, '/issuer/two')
    for (const ms of [3001, 3500, 5999]) {
      expect(say(heads, ms, '/issuer/one')).toBe(false)
      expect(heads.active('issuer')?.head.producer).toBe('/issuer/two')
      say(heads, ms, '/issuer/two')
    }
    expect(of(heads, '/issuer/one')?.receivedAt).toBe(0)
  })

  it.each<[string, Partial<Head>]>([
    ['says that it stops', { stopping: true }],
    ['says that it stands by', { active: false }],
  ])('whose active one %s is followed at once', (_what, last) => {
    const heads = new Heads()
    say(heads, 0, '/issuer/one')
    say(heads, 10, '/issuer/one', last)
    expect(heads.leader('issuer')).toBeUndefined()
    expect(say(heads, 11, '/issuer/two')).toBe(true)
    expect(say(heads, 12, '/issuer/three')).toBe(false)
  })

  it('is bound to one key: another key of the service cannot speak in its name, nor end its time (V8, V12)', () => {
    const heads = new Heads()
    say(heads, 0, '/issuer/one')
    expect(say(heads, 10, '/issuer/one', { stopping: true }, 'stolen')).toBe(false)
    expect(say(heads, 20, '/issuer/one', { counted: {} }, 'stolen')).toBe(false)
    expect(say(heads, 30, '/issuer/thief', {}, 'stolen')).toBe(false)
    expect(heads.leader('issuer')).toMatchObject({ producer: '/issuer/one', kid: 'key' })
    expect(heads.active('issuer')?.receivedAt).toBe(0)
  })

  it('a head that is published again later, by a retry or a thief, neither keeps a place nor gives it up', () => {
    const heads = new Heads()
    say(heads, 0, '/issuer/one')
    const late = (ms: number, more: Partial<Head> = {}) =>
      heads.apply(active('/issuer/one', more, at(0)), {
        kid: 'key',
        takenAt: noon + ms,
        now: noon,
        monotonic: ms,
        succeeds,
      })
    expect(late(3001)).toBe(false)
    expect(say(heads, 3002, '/issuer/two')).toBe(true)
    say(heads, 3500, '/issuer/two')
    const repeated = active('/issuer/two', { active: false }, at(3002))
    expect(
      heads.apply(repeated, { kid: 'key', takenAt: noon + 3600, now: noon + 3600, monotonic: 3600, succeeds }),
    ).toBe(false)
    expect(heads.leader('issuer')?.producer).toBe('/issuer/two')
  })

  it('goes on with the key that came to sign after its own, and never back (V8, V12)', () => {
    const heads = new Heads()
    expect(say(heads, 0, '/issuer/one', {}, 'key-1')).toBe(true)
    expect(say(heads, 1, '/issuer/one', {}, 'key-3')).toBe(false)
    expect(say(heads, 2, '/issuer/one', {}, 'key-2')).toBe(true)
    expect(say(heads, 3, '/issuer/one', {}, 'key-1')).toBe(false)
    expect(say(heads, 4, '/issuer/one', {}, 'key-2')).toBe(true)
  })

  it('every instance of the decision points acts', () => {
    const heads = new Heads()
    for (const producer of ['/policy-decision/one', '/policy-decision/two'])
      expect(say(heads, 0, producer, { service: 'policy-decision' })).toBe(true)
    expect(heads.all()).toHaveLength(2)
  })

  it('is the same for all readers, whenever they read, and never changes hands within 3 s without a word (V8)', () => {
    const step = fc.record({
      wait: fc.constantFrom(0, 1, 500, 1500, 2999, 3000, 4000),
      producer: fc.constantFrom('/issuer/a', '/issuer/b', '/issuer/c'),
      says: fc.constantFrom('active', 'standby', 'stopping'),
      late: fc.constantFrom(0, 0, 0, 900, 3500),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 0, max: 100_000 }), (steps, readLateMs) => {
        const [live, later] = [new Heads(), new Heads()]
        let ms = 0
        let leader: string | undefined
        let lastHeardAt = Number.NEGATIVE_INFINITY
        for (const { wait, producer, says, late } of steps) {
          ms += wait
          const event = active(producer, { active: says !== 'standby', stopping: says === 'stopping' }, at(ms - late))
          const takenAt = noon + ms
          live.apply(event, { kid: 'key', takenAt, now: takenAt, monotonic: ms, succeeds })
          later.apply(event, { kid: 'key', takenAt, now: takenAt + readLateMs, monotonic: ms, succeeds })
          const now = live.leader('issuer')?.producer
          expect(later.leader('issuer')?.producer).toBe(now)
          if (leader !== undefined && now !== leader) {
            const gaveUp = producer === leader && says !== 'active'
            expect(gaveUp || ms - lastHeardAt >= 3000).toBe(true)
          }
          leader = now
          if (live.leader('issuer')?.takenAt === takenAt) lastHeardAt = ms
        }
      }),
    )
  })
})

describe('more instances of a service than it keeps heads of', () => {
  const crowd = (heads: Heads, ms: number, from: number, to: number) => {
    for (let n = from; n < to; n++) say(heads, ms, `/policy-decision/${n}`, { service: 'policy-decision' })
  }

  it('are left out and reported, and push out no live instance of any service (V7, V18)', () => {
    const heads = new Heads()
    say(heads, 0, '/approval/real', { service: 'approval' })
    say(heads, 0, '/policy-decision/real', { service: 'policy-decision' })
    crowd(heads, 0, 0, 999)
    expect(heads.crowded(0)).toEqual([])
    crowd(heads, 1, 999, 5000)
    expect(heads.all()).toHaveLength(1001)
    expect(heads.crowded(3000)).toEqual(['policy-decision'])
    expect(heads.crowded(3001)).toEqual([])
    say(heads, 2, '/policy-decision/real', { service: 'policy-decision', stopping: true })
    expect(of(heads, '/policy-decision/real')).toMatchObject({ stopping: true, receivedAt: 2 })
    expect(of(heads, '/approval/real')).toMatchObject({ service: 'approval' })
    expect(of(heads, '/policy-decision/4999')).toBeUndefined()
    expect(heads.active('policy-decision')?.head.producer).toBe('/policy-decision/4999')
  })

  it('have room again once others were not heard for 3 s', () => {
    const heads = new Heads()
    crowd(heads, 0, 0, 1000)
    say(heads, 2000, '/policy-decision/0', { service: 'policy-decision' })
    crowd(heads, 2999, 1000, 1001)
    expect(heads.crowded(2999)).toEqual(['policy-decision'])
    crowd(heads, 3000, 1001, 2001)
    expect(heads.all()).toHaveLength(1000)
    expect(of(heads, '/policy-decision/0')).toMatchObject({ receivedAt: 2000 })
    expect(of(heads, '/policy-decision/1')).toBeUndefined()
    expect(of(heads, '/policy-decision/1999')).toBeDefined()
    expect(of(heads, '/policy-decision/2000')).toBeUndefined()
  })
})

it('is folded when every partition that the head names is, of the topics that are read (V8)', () => {
  const { data } = active('/issuer/one', {
    counted: {
      'grants.v1': { '0': { offset: 3, id: 'evt' }, '2': { offset: 0, id: 'evt' } },
      'revocations.v1': { '0': { offset: -1, id: '' } },
      'registry.v1': { '0': { offset: 9, id: 'evt' } },
    },
  })
  const handled = (grants: number[]) => (topic: string, partition: number) =>
    topic === 'grants.v1' ? (grants[partition] ?? -1) : -1
  const folded = (...grants: number[]) => hasFolded(data, new Set(['grants.v1', 'revocations.v1']), handled(grants))
  expect(folded(3, -1, 0)).toBe(true)
  expect(folded(4, 7, 1)).toBe(true)
  expect(folded(2, 7, 7)).toBe(false)
  expect(folded(3)).toBe(false)
  expect(hasFolded(data, new Set(['registry.v1']), handled([]))).toBe(false)
  expect(hasFolded(data, new Set(), handled([]))).toBe(true)
})
