import { type Authority, divide, narrows, together } from '@bailiwick/authority'
import type { Rule } from '@bailiwick/contracts'
import type { Refused } from '@bailiwick/credentials'
import { matchRule, type RuleView } from './match-rule.ts'
import { refused } from './refused.ts'

/** A part of the request to which one rule applies. */
export interface Item {
  authority: Authority
  rule: Rule
}

/**
 * Splits a request into parts that each have one rule; usually there is one part, the whole. Permissions go to the part of their rule. The
 * budget is divided and never duplicated: all parts together stay within the request. A share may be small enough for a laxer rule with a
 * cost threshold, as if the agent had asked for that little. Refuses if a rule covers only a part of a single permission, and if there are
 * fewer calls than parts. Pure: the same view and request give the same parts.
 */
export function splitByRule(
  view: RuleView,
  { agent, authority }: { agent: string; authority: Authority },
): { ok: true; items: [Item, ...Item[]] } | Refused {
  const whole = matchRule(view, { agent, authority })
  if (whole.ok) return { ok: true, items: [{ authority, rule: whole.rule }] }
  const groups = new Map<string, number[]>()
  for (const [index, permission] of authority.permissions.entries()) {
    const alone = matchRule(view, { agent, authority: { ...authority, permissions: [permission] } })
    if (!alone.ok) return alone
    groups.set(alone.rule.id, [...(groups.get(alone.rule.id) ?? []), index])
  }
  if (groups.size < 2) return whole
  const parts = divide(authority, [...groups.values()])
  if (authority.budget.calls !== undefined && parts.some(({ budget }) => budget.calls === 0))
    return refused('approval_rule_missing', 'it has fewer calls than the parts that rules split it into')
  const items: Item[] = []
  for (const part of parts) {
    // A smaller budget may fall under another rule, so each part is matched again as it is now.
    const split = splitByRule(view, { agent, authority: part })
    if (!split.ok) return split
    items.push(...split.items)
  }
  return { ok: true, items: items as [Item, ...Item[]] }
}

/**
 * Whether all grants made from one signed request together stay within it, no matter which service split it, and by which rules: no two
 * grants may have the same budget or uses (V3). That each grant narrows the request does not ensure this. Pure.
 */
export function staysWithin(granted: readonly [Authority, ...Authority[]], asked: Authority): boolean {
  return granted.every((each) => narrows(each, asked).narrower) && narrows(together(granted), asked).narrower
}
