import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { logger } from '@bailiwick/host'
import { paths, policySetOf, storePolicyFiles } from '@bailiwick/installation'
import { systemClock } from '@bailiwick/kit'
import { type ActivePolicies, activePolicies } from '@bailiwick/policy-decision/pipeline'
import type { RegistryState } from '@bailiwick/projection'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { casesOf, seed, timeout } from './cases.ts'
import type { Policy } from './cedar.ts'
import { policyText } from './cedar-text.ts'
import { historiesOf } from './histories.ts'
import { type Fact, factsOf, type Whose } from './history.ts'
import { forbidding } from './history-policies.ts'
import { Played } from './played.ts'
import { policySets, type Step, schema, stories } from './stories.ts'

const utf8 = new TextEncoder()
const silent = logger({ service: 'test', level: 'silent' })
const perStory = 25 // decisions, about
const count = Math.round(casesOf(0.1) / perStory)
const everyFact = (Object.keys(factsOf) as Whose[]).flatMap((whose) =>
  factsOf[whose].map((fact): [Whose, Fact] => [whose, fact]),
)
/** For each fact of the history. */
const storiesEach = Math.ceil(casesOf(0.05) / perStory / everyFact.length)

let data: string
beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), 'reference-policies-'))
})
afterAll(() => rmSync(data, { recursive: true, force: true }))

interface Loaded {
  policies: Policy[]
  active: ActivePolicies
}

/** A policy set as people provide it, loaded by the decision point itself. */
function loaded(policies: Policy[]): Loaded {
  const files = new Map([
    ['policies.cedar', utf8.encode(policies.map(policyText).join('\n'))],
    ['schema.cedarschema', utf8.encode(schema)],
  ])
  const policySet = policySetOf(files)
  storePolicyFiles(paths(data).policies(policySet.hash), files)
  const active = activePolicies(data, { policySet } as RegistryState, silent, systemClock)
  expect(active.current()).toBeDefined()
  return { policies, active }
}

/** Plays a story, in which both must give the same answers. */
async function agreed(steps: readonly Step[], { policies, active }: Loaded): Promise<Played> {
  const played = await Played.story(steps, policies, active)
  const real = played.said.map(({ about, real: answer }) => `${answer}: ${about}`)
  const reference = played.said.map(({ about, reference: answer }) => `${answer}: ${about}`)
  expect(real, policies.map(policyText).join('')).toEqual(reference)
  return played
}

it('decides whole histories as the reference does (V5, V7, V8, V9, V10, V13)', { timeout }, async () => {
  // Some dozens, because Cedar keeps each for ever.
  const sets = fc.sample(policySets, { numRuns: Math.min(200, Math.ceil(count / 4)), seed }).map(loaded)
  const seen = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(stories, fc.nat(sets.length - 1), async (steps, n) => {
      const { said } = await agreed(steps, sets[n] as Loaded)
      for (const { reference } of said) seen.set(reference, (seen.get(reference) ?? 0) + 1)
    }),
    { numRuns: count, seed },
  )
  const kinds = [...seen].map(([kind, times]) => `${kind} ${times}`).toSorted()
  const total = [...seen.values()].reduce((a, b) => a + b, 0)
  console.log(
    `reference: ${total} decisions and outcomes in ${count} histories, no difference; seed ${seed}; ${kinds.join(', ')}`,
  )
  expect(total).toBeGreaterThan(count * perStory)
  expect([...seen.keys()].some((kind) => kind.startsWith('goes on with'))).toBe(true)
})

it.each(everyFact)(
  'reads from the history of the %s its %s as the reference does',
  { timeout },
  async (whose, fact) => {
    const sets = [1, 2].map((often) => ({ often, ...loaded(forbidding(whose, fact, often)) }))
    let decided = 0
    let total = 0
    for (const { often, ...set } of sets)
      await fc.assert(
        fc.asyncProperty(historiesOf(whose, fact, often), async (steps) => {
          const { world, said } = await agreed(steps, set)
          const times = world.decided.get(`${whose}.${fact}`) ?? 0
          expect(times, 'decided nothing, though the story begins so').toBeGreaterThan(0)
          decided += times
          total += said.length
        }),
        { numRuns: Math.max(1, Math.round(storiesEach / sets.length)), seed },
      )
    console.log(
      `reference: history.${whose}.${fact} decided ${decided} of ${total} decisions and outcomes; seed ${seed}`,
    )
  },
)
