import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { canBeAskedPartly } from './nesting.ts'
import { contextReads, readsWhole } from './policy-reads.ts'
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
    conditions: rewritten(json.conditions, text, contextAlone) as PolicyJson['conditions'],
  }
}

const contextAlone: NameUnknown = (expression) =>
  'Var' in expression && expression.Var === 'context' ? 'context' : undefined

/**
 * The policy, with what `context.grant.mode` or the like stands for unknown, wherever it says just that; as its text where it does not.
 * undefined: it does, and is nested too deeply to be asked so.
 */
export function withUnknown(policy: Policy, name: string, path: readonly string[]): PolicyJson | string | undefined {
  let says = false
  const json = rewrittenPolicy(policy, (expression) => {
    if (!isAccess(expression, path)) return undefined
    says = true
    return name
  })
  if (!says) return policy.text
  return canBeAskedPartly(policy.json) ? json : undefined
}

function rewrittenPolicy({ json, text }: Policy, nameOf: NameUnknown): PolicyJson {
  return { ...json, conditions: rewritten(json.conditions, text, nameOf) as PolicyJson['conditions'] }
}

/**
 * The policy with these members of the context unknown, each named from the outside in: where it looks at just that, and as a whole
 * where it looks at something that holds one of them, or is nested too deeply to be asked so. Gives also which of them that is.
 */
export function withUnknowns(
  policy: Policy,
  members: readonly (readonly string[])[],
): { spelled: PolicyJson | string; needs: string[] } {
  const read = members.filter(contextReads([policy])).map((member) => ['context', ...member])
  const needs = read.map((path) => path.join('.'))
  if (read.length === 0) return { spelled: policy.text, needs }
  if (read.some((path) => readsWhole(policy, path.slice(1))) || !canBeAskedPartly(policy.json)) {
    const conditions = [{ kind: 'when', body: unknown('context') }]
    return { spelled: { ...policy.json, conditions: conditions as unknown as PolicyJson['conditions'] }, needs }
  }
  const nameOf = (expression: object) => read.find((path) => isAccess(expression, path))?.join('.')
  return { spelled: rewrittenPolicy(policy, nameOf), needs }
}

const unknown = (name: string) => ({ unknown: [{ Value: name }] })

function isAccess(expression: object, path: readonly string[]): boolean {
  const above = path.slice(0, -1)
  if (above.length === 0) return 'Var' in expression && expression.Var === path[0]
  const access = '.' in expression ? (expression['.'] as { left: object; attr: string }) : undefined
  return access !== undefined && access.attr === path.at(-1) && isAccess(access.left, above)
}

/** Under which name an expression is unknown; undefined: it stays as it is. */
type NameUnknown = (expression: object) => string | undefined

function rewritten(value: unknown, text: string, nameOf: NameUnknown): unknown {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return exactly(value, text)
  if (Array.isArray(value)) return value.map((each) => rewritten(each, text, nameOf))
  if (typeof value !== 'object' || value === null) return value
  const name = nameOf(value)
  if (name !== undefined) return unknown(name)
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, rewritten(each, text, nameOf)]))
}

/** Cedar's JSON comes through a double, which a Long does not fit into: the digits are those of the text. */
function exactly(rounded: number, text: string): unknown {
  const digits = text.match(/\d{16,}/g)?.find((run) => Number(run) === Math.abs(rounded))
  return digits === undefined ? rounded : (JSON as unknown as Exact).rawJSON(`${rounded < 0 ? '-' : ''}${digits}`)
}
