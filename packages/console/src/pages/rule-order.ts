import type { Rule } from '../types.ts'

/** Ids of the rules that are tried before this one: by order, then by id. The registry's rule is tried for no agent. */
export function rulesTriedBefore(rules: readonly Pick<Rule, 'id' | 'order'>[], id: string): string[] {
  const found = rules.find((rule) => rule.id === id)
  if (found === undefined) return []
  return rules
    .filter((rule) => rule.id !== 'registry' && isBefore(rule, found))
    .toSorted((a, b) => (isBefore(a, b) ? -1 : 1))
    .map((rule) => rule.id)
}

type Ordered = Pick<Rule, 'id' | 'order'>
const isBefore = (a: Ordered, b: Ordered) => a.order < b.order || (a.order === b.order && a.id < b.id)
