import { type PolicyFiles, policySetOf } from '@bailiwick/installation'
import { cedarEngine } from './cedar-engine.ts'
import type { EngineWatch } from './compiled/engine-watch.ts'
import { invalid } from './invalid-policies.ts'
import { requireKnownHistory } from './known-history.ts'
import type { PolicyEngine } from './policy-engine.ts'
import { type Policy, parsePolicySet } from './policy-set.ts'
import { type PermitsNothing, requirePermit } from './require-permit.ts'
import { shapesOf } from './schema-shapes.ts'

/** A policy set as used for decisions over tasks. */
export interface DecisionSet {
  /** The hash of exactly these files. */
  hash: string
  engine: PolicyEngine
  policies: ReadonlyMap<string, Policy>
  /** Ids of the actions that its schema declares outside of namespaces. */
  actions: readonly string[]
}

/** The longest id that fits in an event. */
const longestId = 256

/**
 * Throws `config_invalid` in the same cases as `cedarEngine`; for a set that permits nothing, unless that is intended; for a schema that
 * requires history members that do not exist; and for an id that evidence could not record.
 */
export function decisionSet(files: PolicyFiles, meant: PermitsNothing = {}, watch?: EngineWatch): DecisionSet {
  const engine = cedarEngine(files, watch)
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
