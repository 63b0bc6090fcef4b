import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { Policy } from './policy-set.ts'

type Exact = { rawJSON(text: string): unknown }

/**
 * The conditions of a policy alone: for any principal, action and resource, with the whole context unknown to Cedar's partial
 * evaluation, which then says what holds of them whatever is asked.
 */
export function unscoped({ json, text }: Policy): PolicyJson {
  const all = { op: 'All' } as const
  return {
    effect: json.effect,
    principal: all,
    action: all,
    resource: all,
    conditions: rewritten(json.conditions, text, isContext, 'context') as PolicyJson['conditions'],
  }
}

const isContext = (expression: object) => 'Var' in expression && expression.Var === 'context'

/** The policy, with what `context.grant.mode` or the like stands for unknown, wherever it says just that. */
export function withUnknown(policy: Policy, name: string, path: readonly string[]): PolicyJson {
  const conditions = rewritten(policy.json.conditions, policy.text, (expression) => isAccess(expression, path), name)
  return { ...policy.json, conditions: conditions as PolicyJson['conditions'] }
}

function isAccess(expression: object, path: readonly string[]): boolean {
  const above = path.slice(0, -1)
  if (above.length === 0) return 'Var' in expression && expression.Var === path[0]
  const access = '.' in expression ? (expression['.'] as { left: object; attr: string }) : undefined
  return access !== undefined && access.attr === path.at(-1) && isAccess(access.left, above)
}

function rewritten(value: unknown, text: string, isUnknown: (expression: object) => boolean, name: string): unknown {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return exactly(value, text)
  if (Array.isArray(value)) return value.map((each) => rewritten(each, text, isUnknown, name))
  if (typeof value !== 'object' || value === null) return value
  if (isUnknown(value)) return { unknown: [{ Value: name }] }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, rewritten(each, text, isUnknown, name)]))
}

/** Cedar's JSON comes through a double, which a Long does not fit into: the digits are those of the text. */
function exactly(rounded: number, text: string): unknown {
  const digits = text.match(/\d{16,}/g)?.find((run) => Number(run) === Math.abs(rounded))
  return digits === undefined ? rounded : (JSON as unknown as Exact).rawJSON(`${rounded < 0 ? '-' : ''}${digits}`)
}
