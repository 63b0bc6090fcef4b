import { askCedar, type CedarAnswer, judge } from '@bailiwick/policy'
import { preparsePolicySet } from '@cedar-policy/cedar-wasm/nodejs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { casesOf, seed, timeout } from './cases.ts'
import { authorize, type Policy, type Request, type Verdict } from './cedar.ts'
import { policySets, requests } from './cedar-cases.ts'
import { entityJson, membersJson, policyText } from './cedar-text.ts'

const nameOfSet = 'reference'
const requestsOfASet = 6

it('evaluates a subset of Cedar as Cedar does, and any error denies (V13)', { timeout }, () => {
  const seen = { allow: 0, deny: 0, errors: 0 }
  let cases = 0
  fc.assert(
    fc.property(
      policySets,
      fc.array(requests, { minLength: requestsOfASet, maxLength: requestsOfASet }),
      (policies, asked) => {
        preparse(policies)
        for (const request of asked) {
          const expected = authorize(policies, request)
          seen[expected.decision]++
          if (expected.errors.length > 0) seen.errors++
          cases++
          const answer = ofCedar(request)
          expect(verdictOf(answer)).toEqual(expected)
          const denied = expected.errors.length > 0 ? 'error' : expected.decision
          expect(judge(answer).outcome).toBe(denied)
        }
      },
    ),
    { numRuns: casesOf(0.15) / requestsOfASet, seed },
  )
  console.log(`reference: ${cases} requests against Cedar, no difference; seed ${seed}; ${JSON.stringify(seen)}`)
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(cases / 20)
})

/** The real one, without a schema: nothing is refused before it is evaluated. */
function preparse(policies: readonly Policy[]): void {
  const staticPolicies = Object.fromEntries(policies.map((policy) => [policy.id, policyText(policy)]))
  const answer = preparsePolicySet(nameOfSet, { staticPolicies })
  if (answer.type === 'failure') throw new Error(answer.errors.map(({ message }) => message).join('; '))
}

function ofCedar({ principal, action, resource, context, entities }: Request): CedarAnswer {
  return askCedar(
    { policies: nameOfSet, schema: undefined },
    { principal, action, resource, context: membersJson(context), entities: entities.map(entityJson) as [] },
  )
}

function verdictOf(answer: CedarAnswer): Verdict {
  if (!answer.ok) throw new Error(answer.error)
  const errors = answer.errors.map(({ policyId }) => policyId)
  return { decision: answer.decision, reasons: answer.reason.toSorted(), errors: errors.toSorted() }
}
