import { expect, it } from 'vitest'
import { compiledCases, seed, timeout } from './cases.ts'
import { compare, compareStored, load } from './compiled/compare.ts'
import { Dice } from './compiled/dice.ts'
import { policiesOf } from './compiled/policies.ts'
import { attributesOf, requestOf } from './compiled/requests.ts'
import { schemaText, worldOf } from './compiled/world.ts'

const requestsOfASet = 50
/** So many sets share a world, whose schema is most of what a set costs. */
const setsOfAWorld = 4

it('evaluates compiled policies as Cedar does, with the same reasons and errors, or leaves the answer to Cedar (V13)', {
  timeout,
}, () => {
  const seen = { allow: 0, deny: 0, erred: 0, 'left to Cedar': 0, 'left to Cedar, which refuses': 0 }
  const dice = new Dice(seed)
  let cases = 0
  while (cases < compiledCases) {
    const world = worldOf(dice)
    const typed = dice.chance(2)
    for (let n = 0; n < setsOfAWorld; n++) {
      const policies = policiesOf(dice, world)
      const files = {
        'policies.cedar': policies.map(({ text }) => text).join('\n'),
        ...(typed ? { 'schema.cedarschema': schemaText(world) } : {}),
      }
      const both = load(files)
      expect(both.compiled.notCompiled, files['policies.cedar']).toEqual(new Map())
      for (let asked = 0; asked < requestsOfASet; asked++, cases++) {
        const request = requestOf(dice, world, typed)
        // Once for each set, because the set is compiled anew for it.
        const comparison =
          (asked === 0 && compareStored(both, request, attributesOf(dice, world, request, typed))) ||
          compare(both, request)
        if (comparison.outcome === 'different')
          expect.unreachable(
            `seed ${seed}, case ${cases}: ${JSON.stringify({ comparison, files, request }, undefined, 1)}`,
          )
        if (comparison.outcome === 'not answered') {
          // A stack that is too small is not expected here, and all policies are compiled.
          expect(comparison.why).toBeOneOf(asked === 0 ? ['request', 'stored'] : ['request'])
          seen[comparison.byCedar ? 'left to Cedar' : 'left to Cedar, which refuses']++
        } else {
          seen[comparison.verdict.decision]++
          if (comparison.verdict.erred.length > 0) seen.erred++
        }
      }
    }
  }
  console.log(
    `reference: ${cases} requests to compiled policies and to Cedar, no difference; seed ${seed}; ${JSON.stringify(seen)}`,
  )
  for (const kind of ['allow', 'deny', 'erred'] as const) expect(seen[kind]).toBeGreaterThan(cases / 20)
  // Otherwise the comparison would be about few cases.
  expect(seen['left to Cedar']).toBeLessThan(cases / 20)
})
