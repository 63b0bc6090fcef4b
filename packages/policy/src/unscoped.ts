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
    conditions: rewritten(json.conditions, text) as PolicyJson['conditions'],
  }
}

function rewritten(value: unknown, text: string): unknown {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return exactly(value, text)
  if (Array.isArray(value)) return value.map((each) => rewritten(each, text))
  if (typeof value !== 'object' || value === null) return value
  if ('Var' in value && value.Var === 'context') return { unknown: [{ Value: 'context' }] }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, rewritten(each, text)]))
}

/** Cedar's JSON comes through a double, which a Long does not fit into: the digits are those of the text. */
function exactly(rounded: number, text: string): unknown {
  const digits = text.match(/\d{16,}/g)?.find((run) => Number(run) === Math.abs(rounded))
  return digits === undefined ? rounded : (JSON as unknown as Exact).rawJSON(`${rounded < 0 ? '-' : ''}${digits}`)
}
