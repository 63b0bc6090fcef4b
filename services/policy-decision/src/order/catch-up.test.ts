import { expect, it } from 'vitest'
import { CatchUp, isCaughtUp } from './catch-up.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

it('reads one at a time, and never gives a caller a reading that began before it asked', async () => {
  const readings: PromiseWithResolvers<void>[] = []
  const catchUp = new CatchUp(() => {
    readings.push(Promise.withResolvers())
    return (readings.at(-1) as PromiseWithResolvers<void>).promise
  })
  const done: string[] = []
  const ask = (name: string) => void catchUp.now(5000).then(() => done.push(name))
  ask('first')
  await turn()
  for (const name of ['second', 'third']) ask(name)
  await turn()
  expect(readings).toHaveLength(1)
  readings[0]?.resolve()
  await turn()
  expect([done, readings.length]).toEqual([['first'], 2])
  readings[1]?.resolve()
  await turn()
  expect(done).toEqual(['first', 'second', 'third'])
})

it('rejects what cannot be read, or not in time, and reads again for the next', async () => {
  let fails = true
  const catchUp = new CatchUp(() => (fails ? Promise.reject(new Error('the bus is away')) : Promise.resolve()))
  await expect(catchUp.now(5000)).rejects.toThrow('the bus is away')
  fails = false
  await expect(catchUp.now(5000)).resolves.toBeUndefined()
  const stuck = new CatchUp(() => new Promise(() => undefined))
  await expect(stuck.now(5)).rejects.toThrow('in time')
})

it('is asked for only where policies look at what an agent did elsewhere, and no where it cannot be read (V2)', async () => {
  let asked = 0
  const caughtUp = (current: object | undefined, read: () => Promise<void>) => {
    const catchUp = new CatchUp(() => {
      asked++
      return read()
    })
    return isCaughtUp({ policies: { current: () => current } as never, catchUp }, 5000)
  }
  const away = () => Promise.reject(new Error('the bus is away'))
  expect(await caughtUp(undefined, away)).toBe(true)
  expect(await caughtUp({ readsAgentHistory: false }, away)).toBe(true)
  expect(asked).toBe(0)
  expect(await caughtUp({ readsAgentHistory: true }, away)).toBe(false)
  expect(await caughtUp({ readsAgentHistory: true }, () => Promise.resolve())).toBe(true)
  expect(asked).toBe(2)
})
