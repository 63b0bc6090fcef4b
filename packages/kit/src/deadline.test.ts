import { expect, it } from 'vitest'
import { abortedAfter, after, withDeadline } from './deadline.ts'

const never = new Promise<never>(() => {})

it('waits, and not longer than until its signal is aborted', async () => {
  await after(1)
  await after(-5)
  const reason = new Error('stop')
  await expect(after(60_000, AbortSignal.abort(reason))).rejects.toBe(reason)
  const controller = new AbortController()
  const waiting = after(60_000, controller.signal)
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
})

it('refuses a wait that a timer would turn into none', async () => {
  await expect(after(Number.POSITIVE_INFINITY)).rejects.toThrow(RangeError)
  await expect(after(Number.NaN)).rejects.toThrow(RangeError)
})

it('aborts when the time is over, unless the work was over before', async () => {
  using late = abortedAfter(5)
  let signal = late.signal
  {
    using done = abortedAfter(5)
    signal = done.signal
  }
  await expect(after(60_000, late.signal)).rejects.toMatchObject({ name: 'TimeoutError' })
  await after(10)
  expect([late.signal.aborted, signal.aborted]).toEqual([true, false])
})

it('gives what comes in time, and the error of what fails in time', async () => {
  expect(await withDeadline(Promise.resolve(7), 1000)).toBe(7)
  const failure = new Error('no')
  await expect(withDeadline(Promise.reject(failure), 1000)).rejects.toBe(failure)
})

it('answers with the code when nothing comes in time, and ignores what fails later (V13)', async () => {
  await expect(withDeadline(never, 1)).rejects.toMatchObject({ code: 'deadline_exceeded' })
  await expect(withDeadline(never, 1, 'bus_unavailable')).rejects.toMatchObject({ code: 'bus_unavailable' })
  const { promise, reject } = Promise.withResolvers<never>()
  await expect(withDeadline(promise, 1)).rejects.toMatchObject({ code: 'deadline_exceeded' })
  reject(new Error('too late for anybody'))
  await after(1)
})
