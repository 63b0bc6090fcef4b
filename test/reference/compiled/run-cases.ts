import { compare, compareStored, load } from './compare.ts'
import { Dice } from './dice.ts'
import { policiesOf } from './policies.ts'
import { attributesOf, requestOf } from './requests.ts'
import { schemaText, worldOf } from './world.ts'

const requestsOfASet = 50
/** So many sets share a world, whose schema is most of what a set costs. */
const setsOfAWorld = 4

export const kinds = ['allow', 'deny', 'erred', 'left to Cedar', 'left to Cedar, which refuses'] as const
export type Seen = Record<(typeof kinds)[number], number>

export interface Ran {
  cases: number
  seen: Seen
  /** The first case in which the engines differ, or which was not compared though it should be. */
  fault?: string
}

/** Puts as many generated requests to compiled policies and to Cedar. The same seed gives the same cases. Stops at the first fault. */
export function runCases(seed: number, count: number): Ran {
  const seen: Seen = { allow: 0, deny: 0, erred: 0, 'left to Cedar': 0, 'left to Cedar, which refuses': 0 }
  const dice = new Dice(seed)
  let cases = 0
  const failed = (about: object): Ran => ({ cases, seen, fault: JSON.stringify({ seed, case: cases, ...about }) })
  while (cases < count) {
    const world = worldOf(dice)
    const typed = dice.chance(2)
    for (let n = 0; n < setsOfAWorld; n++) {
      const policies = policiesOf(dice, world)
      const files = {
        'policies.cedar': policies.map(({ text }) => text).join('\n'),
        ...(typed ? { 'schema.cedarschema': schemaText(world) } : {}),
      }
      const both = load(files)
      const { notCompiled } = both.compiled
      if (notCompiled.size > 0) return failed({ notCompiled: Object.fromEntries(notCompiled), files })
      for (let asked = 0; asked < requestsOfASet; asked++, cases++) {
        const request = requestOf(dice, world, typed)
        // Once for each set, because the set is compiled anew for it.
        const comparison =
          (asked === 0 && compareStored(both, request, attributesOf(dice, world, request, typed))) ||
          compare(both, request)
        if (comparison.outcome === 'different') return failed({ comparison, files, request })
        if (comparison.outcome === 'not answered') {
          // A stack that is too small is not expected here, and all policies are compiled.
          const { why } = comparison
          if (why !== 'request' && !(asked === 0 && why === 'stored')) return failed({ comparison, files, request })
          seen[comparison.byCedar ? 'left to Cedar' : 'left to Cedar, which refuses']++
        } else {
          seen[comparison.verdict.decision]++
          if (comparison.verdict.erred.length > 0) seen.erred++
        }
      }
    }
  }
  return { cases, seen }
}

// node test/reference/compiled/run-cases.ts SEED COUNT
// A slice of the campaign (../compiled-campaign.ts), in a process of its own: what Cedar remembers ends with it.
if (import.meta.main) {
  const [seed, count] = process.argv.slice(2).map(Number)
  if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(count)) {
    console.error('node test/reference/compiled/run-cases.ts SEED COUNT')
    process.exit(2)
  }
  console.log(JSON.stringify(runCases(seed as number, count as number)))
}
