import { preparsePolicySet, preparseSchema } from './cedar.ts'
import { requireParsed } from './invalid-policies.ts'
import { type PolicySet, textsOf } from './policy-set.ts'

/** The names under which the wasm keeps what it parsed. */
export interface Preparsed {
  policies: string
  /** undefined: nothing is typed or validated. */
  schema: string | undefined
}

/**
 * Stores a set under a name so that requests can be asked of it, replacing any earlier set of that name: the wasm frees nothing in any
 * other way. A caller that loads repeatedly must reuse a name once it is no longer asked.
 */
export function preparse({ schema, policies }: Pick<PolicySet, 'schema' | 'policies'>, name: string): Preparsed {
  if (schema !== undefined)
    requireParsed(
      'schema.cedarschema',
      preparseSchema(name, () => schema),
    )
  requireParsed(
    'the set',
    preparsePolicySet(name, () => ({ staticPolicies: textsOf(policies.values()) })),
  )
  return { policies: name, schema: schema === undefined ? undefined : name }
}
