import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Caller, Intake, type IntakeOptions, type Place } from './intake.ts'

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

function intake(more: Partial<IntakeOptions> = {}) {
  const fixed = { perTurn: 1, atOnce: 2, most: 8, deadlineMs: 1000, isSlow: () => false, monotonic: () => now }
  const made = new Intake({ ...fixed, ...more })
  opened.push(made)
  const begun: string[] = []
  const refused: string[] = []
  const places = new Map<string, Place>()
  const enter = (lane: string, name: string, caller?: Caller) =>
    made.enter(lane, caller).then(
      (place) => {
        begun.push(name)
        places.set(name, place)
      },
      (error: { code: string }) => refused.push(`${name} ${error.code}`),
    )
  const turns = async (count = 20) => {
    for (let n = 0; n < count; n++) await setImmediate()
  }
  const leave = (...names: string[]) => {
    for (const name of names) places.get(name)?.leave()
  }
  return { made, enter, begun, refused, turns, leave }
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
  // First two at once, however many of the four were slow; then one; then one more for each call that is in time.
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

it('turns away what was not begun within ten deadlines', async () => {
  const w = intake({ atOnce: 1 })
  void w.enter('one', 'a')
  void w.enter('one', 'b')
  await w.turns()
  vi.advanceTimersByTime(9750)
  await w.turns()
  expect(w.refused).toEqual([])
  vi.advanceTimersByTime(250)
  await w.turns()
  expect(w.refused).toEqual(['b queue_full'])
  w.leave('a')
  void w.enter('one', 'c')
  await w.turns()
  expect(w.begun).toEqual(['a', 'c'])
})

it('turns away what was not begun within one deadline where all is slow, and an item of a boxcar within ten', async () => {
  const w = intake({ atOnce: 1, isSlow: () => true })
  void w.enter('one', 'a')
  void w.enter('one', 'b')
  void w.enter('one', 'many', { isOneOfMany: () => true })
  const refusedAfter = async (ms: number) => {
    vi.advanceTimersByTime(ms)
    await w.turns()
    return w.refused
  }
  await w.turns()
  expect(await refusedAfter(750)).toEqual([])
  expect(await refusedAfter(250)).toEqual(['b queue_full'])
  expect(await refusedAfter(8750)).toEqual(['b queue_full'])
  expect(await refusedAfter(250)).toEqual(['b queue_full', 'many queue_full'])
})

it('does not begin a call whose caller has gone, and begins the next in its stead', async () => {
  const w = intake({ atOnce: 1 })
  let gone = false
  void w.enter('one', 'a')
  void w.enter('one', 'b', { isGone: () => gone })
  void w.enter('one', 'c')
  await w.turns()
  gone = true
  w.leave('a')
  await w.turns()
  expect([w.begun, w.refused]).toEqual([['a', 'c'], ['b queue_full']])
})

describe('over all lanes', () => {
  const firstWindow = 64
  const lanes = Array.from({ length: 4 * firstWindow }, (_, n) => `${n}`)

  async function crowd(more: Partial<IntakeOptions> = {}) {
    const w = intake({ perTurn: 999, ...more })
    for (const name of lanes) void w.enter(name, name)
    await w.turns()
    const begunAfter = async (leaving: readonly string[], ms: number) => {
      now += ms
      const before = w.begun.length
      w.leave(...leaving)
      await w.turns()
      return w.begun.length - before
    }
    return { ...w, begunAfter }
  }

  it('begins half as many calls at once where all is slow, and one more for each that is not (V18)', async () => {
    const w = await crowd({ isSlow: () => true })
    expect(w.begun).toHaveLength(firstWindow)
    expect(await w.begunAfter(w.begun.slice(0, 64), 501)).toBe(32)
    expect(await w.begunAfter(w.begun.slice(64, 96), 501)).toBe(16)
    // Six of these calls grow the window. For the last two it already has more room than is used.
    expect(await w.begunAfter(w.begun.slice(96, 104), 500)).toBe(14)
    expect(w.made.window).toBe(22)
  })

  it('begins one at a time while calls are slow and not late', async () => {
    const w = await crowd({ isSlow: () => true })
    for (let n = 0; n < 6; n++) await w.begunAfter(w.begun, 501)
    expect(await w.begunAfter(w.begun, 501)).toBe(1)
    expect(await w.begunAfter(w.begun, 1000)).toBe(1)
  })

  describe('where even one at a time is too late', () => {
    /** The state after six rounds of calls that were too late: only one call at a time may be begun. */
    async function hopeless() {
      const machine = { isSlow: true }
      const w = await crowd({ isSlow: () => machine.isSlow })
      for (let n = 0; n < 6; n++) await w.begunAfter(w.begun, 1001)
      expect([w.made.window, w.refused]).toEqual([1, []])
      const sweep = async (ms = 250) => {
        for (let left = ms; left > 0; left -= 250) {
          now += 250
          vi.advanceTimersByTime(250)
        }
        await w.turns()
      }
      return { ...w, machine, sweep }
    }

    it('turns calls away at once, except for one in a while, the rarer the longer it lasts', async () => {
      const w = await hopeless()
      const pauses: number[] = []
      for (let n = 0; n < 6; n++) {
        const begun = w.begun.length
        await w.begunAfter(w.begun, 1001)
        const from = now - 1001
        for (let step = 0; w.begun.length === begun && step < 99; step++) {
          await w.sweep()
          void w.enter(`probe ${now}`, `${now}`)
          await w.turns()
        }
        pauses.push(now - from)
      }
      expect(pauses).toEqual([1001, 2001, 4001, 8001, 8001, 8001])
      expect(w.refused.length).toBeGreaterThan(100)
    })

    it('begins more again with each that is in time, and as many as one at once where the process is quick', async () => {
      const w = await hopeless()
      for (let n = 0; n < 2; n++) {
        await w.begunAfter(w.begun, 1001)
        await w.sweep(4000)
        void w.enter(`probe ${n}`, `probe ${n}`)
        await w.turns()
      }
      expect(w.made.window).toBe(1 / 4)
      // By then the call no longer counts against the window.
      await w.sweep(750)
      await w.begunAfter(['probe 1'], 150)
      expect(w.made.window).toBe(1 / 2)
      w.machine.isSlow = false
      await w.sweep()
      expect(w.made.window).toBe(1)
    })
  })

  it('begins as many as before where only some lanes are held up, however late their calls are (V18)', async () => {
    const w = await crowd()
    expect(await w.begunAfter(w.begun.slice(0, 64), 5000)).toBe(64)
    expect(w.made.window).toBe(64)
  })

  it('begins others once calls were held up for half a deadline, as if they were over (V18)', async () => {
    const w = await crowd({ isSlow: () => true })
    expect(w.begun).toHaveLength(64)
    vi.advanceTimersByTime(250)
    await w.turns()
    expect(w.begun).toHaveLength(64)
    vi.advanceTimersByTime(250)
    await w.turns()
    expect(w.begun).toHaveLength(128)
    // Their end does not make room a second time.
    expect(await w.begunAfter(w.begun.slice(0, 64), 501)).toBe(0)
  })

  it('a window that limits nothing does not grow', async () => {
    const w = intake({ isSlow: () => true })
    for (const name of lanes.slice(0, 8)) void w.enter(name, name)
    await w.turns()
    w.leave(...w.begun)
    expect(w.made.window).toBe(64)
  })
})
