import { askCedar, type CedarAnswer, judge, type Preparsed, parsePolicySet, preparse } from '@bailiwick/policy'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { casesOf, seed, timeout } from './cases.ts'
import { authorize, type Policy, type Request, type Verdict } from './cedar.ts'
import { policySets, requests } from './cedar-cases.ts'
import { entityJson, membersJson, policyText } from './cedar-text.ts'

const requestsOfASet = 6

it('evaluates a subset of Cedar as Cedar does, and any error denies (V13)', { timeout }, () => {
  const seen = { allow: 0, deny: 0, errors: 0 }
  let cases = 0
  fc.assert(
    fc.property(
      policySets,
      fc.array(requests, { minLength: requestsOfASet, maxLength: requestsOfASet }),
      (policies, asked) => {
        const loaded = load(policies)
        for (const request of asked) {
          const expected = authorize(policies, request)
          seen[expected.decision]++
          if (expected.errors.length > 0) seen.errors++
          cases++
          const answer = ofCedar(loaded, request)
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

/**
 * Without a schema: nothing is refused before it is evaluated. Under the same name each time, because Cedar would keep
 * each name for ever.
 */
function load(policies: readonly Policy[]): Preparsed {
  const text = policies.map(policyText).join('')
  return preparse(parsePolicySet(new Map([['policies.cedar', new TextEncoder().encode(text)]])), 'reference')
}

function ofCedar(loaded: Preparsed, { principal, action, resource, context, entities }: Request): CedarAnswer {
  return askCedar(loaded, {
    principal,
    action,
    resource,
    context: membersJson(context),
    entities: entities.map(entityJson) as [],
  })
}

function verdictOf(answer: CedarAnswer): Verdict {
  if (!answer.ok) throw new Error(answer.error)
  const errors = answer.errors.map(({ policyId }) => policyId)
  return { decision: answer.decision, reasons: answer.reason.toSorted(), errors: errors.toSorted() }
}
