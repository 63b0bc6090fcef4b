import fc from 'fast-check'
import { expect, it } from 'vitest'
import { OutcomeNumbers } from './outcome-numbers.ts'

it('knows exactly the numbers that an instance gave, in whichever order they came (V10)', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 })), (given) => {
      const numbers = new OutcomeNumbers()
      for (const [at, number] of given.entries()) numbers.add('one', number, at)
      for (let number = 1; number <= 31; number++) expect(numbers.has('one', number)).toBe(given.includes(number))
      expect(numbers.has('two', given[0] ?? 1)).toBe(false)
    }),
  )
})

it('forgets an instance by its newest outcome', () => {
  const numbers = new OutcomeNumbers()
  numbers.add('one', 1, 5)
  numbers.add('one', 2, 9)
  numbers.add('one', 3, 7)
  numbers.forget(9)
  expect(numbers.has('one', 1)).toBe(true)
  numbers.forget(10)
  expect(numbers.has('one', 1)).toBe(false)
})
