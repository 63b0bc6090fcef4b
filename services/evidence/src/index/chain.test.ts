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

it('lacks nothing where each event is the one that the next one names, in any order, and with repeats (V15)', () => {
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

it('lacks exactly what was left out, in any order of the others (V15)', () => {
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

it('stays small under anything that the holder of the key can write (V18)', () => {
  const many = Array.from({ length: 1000 }, (_, n) => [
    event(n + 1, `a${n}`, 'own'),
    event(n + 1, `b${n}`, 'own'),
  ]).flat()
  const { broken = [], more = [], ahead } = chainOf(many)
  expect([broken.length <= 100, more.length <= 100, ahead]).toEqual([true, true, []])
})

const one: Chain = extended({ whole: 0, ahead: [] }, { sequence: 1, previous: undefined, hash: 'h1' })

it('keeps the hash of the last event, and nothing else of a chain whose events name each other (V15)', () => {
  expect(one).toEqual({ whole: 1, ahead: [], end: 'h1' })
  expect(extended(one, { sequence: 2, previous: 'h1', hash: 'h2' })).toEqual({ whole: 2, ahead: [], end: 'h2' })
})

it('misses the event that the next one names, until it comes under its number (V15)', () => {
  const broken = extended(one, { sequence: 2, previous: 'x1', hash: 'h2' })
  expect(broken).toEqual({ whole: 2, ahead: [], end: 'h2', broken: [[1, 'x1']] })
  expect(missingOf(broken, 1)).toEqual([[1, 1]])
  expect(missingOf(broken, 2, 'h2')).toEqual([[1, 1]])
  expect(missingOf(broken, 0)).toEqual([])
  const other = extended(broken, { sequence: 1, previous: undefined, hash: 'y1' })
  expect(other).toEqual({ ...broken, more: [[1, 'y1']] })
  const found = extended(other, { sequence: 1, previous: undefined, hash: 'x1' })
  expect(found).toEqual({
    ...{ whole: 2, ahead: [], end: 'h2' },
    broken: [],
    more: [
      [1, 'y1'],
      [1, 'x1'],
    ],
  })
  expect(extended(found, { sequence: 1, previous: undefined, hash: 'x1' })).toEqual(found)
  expect(missingOf(found, 2, 'h2')).toEqual([])
})

it('does not miss what came as the second under its number before it was named (V15)', () => {
  const two = extended(one, { sequence: 1, previous: undefined, hash: 'x1' })
  expect(two).toEqual({ ...one, more: [[1, 'x1']] })
  expect(extended(two, { sequence: 2, previous: 'x1', hash: 'h2' })).toEqual({
    ...{ whole: 2, ahead: [], end: 'h2', more: [[1, 'x1']] },
  })
  expect(extended(two, { sequence: 2, previous: 'z1', hash: 'h2' }).broken).toEqual([[1, 'z1']])
})

it('is moved by no event with the number 0 (V15)', () => {
  expect(extended(one, { sequence: 0, previous: undefined, hash: 'h0' })).toEqual({ ...one, more: [[0, 'h0']] })
  const named = extended({ whole: 0, ahead: [], end: 'h0' }, { sequence: 1, previous: 'x0', hash: 'h1' })
  expect(named).toEqual({ whole: 1, ahead: [], end: 'h1' })
})

it('misses the last event where a head names another one (V15)', () => {
  expect(missingOf(one, 1, 'h1')).toEqual([])
  expect(missingOf(one, 1, 'x1')).toEqual([[1, 1]])
  expect(missingOf(one, 1)).toEqual([])
  expect(missingOf({ whole: 1, ahead: [] }, 1, 'x1')).toEqual([])
  expect(missingOf({ ...one, more: [[1, 'x1']] }, 1, 'x1')).toEqual([])
  expect(missingOf({ ...one, more: [[2, 'x1']] }, 1, 'x1')).toEqual([[1, 1]])
  expect(missingOf({ whole: 0, ahead: [], end: 'h0' }, 0, 'x0')).toEqual([])
  expect(missingOf({ ...one, broken: [[1, 'x1']] }, 1, 'y1')).toEqual([[1, 1]])
})

it('gives what is missing lowest first', () => {
  const chain: Chain = {
    ...{ whole: 9, ahead: [[12, 12]], end: 'h9' },
    broken: [
      [7, 'a'],
      [2, 'b'],
    ],
  }
  expect(missingOf(chain, 14)).toEqual([
    [2, 2],
    [7, 7],
    [10, 11],
    [13, 14],
  ])
})
