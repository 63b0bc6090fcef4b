import { expect, it } from 'vitest'
import { inBackground } from './in-background.ts'

it('is ended once it is open, however early that is asked for', async () => {
  const opening = Promise.withResolvers<AsyncDisposable>()
  const done: string[] = []
  const owned = inBackground(opening.promise, () => done.push('fatal'))
  const ended = owned[Symbol.asyncDispose]().then(() => done.push('ended'))
  await Promise.resolve()
  expect(done).toEqual([])
  opening.resolve({ [Symbol.asyncDispose]: async () => void done.push('closed') })
  await ended
  expect(done).toEqual(['closed', 'ended'])
})

it('tells what keeps it from opening, and ends', async () => {
  const told: unknown[] = []
  const error = new Error('no room')
  const owned = inBackground(Promise.reject(error), (reason) => told.push(reason))
  await owned[Symbol.asyncDispose]()
  expect(told).toEqual([error])
})

it('a stop does not wait for what a bus that is away keeps from opening, and its end then is no failure', async () => {
  const opening = Promise.withResolvers<AsyncDisposable>()
  const fatal: unknown[] = []
  const owned = inBackground(opening.promise, (error) => fatal.push(error))
  await owned[Symbol.asyncDispose]()
  opening.reject(new Error('the bus is closed'))
  await opening.promise.catch(() => undefined)
  await new Promise(setImmediate)
  expect(fatal).toEqual([])
})
