import { expect } from 'vitest'
import { askCedar } from '../ask-cedar.ts'
import type { PolicyRequest } from '../policy-engine.ts'
import { type PolicySet, parsePolicySet } from '../policy-set.ts'
import { type Preparsed, preparse } from '../preparse.ts'
import { shapesOf } from '../schema-shapes.ts'
import { CompiledPolicies, type NotAnswered, type Verdict } from './compiled-policies.ts'
import { type EngineDifference, type EngineTold, EngineWatch } from './engine-watch.ts'

/** One set in both engines. */
export interface Both {
  set: PolicySet
  compiled: CompiledPolicies
}

export function bothOf(policies: string, schema?: string): Both {
  const files = { 'p.cedar': policies, ...(schema === undefined ? {} : { 'schema.cedarschema': schema }) }
  const set = parsePolicySet(
    new Map(Object.entries(files).map(([name, text]) => [name, new TextEncoder().encode(text)])),
  )
  const compiled = new CompiledPolicies(set.policies.values(), {
    shapes: schema === undefined ? undefined : shapesOf(schema),
  })
  return { set, compiled }
}

/** The set that Cedar keeps, under one name for all: it would keep each name for ever. Stryker runs all files of tests in one process. */
let kept: { set: PolicySet; names: Preparsed } | undefined

function inCedar(set: PolicySet): Preparsed {
  if (kept?.set !== set) kept = { set, names: preparse(set, 'compiled') }
  return kept.names
}

export const anyone = { type: 'User', id: 'ann' }
export const plainRequest: PolicyRequest = {
  principal: anyone,
  action: 'read',
  resource: { type: 'Doc', id: '1' },
  context: {},
}

/** The compiled answer. Fails if Cedar answers otherwise; `refused`: neither answers. */
export function said(both: Both, request: Partial<PolicyRequest> = {}): Verdict | NotAnswered | 'refused' {
  const asked = { ...plainRequest, ...request }
  const answer = both.compiled.answer(asked)
  const cedar = askCedar(inCedar(both.set), asked)
  if (typeof answer === 'string') return cedar.ok ? answer : 'refused'
  const { ok, ...expected } = cedar.ok
    ? { ok: true, decision: cedar.decision, reason: cedar.reason, erred: cedar.errors.map(({ policyId }) => policyId) }
    : { ok: false }
  expect({ ok: true, answer }).toEqual({ ok, answer: expected })
  return answer
}

/** What both engines make of a condition. */
export function holds(
  condition: string,
  request: Partial<PolicyRequest> = {},
): boolean | 'errs' | 'refused' | NotAnswered {
  const answer = said(bothOf(`permit (principal, action, resource) when { ${condition} };`), request)
  if (typeof answer === 'string') return answer
  return answer.erred.length > 0 ? 'errs' : answer.decision === 'allow'
}

/** Compares each answer of the compiled engine with Cedar's at once, and throws if they differ. */
export function strictWatch(answered: EngineTold['answered'] = () => undefined): EngineWatch {
  const different = (difference: EngineDifference) => {
    throw new Error(`the engines differ: ${JSON.stringify(difference)}`)
  }
  const compared: EngineTold['compared'] = (result) => {
    if (result === 'failed') throw new Error('Cedar could not be asked')
  }
  const all = () => true
  return new EngineWatch({ answered, compared, different }, all, (compare) => compare())
}
