import { describe, expect, it } from 'vitest'
import { after } from './deadline.ts'
import { Semaphore, SerialQueue } from './queue.ts'

const roomy = { maxPerKey: 1000, max: 10_000 }

describe('a serial queue', () => {
  it('runs the calls of one key one after the other, in order, and other keys meanwhile', async () => {
    const queue = new SerialQueue(roomy)
    const steps: string[] = []
    const gate = Promise.withResolvers<void>()
    const call = (key: string, n: number, wait?: Promise<void>) =>
      queue.serially(key, async () => {
        steps.push(`${key}${n} in`)
        await wait
        steps.push(`${key}${n} out`)
        return n
      })
    const all = [call('a', 1, gate.promise), call('a', 2), call('b', 1), call('a', 3)]
    await all[2]
    expect(steps).toEqual(['a1 in', 'b1 in', 'b1 out'])
    gate.resolve()
    expect(await Promise.all(all)).toEqual([1, 2, 1, 3])
    expect(steps.slice(3)).toEqual(['a1 out', 'a2 in', 'a2 out', 'a3 in', 'a3 out'])
    expect(queue.length).toBe(0)
  })

  it('never runs two calls of a key at once', async () => {
    const queue = new SerialQueue(roomy)
    let inside = 0
    let most = 0
    const work = async () => {
      most = Math.max(most, ++inside)
      await after(Math.random())
      inside--
    }
    await Promise.all(Array.from({ length: 100 }, () => queue.serially('tree', work)))
    expect(most).toBe(1)
  })

  it('goes on after a call that fails, and gives its error to its caller alone', async () => {
    const queue = new SerialQueue(roomy)
    const failure = new Error('no')
    const failed = queue.serially('a', () => Promise.reject(failure))
    const thrown = queue.serially('a', () => {
      throw failure
    })
    const next = queue.serially('a', async () => 'yes')
    await expect(failed).rejects.toBe(failure)
    await expect(thrown).rejects.toBe(failure)
    expect(await next).toBe('yes')
  })

  it('refuses what would wait for too long at the pace of what came before, and says when that is over', async () => {
    const clock = { ms: 0 }
    const wait = { mostMs: 5000, monotonic: () => clock.ms }
    const queue = new SerialQueue({ ...roomy, wait })
    const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
    const ran: number[] = []
    const call = (n: number) =>
      queue.serially('tree', async () => {
        ran.push(n)
        await gates[n]?.promise
      })
    const all = [call(0), call(1), call(2), call(3)]
    clock.ms = 2000 // the first call has taken this long by now, and three wait behind it
    await expect(call(4)).rejects.toMatchObject({ code: 'queue_full', retryAfterSeconds: 3 })
    await queue.serially('another tree', async () => void ran.push(9))
    gates[0]?.resolve()
    await all[0]
    clock.ms = 2001
    gates[1]?.resolve()
    await all[1]
    const quick = call(5) // the previous call took 1 ms
    clock.ms = 6000
    gates[2]?.resolve()
    await all[2]
    // A call that was let in but waited too long is not begun.
    await expect(all[3]).rejects.toMatchObject({ code: 'queue_full' })
    await quick
    expect(ran).toEqual([0, 9, 1, 2, 5])
    await call(6)
  })

  it('refuses what is over its bounds, of one key (V18) and of all', async () => {
    const queue = new SerialQueue({ maxPerKey: 2, max: 3 })
    const gate = Promise.withResolvers<void>()
    const hold = (key: string) => queue.serially(key, () => gate.promise)
    const held = [hold('a'), hold('a')]
    await expect(hold('a')).rejects.toMatchObject({ code: 'queue_full' })
    held.push(hold('b'))
    await expect(hold('c')).rejects.toMatchObject({ code: 'queue_full' })
    gate.resolve()
    await Promise.all(held)
    await expect(hold('c')).resolves.toBeUndefined()
    expect(queue.length).toBe(0)
  })

  it('lets a stop past the bounds and before all that waits, in the order of stops (V18)', async () => {
    const queue = new SerialQueue({ maxPerKey: 3, max: 3 })
    const gate = Promise.withResolvers<void>()
    const steps: string[] = []
    const step = (name: string) => async () => void steps.push(name)
    const all = [
      queue.serially('a', () => gate.promise),
      queue.serially('a', step('1')),
      queue.serially('a', step('2')),
    ]
    await expect(queue.serially('a', step('no'))).rejects.toMatchObject({ code: 'queue_full' })
    all.push(queue.first('a', step('stop')), queue.first('a', step('another')))
    gate.resolve()
    await Promise.all(all)
    expect(steps).toEqual(['stop', 'another', '1', '2'])
    expect(queue.length).toBe(0)
  })

  it('does not start a call whose deadline passed while it waited', async () => {
    const queue = new SerialQueue(roomy)
    const gate = Promise.withResolvers<void>()
    const first = queue.serially('a', () => gate.promise)
    const deadline = new AbortController()
    let ran = false
    const work = async () => {
      ran = true
    }
    const late = queue.serially('a', work, deadline.signal)
    const reason = new Error('late')
    deadline.abort(reason)
    gate.resolve()
    await expect(late).rejects.toBe(reason)
    await first
    expect(ran).toBe(false)
    expect(await queue.serially('a', async () => 'next')).toBe('next')
  })
})

describe('a semaphore', () => {
  it('lets as many run at once as it may, and all of them in the end', async () => {
    const semaphore = new Semaphore(3, 100)
    let inside = 0
    let most = 0
    const order: number[] = []
    const run = (n: number) =>
      semaphore.run(async () => {
        order.push(n)
        most = Math.max(most, ++inside)
        await after(Math.random() * 2)
        inside--
        if (n % 7 === 0) throw new Error('no')
      })
    const settled = await Promise.allSettled(Array.from({ length: 50 }, (_, n) => run(n)))
    expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(8)
    expect(most).toBe(3)
    expect(order).toEqual(order.toSorted((a, b) => a - b))
    expect(semaphore.waiting).toBe(0)
  })

  it('hands its place to the first that waits, and to none that comes later', async () => {
    const semaphore = new Semaphore(1, 100)
    let inside = 0
    let most = 0
    const work = async () => {
      most = Math.max(most, ++inside)
      await after(0)
      inside--
    }
    const comers = Array.from({ length: 20 }, async (_, n) => {
      await after(n / 2)
      await semaphore.run(work)
    })
    await Promise.all([semaphore.run(work), semaphore.run(work), ...comers])
    expect(most).toBe(1)
  })

  it('refuses what would wait beyond its bound', async () => {
    const semaphore = new Semaphore(1, 1)
    const gate = Promise.withResolvers<void>()
    const held = [semaphore.run(() => gate.promise), semaphore.run(() => gate.promise)]
    await expect(semaphore.run(() => gate.promise)).rejects.toMatchObject({ code: 'queue_full' })
    gate.resolve()
    await Promise.all(held)
    expect(await semaphore.run(async () => 1)).toBe(1)
  })

  it('does not start a call whose deadline passed, and gives its place on', async () => {
    const semaphore = new Semaphore(1, 2)
    const gate = Promise.withResolvers<void>()
    const first = semaphore.run(() => gate.promise)
    const late = semaphore.run(async () => 'never', AbortSignal.abort(new Error('late')))
    const next = semaphore.run(async () => 'next')
    gate.resolve()
    await expect(late).rejects.toThrow('late')
    expect(await next).toBe('next')
    await first
  })

  it('refuses bounds that let nothing through', () => {
    expect(() => new Semaphore(0, 1)).toThrow(RangeError)
  })
})
