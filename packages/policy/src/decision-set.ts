import { type PolicyFiles, policySetOf } from '@bailiwick/installation'
import { cedarEngine } from './cedar-engine.ts'
import { requireKnownHistory } from './known-history.ts'
import type { PolicyEngine } from './policy-engine.ts'
import { type Policy, parsePolicySet } from './policy-set.ts'
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

/** Throws `config_invalid` as `cedarEngine`, and for a schema that wants of the history what is not there. */
export function decisionSet(files: PolicyFiles): DecisionSet {
  const engine = cedarEngine(files)
  const { schema = '', policies } = parsePolicySet(files)
  const shapes = shapesOf(schema)
  requireKnownHistory(shapes)
  const actions = shapes.actions.flatMap(({ type, id }) => (type === 'Action' ? [id] : []))
  return { hash: policySetOf(files).hash, engine, policies, actions }
}
