import { expect, it } from 'vitest'
import { Chains } from './chains.ts'

const hash = 'h'.repeat(43)

it("gives a service's newest producer as the predecessor, however they were read (V15)", () => {
  const chains = new Chains()
  chains.apply('/issuer/two', 9, hash, 2000)
  chains.apply('/issuer/one', 4, hash, 1000)
  chains.apply('/issuer/two', 8, hash, 3000)
  chains.apply('/issuer-like/three', 1, hash, 9000)
  expect(chains.newestOf('issuer')).toMatchObject({ source: '/issuer/two', sequence: 9 })
  expect(chains.newestOf('approval')).toBeUndefined()
})

it('forgets who fell silent, but never the newest of a service: whoever starts next names it (V15)', () => {
  const chains = new Chains()
  chains.apply('/issuer/one', 4, hash, 1000)
  chains.apply('/issuer/two', 9, hash, 2000)
  chains.apply('/approval/only', 3, hash, 500)
  chains.forgetBefore(5000)
  expect(chains.of('/issuer/one')).toBeUndefined()
  expect(chains.newestOf('issuer')?.source).toBe('/issuer/two')
  expect(chains.newestOf('approval')?.source).toBe('/approval/only')
})
