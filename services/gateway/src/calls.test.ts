import { expect, it } from 'vitest'
import { Calls } from './calls.ts'

it('is idle once the last answer is over, and takes no call after that was asked', async () => {
  const calls = new Calls()
  const answer = Promise.withResolvers<void>()
  await calls.run(async () => ({ over: answer.promise }))
  await calls.run(async () => ({ refused: 'route_unknown' }))
  await expect(calls.run(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  let isIdle = false
  void calls.retire().then(() => {
    isIdle = true
  })
  await expect(calls.run(async () => ({}))).rejects.toThrow('route_unknown')
  await new Promise(setImmediate)
  expect(isIdle).toBe(false)
  answer.resolve()
  await new Promise(setImmediate)
  expect(isIdle).toBe(true)
})

it('is idle at once if no answer flows', async () => {
  await new Calls().retire()
})
