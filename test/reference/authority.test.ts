import { covers, narrows, parseAuthority } from '@bailiwick/authority'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  actionsNear,
  actionsWithin,
  authorities,
  bounded,
  bounds,
  childrenOf,
  pathPrefixes,
  tails,
} from './authorities.ts'
import { type Cover, coverOf, isNarrower, type Refusal } from './authority.ts'
import { casesOf, seed, timeout } from './cases.ts'

const inWords = (value: unknown) =>
  JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? String(member) : member))

it('covers what the reference says an authority covers, at the same cost, and refuses for the same reason (V5)', {
  timeout,
}, () => {
  const seen = new Set<string>()
  const cases = authorities.chain((authority) => fc.tuple(fc.constant(authority), actionsNear(authority)))
  fc.assert(
    fc.property(cases, ([authority, action]) => {
      expect(parseAuthority(authority)).toMatchObject({ ok: true })
      const ours = covers(authority, action)
      const given: Cover[] | Refusal = ours.covered ? ([...ours.permissions] as Cover[]) : ours.reason
      const expected = coverOf(authority, action)
      seen.add(typeof expected === 'string' ? expected : `covered${expected[0]?.cost ? ' at a cost' : ''}`)
      expect(inWords(given)).toBe(inWords(expected))
    }),
    { numRuns: casesOf(0.3), seed },
  )
  console.log(`reference: ${casesOf(0.3)} actions against authorities, no difference; seed ${seed}`)
  expect(seen.size).toBe(5) // otherwise the two agreed on refusals only
})

it('agrees with the reference on the paths inside a folder (V5)', () => {
  const seen = { inside: 0, outside: 0 }
  for (const prefix of pathPrefixes)
    for (const tail of tails) {
      const resource = { type: 'tool', id: 't' }
      const action = { name: 'tools/call', resource, properties: { amount: `${prefix}${tail}` } }
      const inside = typeof coverOf(bounded({ prefix }), action) !== 'string'
      seen[inside ? 'inside' : 'outside']++
      expect([prefix, tail, covers(bounded({ prefix }), action).covered]).toEqual([prefix, tail, inside])
    }
  expect(Math.min(seen.inside, seen.outside)).toBeGreaterThan(100)
})

it('agrees with the reference on what is narrower (V5)', { timeout }, () => {
  const answers = { narrower: 0, wider: 0 }
  const families = authorities.chain((parent) => fc.tuple(childrenOf(parent), fc.constant(parent)))
  fc.assert(
    fc.property(fc.oneof(families, bounds), ([child, parent]) => {
      const expected = isNarrower(child, parent)
      answers[expected ? 'narrower' : 'wider']++
      expect(narrows(child, parent)).toMatchObject({ narrower: expected })
    }),
    { numRuns: casesOf(0.3), seed },
  )
  console.log(`reference: ${casesOf(0.3)} children against parents, no difference; seed ${seed}`)
  expect(Math.min(answers.narrower, answers.wider)).toBeGreaterThan(casesOf(0.3) / 20)
})

it('lets no child do what the reference says its parent may not (V5)', { timeout }, () => {
  let reached = 0
  const cases = authorities
    .chain((parent) => fc.tuple(childrenOf(parent), fc.constant(parent)))
    .chain(([child, parent]) => {
      const actions = fc.oneof(actionsNear(child), { weight: 3, arbitrary: actionsWithin(child) })
      return fc.tuple(fc.constant(child), fc.constant(parent), actions)
    })
  fc.assert(
    fc.property(cases, ([child, parent, action]) => {
      if (!narrows(child, parent).narrower || typeof coverOf(child, action) === 'string') return
      reached++
      expect(coverOf(parent, action)).toBeInstanceOf(Array)
    }),
    { numRuns: casesOf(0.1), seed },
  )
  console.log(`reference: ${casesOf(0.1)} actions of children, ${reached} of them covered, no difference; seed ${seed}`)
  expect(reached).toBeGreaterThan(casesOf(0.1) / 100)
})
