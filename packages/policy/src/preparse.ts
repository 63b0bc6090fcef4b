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
 * Puts a set where requests can be asked of it, over what had that name before: the wasm forgets nothing else. Whoever loads again
 * and again gives a name again once nobody asks by it.
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
