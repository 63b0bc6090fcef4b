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
  const made = new Intake({ atOnce: 2, most: 8, lateMs: 250, waitMs: 1000, monotonic: () => now, ...more })
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

it('begins none of a lane while one of it is late, and goes on once that is over', async () => {
  const w = intake({ atOnce: 9 })
  void w.enter('one', 'a')
  await w.turns()
  now = 251
  void w.enter('one', 'b')
  void w.enter('two', 'x')
  await w.turns()
  expect(w.begun).toEqual(['a', 'x'])
  w.leave('a')
  await w.turns()
  expect(w.begun).toEqual(['a', 'x', 'b'])
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
