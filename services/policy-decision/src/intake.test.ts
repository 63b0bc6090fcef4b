import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Intake, type Place } from './intake.ts'

let now: number
const opened: Intake[] = []
beforeEach(() => {
  now = 0
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  for (const intake of opened.splice(0)) intake[Symbol.dispose]()
  vi.useRealTimers()
})

function intake(more: Partial<ConstructorParameters<typeof Intake>[0]> = {}) {
  const made = new Intake({ perTurn: 1, atOnce: 2, most: 8, slowMs: 250, waitMs: 1000, monotonic: () => now, ...more })
  opened.push(made)
  const begun: string[] = []
  const refused: string[] = []
  const places = new Map<string, Place>()
  const enter = (lane: string, name: string, isGone?: () => boolean) =>
    made.enter(lane, isGone).then(
      (place) => {
        begun.push(name)
        places.set(name, place)
      },
      (error: { code: string }) => refused.push(`${name} ${error.code}`),
    )
  const turns = async (count = 20) => {
    for (let n = 0; n < count; n++) await setImmediate()
  }
  return { enter, begun, refused, turns, leave: (name: string) => places.get(name)?.leave() }
}

it('begins none before all that came in the same turn are here, then one a turn, the first first', async () => {
  const w = intake({ atOnce: 9 })
  for (const name of ['a', 'b', 'c']) void w.enter('one', name)
  await Promise.resolve()
  expect(w.begun).toEqual([])
  await w.turns(1)
  expect(w.begun).toEqual(['a'])
  await w.turns(1)
  expect(w.begun).toEqual(['a', 'b'])
})

it('begins so many a turn, the lanes in turn, and no more than may be under way', async () => {
  const w = intake({ perTurn: 3, atOnce: 2 })
  for (const name of ['a', 'b', 'c']) void w.enter('one', name)
  for (const name of ['x', 'y', 'z']) void w.enter('two', name)
  await w.turns(1)
  expect(w.begun).toEqual(['a', 'x', 'b'])
  await w.turns(1)
  expect(w.begun).toEqual(['a', 'x', 'b', 'y'])
  w.leave('b')
  await w.turns(1)
  expect(w.begun).toEqual(['a', 'x', 'b', 'y', 'c'])
})

it('begins another of a lane once one is over, and no lane waits for another (V18)', async () => {
  const w = intake()
  for (const name of ['a', 'b', 'c', 'd']) void w.enter('one', name)
  void w.enter('two', 'x')
  await w.turns()
  expect(w.begun).toEqual(['a', 'x', 'b'])
  w.leave('a')
  w.leave('a')
  await w.turns()
  expect(w.begun).toEqual(['a', 'x', 'b', 'c'])
})

it('begins half as many at once of a lane whose calls are slow, and one more for each that is not (V18)', async () => {
  const w = intake({ atOnce: 4, most: 99 })
  const names = Array.from({ length: 30 }, (_, n) => `${n}`)
  for (const name of names) void w.enter('one', name)
  const begunAfter = async (leaving: readonly string[], ms: number) => {
    now += ms
    const before = w.begun.length
    for (const name of leaving) w.leave(name)
    await w.turns()
    return w.begun.length - before
  }
  await w.turns()
  expect(w.begun).toHaveLength(4)
  // Two at once, however many of the four were slow; then one; then as many as all are in time.
  expect(await begunAfter(['0', '1', '2', '3'], 251)).toBe(2)
  expect(await begunAfter(['4', '5'], 251)).toBe(1)
  expect(await begunAfter(['6'], 251)).toBe(1)
  expect(await begunAfter(['7'], 250)).toBe(2)
  expect(await begunAfter(['8', '9'], 0)).toBe(4)
  expect(await begunAfter(['10', '11', '12', '13'], 0)).toBe(4)
})

it('turns away at once what is too much of one lane, and nothing of another', async () => {
  const w = intake({ most: 3 })
  for (const name of ['a', 'b', 'c', 'd']) void w.enter('one', name)
  void w.enter('two', 'x')
  await w.turns()
  expect([w.begun, w.refused]).toEqual([['a', 'x', 'b'], ['d queue_full']])
  w.leave('a')
  void w.enter('one', 'e')
  await w.turns()
  expect(w.begun).toEqual(['a', 'x', 'b', 'c'])
  expect(w.refused).toEqual(['d queue_full'])
})

it('turns away what waited through a whole sweep, though not before', async () => {
  const w = intake({ atOnce: 1 })
  void w.enter('one', 'a')
  void w.enter('one', 'b')
  await w.turns()
  vi.advanceTimersByTime(1000)
  await w.turns()
  expect(w.refused).toEqual([])
  vi.advanceTimersByTime(1000)
  await w.turns()
  expect(w.refused).toEqual(['b queue_full'])
  w.leave('a')
  void w.enter('one', 'c')
  await w.turns()
  expect(w.begun).toEqual(['a', 'c'])
})

it('does not begin a call whose caller has gone, and begins the next in its stead', async () => {
  const w = intake({ atOnce: 1 })
  let gone = false
  void w.enter('one', 'a')
  void w.enter('one', 'b', () => gone)
  void w.enter('one', 'c')
  await w.turns()
  gone = true
  w.leave('a')
  await w.turns()
  expect([w.begun, w.refused]).toEqual([['a', 'c'], ['b queue_full']])
})
