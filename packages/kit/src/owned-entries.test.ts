import fc from 'fast-check'
import { expect, it } from 'vitest'
import { OwnedEntries } from './owned-entries.ts'

it('one that fills it up pushes out its own oldest, and nothing of others (V18)', () => {
  const memory = new OwnedEntries<number>({ max: 10 })
  memory.set('quiet', 'q', 0)
  for (let n = 0; n < 100; n++) memory.set('loud', `l${n}`, n)
  expect(memory.size).toBe(10)
  expect(memory.get('q')).toBe(0)
  expect(memory.get('l90')).toBeUndefined()
  expect([91, 99].map((n) => memory.get(`l${n}`))).toEqual([91, 99])
  // The same holds for several loud owners.
  for (let n = 0; n < 100; n++) memory.set(`loud${n % 2}`, `m${n}`, n)
  expect(memory.get('q')).toBe(0)
})

it('gives each owner no more than its share', () => {
  const memory = new OwnedEntries<number>({ max: 10, maxEach: 2 })
  for (let n = 0; n < 5; n++) memory.set('one', `${n}`, n)
  expect(['2', '3', '4'].map((key) => memory.get(key))).toEqual([undefined, 3, 4])
  memory.set('one', '3', 33) // making it the owner's newest
  memory.set('one', '5', 5)
  expect(['3', '4', '5'].map((key) => memory.get(key))).toEqual([33, undefined, 5])
})

it('lets go of what is over first', () => {
  let now = 0
  const memory = new OwnedEntries<number>({ max: 3, isOver: (until) => until <= now })
  memory.set('a', 'a1', 5)
  memory.set('b', 'b1', 10)
  memory.set('b', 'b2', 11)
  now = 5
  memory.set('b', 'b3', 20)
  expect(['a1', 'b1', 'b2', 'b3'].map((key) => memory.get(key))).toEqual([undefined, 10, 11, 20])
})

it('holds no more than its bounds, and always the newest entry, after any sets and deletions', () => {
  const step = fc.record({ owner: fc.constantFrom('a', 'b', 'c'), key: fc.nat(20), gone: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const memory = new OwnedEntries<string>({ max: 6, maxEach: 4 })
      const owners = new Map<string, string>()
      for (const { owner, key, gone } of steps) {
        if (gone) memory.delete(`${key}`)
        else memory.set(owner, `${key}`, owner)
        owners.set(`${key}`, owner)
        expect(memory.get(`${key}`)).toBe(gone ? undefined : owner)
        expect(memory.size).toBeLessThanOrEqual(6)
        const held = [...owners.keys()].map((each) => memory.get(each)).filter((each) => each !== undefined)
        expect(held).toHaveLength(memory.size)
        for (const each of 'abc') expect(held.filter((one) => one === each).length).toBeLessThanOrEqual(4)
      }
    }),
  )
})
