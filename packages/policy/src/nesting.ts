import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'

/**
 * Cedar evaluates conditions by recursion, with `a || b || c` as two levels, on a stack that some 370 levels exhaust. A policy with more
 * would load, and then fail each time it is evaluated.
 */
export const mostLevels = 300

/** The limit for partial evaluation, which uses Cedar's JSON form: Cedar does not read deeper nesting there. */
const mostPartialLevels = 60

export const canBeAsked = (policy: Pick<PolicyJson, 'conditions'>): boolean => isWithin(policy, mostLevels)
export const canBeAskedPartly = (policy: Pick<PolicyJson, 'conditions'>): boolean => isWithin(policy, mostPartialLevels)

/** Several conditions are joined, one level each. An operator is two levels of JSON: its name, and its operands. */
function isWithin({ conditions }: Pick<PolicyJson, 'conditions'>, levels: number): boolean {
  const left = levels - conditions.length
  return left >= 0 && conditions.every(({ body }) => !isDeeper(body, 2 * left))
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels <= 0 || Object.values(value).some((each) => isDeeper(each, levels - 1))
}
