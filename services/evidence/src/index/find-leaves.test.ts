import type { Term } from '@bailiwick/contracts'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { findLeaves, type LeafPlace, type LeafQuery, type NewestOf } from './find-leaves.ts'
import { everyLeaf } from './terms.ts'

interface Leaf extends LeafPlace {
  terms: Term[]
}

const older = (a: LeafPlace, b: LeafPlace) => a.at < b.at || (a.at === b.at && a.index < b.index)
const newestFirst = (leaves: readonly Leaf[]) => leaves.toSorted((a, b) => (older(a, b) ? 1 : -1))
const place = ({ at, index }: LeafPlace): LeafPlace => ({ at, index })

const newestIn =
  (leaves: readonly Leaf[]): NewestOf =>
  (term, before, from) =>
    newestFirst(leaves).find(
      (leaf) => (term === everyLeaf || leaf.terms.includes(term)) && older(leaf, before) && leaf.at >= from,
    )

const term = fc.constantFrom<Term>('agent a', 'agent b', 'task t', 'reason r', 'type x')
const aLog = fc
  .array(fc.record({ at: fc.nat(8), terms: fc.uniqueArray(term) }), { maxLength: 40 })
  .map((leaves) => leaves.map((leaf, index) => ({ ...leaf, index })))
const aQuery = fc.record({
  each: fc.array(fc.array(term, { minLength: 1, maxLength: 3 }), { maxLength: 3 }),
  from: fc.option(fc.nat(8), { nil: undefined }),
  to: fc.option(fc.nat(8), { nil: undefined }),
})

function matches(leaf: Leaf, { each, from = 0, to = 99 }: LeafQuery): boolean {
  return leaf.at >= from && leaf.at <= to && each.every((any) => any.some((one) => leaf.terms.includes(one)))
}

it('pages through exactly what matches, newest first, however little it may look at in one go', () => {
  fc.assert(
    fc.property(
      aLog,
      aQuery,
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 9, max: 60 }),
      (leaves, query, limit, looks) => {
        const pages: LeafPlace[] = []
        let before: LeafPlace | undefined
        for (let page = 0; page < 200; page++) {
          const found = findLeaves(newestIn(leaves), { ...query, before }, limit, looks)
          expect(found.leaves.length).toBeLessThanOrEqual(limit)
          pages.push(...found.leaves.map(place))
          if (found.next === undefined) break
          before = found.next
        }
        expect(pages).toEqual(newestFirst(leaves.filter((leaf) => matches(leaf, query))).map(place))
      },
    ),
  )
})

it('stops looking where lists that share nothing are long, and says where it goes on', () => {
  let looks = 0
  // Both lists are endless and never meet: one has the even positions, the other the odd ones.
  const newestOf: NewestOf = (one, { at }) => {
    looks++
    const even = (at - 1) % 2 === 0
    const index = (one === 'task t') === even ? at - 1 : at - 2
    return { at: index, index }
  }
  const { leaves, next } = findLeaves(newestOf, { each: [['task t'], ['reason r']], to: 1e9 }, 50)
  expect(leaves).toEqual([])
  expect(looks).toBeLessThanOrEqual(5000)
  expect(next?.at).toBeLessThan(1e9)
})
