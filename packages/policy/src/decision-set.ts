import { type PolicyFiles, policySetOf } from '@bailiwick/installation'
import { cedarEngine } from './cedar-engine.ts'
import { invalid } from './invalid-policies.ts'
import { requireKnownHistory } from './known-history.ts'
import type { PolicyEngine } from './policy-engine.ts'
import { type Policy, parsePolicySet } from './policy-set.ts'
import { type PermitsNothing, requirePermit } from './require-permit.ts'
import { shapesOf } from './schema-shapes.ts'

/** A set as decisions over tasks use it. */
export interface DecisionSet {
  /** Names exactly these files. */
  hash: string
  engine: PolicyEngine
  policies: ReadonlyMap<string, Policy>
  /** Ids of the actions that its schema declares outside of namespaces. */
  actions: readonly string[]
}

/** What an event holds of an id. */
const longestId = 256

/**
 * Throws `config_invalid` as `cedarEngine`; for a set that permits nothing, unless that is meant; for a schema that wants of the history
 * what is not there; and for an id that no evidence could name.
 */
export function decisionSet(files: PolicyFiles, meant: PermitsNothing = {}): DecisionSet {
  const engine = cedarEngine(files)
  const { schema = '', policies } = parsePolicySet(files)
  requirePermit(policies.values(), meant)
  const shapes = shapesOf(schema)
  requireKnownHistory(shapes)
  for (const { id, file } of policies.values())
    if (id.length > longestId)
      throw invalid(file, `an id of more than ${longestId} characters: evidence could not name it`)
  const actions = shapes.actions.flatMap(({ type, id }) => (type === 'Action' ? [id] : []))
  return { hash: policySetOf(files).hash, engine, policies, actions }
}
