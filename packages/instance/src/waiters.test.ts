import { describe, expect, it } from 'vitest'
import { Waiters } from './waiters.ts'

const longMs = 60_000

describe('until', () => {
  it('gives at once what is there already', async () => {
    const waiters = new Waiters()
    let asked = 0
    const check = () => {
      asked++
      return 0
    }
    expect(await waiters.until(check, longMs)).toBe(0)
    waiters.wake()
    expect(asked).toBe(1)
  })

  it('looks again each time that something came, until it is there, and then no more', async () => {
    const waiters = new Waiters()
    let [value, asked] = [undefined as number | undefined, 0]
    const waiting = waiters.until(() => {
      asked++
      return value
    }, longMs)
    waiters.wake()
    value = 7
    waiters.wake()
    expect(await waiting).toBe(7)
    waiters.wake()
    expect(asked).toBe(3)
  })

  it('gives undefined when its time is over, or once the waiters are closed', async () => {
    const waiters = new Waiters()
    expect(await waiters.until(() => undefined, 1)).toBeUndefined()
    const waiting = waiters.until(() => undefined, longMs)
    waiters.close()
    expect(await waiting).toBeUndefined()
    expect(await waiters.until(() => undefined, longMs)).toBeUndefined()
    expect(await waiters.until(() => 3, longMs)).toBe(3)
  })

  it('rejects with what its check throws, and wakes the others', async () => {
    const waiters = new Waiters()
    let fails = false
    const asked = { failing: 0 }
    const failing = waiters.until((): number | undefined => {
      asked.failing++
      if (fails) throw new Error('mine')
      return undefined
    }, longMs)
    const other = waiters.until(() => (fails ? 1 : undefined), longMs)
    fails = true
    waiters.wake()
    await expect(failing).rejects.toThrow('mine')
    expect(await other).toBe(1)
    waiters.wake()
    expect(asked.failing).toBe(2)
  })
})

describe('verdict', () => {
  it('tells the first who waits for an id the first verdict under it, and the next the next', async () => {
    const waiters = new Waiters()
    const [first, second, other] = ['evt_1', 'evt_1', 'evt_2'].map((id) => waiters.verdict(id, longMs))
    waiters.settle('evt_3', 'counts')
    waiters.settle('evt_1', 'counts')
    waiters.settle('evt_1', 'void')
    waiters.settle('evt_1', 'repeated')
    waiters.settle('evt_2', 'repeated')
    expect(await Promise.all([first, second, other])).toEqual(['counts', 'void', 'repeated'])
  })

  it('rejects when its time is over, and leaves the verdict to the next', async () => {
    const waiters = new Waiters()
    const early = waiters.verdict('evt_1', 1)
    const patient = waiters.verdict('evt_1', longMs)
    const late = { code: 'deadline_exceeded', message: expect.stringContaining('read back') }
    await expect(early).rejects.toMatchObject(late)
    waiters.settle('evt_1', 'counts')
    expect(await patient).toBe('counts')
  })

  it('rejects once the waiters are closed, at once if they already are', async () => {
    const waiters = new Waiters()
    const waiting = waiters.verdict('evt_1', longMs)
    waiters.close()
    await expect(waiting).rejects.toMatchObject({ code: 'deadline_exceeded' })
    await expect(waiters.verdict('evt_1', longMs)).rejects.toMatchObject({ code: 'deadline_exceeded' })
  })
})
