import { expect, it } from 'vitest'
import { Chains } from './chains.ts'

const bytes = Buffer.from('event')

it("gives a service's newest producer as the predecessor, however they were read (V15)", () => {
  const chains = new Chains()
  chains.apply('/issuer/two', 9, bytes, 2000)
  chains.apply('/issuer/one', 4, bytes, 1000)
  chains.apply('/issuer/two', 8, bytes, 3000)
  chains.apply('/issuer-like/three', 1, bytes, 9000)
  expect(chains.newestOf('issuer')).toMatchObject({ source: '/issuer/two', sequence: 9 })
  expect(chains.newestOf('approval')).toBeUndefined()
})

it('forgets who fell silent, but never the newest of a service: whoever starts next names it (V15)', () => {
  const chains = new Chains()
  chains.apply('/issuer/one', 4, bytes, 1000)
  chains.apply('/issuer/two', 9, bytes, 2000)
  chains.apply('/approval/only', 3, bytes, 500)
  chains.forgetBefore(5000)
  expect(chains.of('/issuer/one')).toBeUndefined()
  expect(chains.newestOf('issuer')?.source).toBe('/issuer/two')
  expect(chains.newestOf('approval')?.source).toBe('/approval/only')
})
