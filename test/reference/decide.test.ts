import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { paths, policySetOf, storePolicyFiles } from '@bailiwick/installation'
import { type ActivePolicies, activePolicies } from '@bailiwick/policy-decision/pipeline'
import type { RegistryState } from '@bailiwick/projection'
import { logger } from '@bailiwick/service-kit'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { casesOf, seed, timeout } from './cases.ts'
import type { Policy } from './cedar.ts'
import { policyText } from './cedar-text.ts'
import { Played } from './played.ts'
import { policySets, schema, stories } from './stories.ts'

const utf8 = new TextEncoder()
const silent = logger({ service: 'test', level: 'silent' })
const perStory = 25 // decisions, about
const count = Math.round(casesOf(0.15) / perStory)

let data: string
beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), 'reference-policies-'))
})
afterAll(() => rmSync(data, { recursive: true, force: true }))

/** Sets as people bring them, loaded by the decision point itself; some dozens, since Cedar keeps each for ever. */
function loaded(): { policies: Policy[]; active: ActivePolicies }[] {
  return fc.sample(policySets, { numRuns: Math.min(200, Math.ceil(count / 4)), seed }).map((policies) => {
    const files = new Map([
      ['policies.cedar', utf8.encode(policies.map(policyText).join('\n'))],
      ['schema.cedarschema', utf8.encode(schema)],
    ])
    const policySet = policySetOf(files)
    storePolicyFiles(paths(data).policies(policySet.hash), files)
    return { policies, active: activePolicies(data, { policySet } as RegistryState, silent) }
  })
}

it('decides whole histories as a second mind does (V5, V7, V8, V9, V10, V13)', { timeout }, async () => {
  const sets = loaded()
  for (const { active } of sets) expect(active.current()).toBeDefined()
  const seen = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(stories, fc.nat(sets.length - 1), async (steps, n) => {
      const { policies, active } = sets[n] as (typeof sets)[number]
      const said = await Played.story(steps, policies, active)
      for (const { reference } of said) seen.set(reference, (seen.get(reference) ?? 0) + 1)
      const real = said.map(({ about, real: answer }) => `${answer}: ${about}`)
      const reference = said.map(({ about, reference: answer }) => `${answer}: ${about}`)
      expect(real, policies.map(policyText).join('')).toEqual(reference)
    }),
    { numRuns: count, seed },
  )
  const kinds = [...seen].map(([kind, times]) => `${kind} ${times}`).toSorted()
  const total = [...seen.values()].reduce((a, b) => a + b, 0)
  console.log(
    `reference: ${total} decisions and outcomes in ${count} histories, no difference; seed ${seed}; ${kinds.join(', ')}`,
  )
  expect(total).toBeGreaterThan(count * perStory)
})
