import { systemRandom } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { Keeper } from './keeper.ts'

it('is closed once the login of its first sweep is over, so that no connection stays behind', async () => {
  const login = Promise.withResolvers<never>()
  const keeper = new Keeper({
    name: 'orders',
    address: { host: '127.0.0.1', port: 1, tls: 'off' },
    login: () => login.promise,
    random: systemRandom,
    logger: { warn: () => undefined, info: () => undefined },
  })
  let isClosed = false
  const closing = keeper[Symbol.asyncDispose]().then(() => {
    isClosed = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(isClosed).toBe(false)
  login.reject(new Error('no password'))
  await closing
})
