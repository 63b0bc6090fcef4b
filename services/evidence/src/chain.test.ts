import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Chain, extended, missingOf, type Numbered } from './chain.ts'

const event = (sequence: number, by = 'own', after = by): Numbered => ({
  sequence,
  previous: sequence === 1 ? 'none' : hashOf(sequence - 1, after),
  hash: hashOf(sequence, by),
})
const hashOf = (sequence: number, by = 'own') => `${by} ${sequence}`
const own = (...numbers: number[]) => numbers.map((sequence) => event(sequence))
const chainOf = (events: readonly Numbered[]) => events.reduce<Chain>(extended, { whole: 0, ahead: [] })
const missing = (events: readonly Numbered[], end: number, hash = hashOf(end)) => missingOf(chainOf(events), end, hash)

it('lacks nothing where every event is the one that the next names, in whatever order they came, and came again (V15)', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }).chain((end) =>
        fc.record({
          end: fc.constant(end),
          order: fc.shuffledSubarray(
            Array.from({ length: end }, (_, n) => n + 1),
            { minLength: end },
          ),
          again: fc.array(fc.integer({ min: 1, max: end }), { maxLength: 5 }),
        }),
      ),
      ({ end, order, again }) => {
        expect(missing(own(...order, ...again), end)).toEqual([])
        expect(chainOf(own(...order, ...again))).toMatchObject({ whole: end, ahead: [] })
      },
    ),
  )
})

it('lacks what was left out, and nothing else, in whatever order the others came (V15)', () => {
  const some = fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 7, 8])
  fc.assert(
    fc.property(some, (numbers) => {
      const lacking = missing(own(...numbers), 8).flatMap(([from, to]) =>
        Array.from({ length: to - from + 1 }, (_, n) => from + n),
      )
      expect(lacking).toEqual([1, 2, 3, 4, 5, 6, 7, 8].filter((n) => !numbers.includes(n)))
    }),
  )
})

it.each([
  ['in order', [event(1), event(2, 'thief', 'own'), event(3)]],
  ['before the rest', [event(2, 'thief', 'own'), event(3), event(1)]],
  ['after the rest', [event(3), event(1), event(2, 'thief', 'own')]],
])('lacks a number that another event of a stolen key fills %s, until its own is there (V15)', (_, events) => {
  expect(missing(events, 3)).toEqual([[2, 2]])
  expect(missing([...events, event(2)], 3)).toEqual([])
})

it('takes no second event under a number for the lack of the first (V15)', () => {
  expect(missing([...own(1, 2), event(2, 'thief', 'own'), event(3)], 3)).toEqual([])
  expect(missing([event(1), event(2, 'thief', 'own'), event(2), event(3)], 3)).toEqual([])
})

it('lacks the last number where its event is not the one that the head names (V15)', () => {
  const forked = [event(1), event(2, 'thief', 'own')]
  expect(missing(forked, 2)).toEqual([[2, 2]])
  expect(missing([...forked, event(2)], 2)).toEqual([])
  expect(missing(own(1, 2), 2)).toEqual([])
  expect(missing(own(1, 2, 3), 2)).toEqual([])
  expect(missingOf(chainOf([]), 0, 'of a predecessor')).toEqual([])
})

it('lacks no number twice, and asks for none above the head (V15)', () => {
  const events = [event(1), event(2, 'thief', 'own'), event(3), event(6)]
  expect(missing(events, 5)).toEqual([
    [2, 2],
    [4, 5],
  ])
  expect(missing(events, 1)).toEqual([])
})

it('is moved by no number that there is not (V15)', () => {
  for (const sequence of [0, 1e16]) {
    const chain = chainOf([...own(1, 2, 3), { ...event(3), sequence }, ...own(4)])
    expect(chain.whole).toBe(4)
    expect(missingOf(chain, 4, hashOf(4))).toEqual([])
  }
})

it('stays small, whatever whoever has the key writes (V18)', () => {
  const many = Array.from({ length: 1000 }, (_, n) => [
    event(n + 1, `a${n}`, 'own'),
    event(n + 1, `b${n}`, 'own'),
  ]).flat()
  const { broken = [], more = [], ahead } = chainOf(many)
  expect([broken.length <= 100, more.length <= 100, ahead]).toEqual([true, true, []])
})
