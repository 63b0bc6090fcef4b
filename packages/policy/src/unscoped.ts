import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { canBeAskedPartly } from './nesting.ts'
import { contextReads, readsWhole } from './policy-reads.ts'
import type { Policy } from './policy-set.ts'

type Exact = { rawJSON(text: string): unknown }

/**
 * The conditions of a policy alone: for any principal, action and resource, with the whole context unknown to Cedar's partial evaluation.
 * The result then holds for every request.
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
 * The policy, with `context.grant.mode` or a similar path unknown wherever it reads exactly that. A policy that does not read it is
 * returned as its text. undefined: it reads the path, but is nested too deeply for partial evaluation.
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
 * The policy with these members of the context unknown, each given from the outside in. The whole context is unknown where the policy reads
 * something that contains one of them, or is nested too deeply. Also returns which of the members it reads.
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

/** The name under which an expression is unknown; undefined: it stays as it is. */
type NameUnknown = (expression: object) => string | undefined

function rewritten(value: unknown, text: string, nameOf: NameUnknown): unknown {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return exactly(value, text)
  if (Array.isArray(value)) return value.map((each) => rewritten(each, text, nameOf))
  if (typeof value !== 'object' || value === null) return value
  const name = nameOf(value)
  if (name !== undefined) return unknown(name)
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, rewritten(each, text, nameOf)]))
}

/** Cedar's JSON is parsed into a double, which cannot hold every Long: the digits are taken from the text. */
function exactly(rounded: number, text: string): unknown {
  const digits = text.match(/\d{16,}/g)?.find((run) => Number(run) === Math.abs(rounded))
  return digits === undefined ? rounded : (JSON as unknown as Exact).rawJSON(`${rounded < 0 ? '-' : ''}${digits}`)
}
