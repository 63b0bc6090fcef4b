import type {
  Agent,
  Approver,
  EnforcementPoint,
  EntityType,
  PolicySet,
  Recovery,
  Rule,
  ToolServer,
} from '@bailiwick/contracts'
import type { EntityRecord } from '@bailiwick/projection'

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`

const gists: { [T in EntityType]?: (value: never) => string } = {
  agent: ({ owner, labels }: Agent) => [`owned by ${owner}`, ...labels].join(', '),
  approver: ({ groups, credentials }: Approver) =>
    `${groups.join(', ') || 'in no group'}; ${count(credentials.length, 'passkey')}`,
  rule: ({ order, approvers }: Rule) =>
    `order ${order}: ${approvers.quorum === 1 ? 'one' : approvers.quorum} of ${approvers.group}`,
  'tool-server': ({ url, tools }: ToolServer) => `${count(Object.keys(tools).length, 'tool')} at ${url}`,
  'enforcement-point': ({ resources }: EnforcementPoint) => `asks about ${count(resources.length, 'resource')}`,
  'policy-set': ({ files }: PolicySet) => count(Object.keys(files).length, 'file'),
  recovery: ({ name }: Recovery) => `lets ${name} in`,
  'service-key': ({ service, purpose }: { service: string; purpose: string }) => `${purpose} of ${service}`,
}

/** Describes an entity in a few words, from its own value alone. */
export function gistOf({ type, value }: Pick<EntityRecord, 'type' | 'value'>): string {
  return value === undefined ? '' : (gists[type]?.(value as never) ?? '')
}

export const nameOf = ({ value }: Pick<EntityRecord, 'value'>): string | null =>
  value !== undefined && 'name' in value ? value.name : null

const known = new WeakMap<object, string>()

/** Every text in an entity's value, so that a search finds a group, a label, an address or a tool. A value never changes. */
export function textOf(value: object): string {
  const text = known.get(value) ?? textsIn(value).join('\n')
  known.set(value, text)
  return text
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Array.isArray(value)
    ? value.flatMap(textsIn)
    : Object.entries(value).flatMap(([name, each]) => [name, ...textsIn(each)])
}
