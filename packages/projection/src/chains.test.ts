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

it('follows one producer by its numbers, even if its clock goes back, and passes to another one by the newest time (V15)', () => {
  const chains = new Chains()
  chains.apply('/issuer/one', 4, hash, 1000)
  chains.apply('/issuer/one', 5, 'later', 900)
  expect(chains.newestOf('issuer')).toMatchObject({ sequence: 5, hash: 'later' })
  chains.apply('/issuer/two', 1, hash, 900)
  expect(chains.newestOf('issuer')).toMatchObject({ source: '/issuer/one' })
  chains.apply('/issuer/two', 2, hash, 901)
  expect(chains.newestOf('issuer')).toMatchObject({ source: '/issuer/two', sequence: 2 })
})
