import { countsCost, toolServerOf } from '@bailiwick/approval-statement'
import { type Authority, type Permission, parseAuthority, secondsUnit } from '@bailiwick/authority'
import type { Agent, Rule, ToolServer } from '@bailiwick/contracts'
import type { RegistryState } from '@bailiwick/projection'
import { unexplained } from '../answers/inspect.ts'
import type { AccessAsk, RegistryAsk, StepUpAsk } from '../requests.ts'

export type RiskLevel = 'high' | 'medium' | 'low'
export interface Risk {
  level: RiskLevel
  /** Orders the inbox and has no other meaning. */
  score: number
  /** The reasons, worst first, in words for people. */
  reasons: { level: RiskLevel; text: string }[]
}
type Reason = Risk['reasons'][number]

const weights: Record<RiskLevel, number> = { high: 1000, medium: 10, low: 1 }
const longWindowMs = 4 * 3600 * 1000

/** Entities that decide who may approve and what policy says. A change to one of these can change everything else. */
const governing: readonly string[] = ['approver', 'rule', 'policy-set', 'service-key', 'recovery']

/** Estimates the harm that an ask could do, from declarations alone. It helps to order the inbox and is never a reason to approve. */
export function riskOf(registry: RegistryState, ask: AccessAsk | RegistryAsk | StepUpAsk): Risk {
  if (ask.kind === 'access') return rated(accessReasons(registry, ask))
  if (ask.kind === 'step_up') return rated([{ level: 'high', text: 'The task waits for a person’s word' }])
  const govern = ask.entities.some(({ type }) => governing.includes(type))
  return rated([
    ...when(opensEmergencies(ask), 'high', 'Says who can go round the rules in an emergency, and how far'),
    ...when(govern, 'high', 'Changes who may approve, or by which rules'),
    ...when(losesWarning(registry, ask), 'high', 'Takes a warning off a tool'),
    ...when(movesCost(registry, ask), 'high', 'Says anew what a tool costs'),
    { level: 'medium', text: 'Changes what the registry says' },
  ])
}

function rated(reasons: Reason[]): Risk {
  const worstFirst = reasons.toSorted((a, b) => weights[b.level] - weights[a.level])
  const score = worstFirst.reduce((sum, { level }) => sum + weights[level], 0)
  return { level: worstFirst[0]?.level ?? 'low', score: Math.min(score, 999_999), reasons: worstFirst }
}

function accessReasons(registry: RegistryState, ask: AccessAsk): Reason[] {
  const parsed = parseAuthority(ask.authority)
  if (!parsed.ok || unexplained(ask).length > 0)
    return [{ level: 'high', text: 'Contains something that Bailiwick cannot explain' }]
  const { authority } = parsed
  const labels = new Set(authority.permissions.flatMap((permission) => labelsOf(registry, permission) ?? []))
  return [
    ...when(ask.attestation?.kind === 'emergency', 'high', 'An emergency: it goes round the rules for approval'),
    ...labelReasons(labels),
    ...strangers(registry, authority),
    ...ownPrices(registry, authority),
    ...limitReasons(authority, ask),
  ]
}

const opensEmergencies = ({ entities }: RegistryAsk): boolean =>
  entities.some((entity) => {
    if (entity.type === 'rule') return (entity.value as Rule | undefined)?.emergency !== undefined
    return entity.type === 'agent' && (entity.value as Agent | undefined)?.attestor.kind === 'emergency'
  })

/** Rules and policies see a tool by its labels: removing a label makes the tool look harmless. */
function losesWarning(registry: RegistryState, { entities }: RegistryAsk): boolean {
  return entities.some((entity) => {
    if (entity.type !== 'tool-server') return false
    const now = (entity.value as ToolServer | undefined)?.tools ?? {}
    const { tools: then = {} } = registry.get('tool-server', entity.id) ?? {}
    return Object.entries(then).some(([tool, { labels }]) => {
      const kept = Object.hasOwn(now, tool) ? now[tool]?.labels : undefined
      return kept !== undefined && labels.some((label) => warns(label) && !kept.includes(label))
    })
  })
}

/** Rules tell by the cost what is expensive: moving it makes a tool look cheap. Without a cost, every call is above every amount. */
function movesCost(registry: RegistryState, { entities }: RegistryAsk): boolean {
  return entities.some((entity) => {
    const then = entity.type === 'tool-server' ? registry.get('tool-server', entity.id)?.tools : undefined
    if (then === undefined) return false
    const now = Object.entries((entity.value as ToolServer | undefined)?.tools ?? {})
    return now.some(([tool, { cost }]) => {
      const before = Object.hasOwn(then, tool) ? then[tool]?.cost : undefined
      return cost !== undefined && (cost.amount !== before?.amount || cost.currency !== before.currency)
    })
  })
}

const warns = (label: string) => labelWords[label] !== undefined && labelWords[label].level !== 'low'

const labelWords: Readonly<Record<string, Reason>> = {
  destructive: { level: 'high', text: 'Can destroy data' },
  external_send: { level: 'high', text: 'Can send data outside' },
  reads_untrusted: { level: 'medium', text: 'Reads what strangers wrote' },
  writes: { level: 'low', text: 'Changes data' },
  reads_private: { level: 'low', text: 'Reads private data' },
}

function labelReasons(labels: ReadonlySet<string>): Reason[] {
  const reasons = [...labels].flatMap((label) => labelWords[label] ?? [])
  const leak = ['reads_private', 'reads_untrusted', 'external_send'].every((label) => labels.has(label))
  // An agent that reads private data and a stranger's text, and can send, can be talked into sending that data.
  return leak ? [{ level: 'high', text: 'Could be talked into leaking private data' }, ...reasons] : reasons
}

function strangers(registry: RegistryState, { permissions }: Authority): Reason[] {
  const unknown = permissions.filter((permission) => labelsOf(registry, permission) === undefined)
  const names = [...new Set(unknown.map(({ resource }) => resource.id ?? `${resource.id_prefix}…`))]
  if (names.length === 0) return []
  const more = names.length > 2 ? ` and ${names.length - 2} more` : ''
  return [
    { level: 'medium', text: `Not described in the registry: ${names.slice(0, 2).join(', ').slice(0, 120)}${more}` },
  ]
}

function ownPrices(registry: RegistryState, { permissions }: Authority): Reason[] {
  const servers = { get: (id: string) => registry.get('tool-server', id) }
  const own = permissions.some((permission) => permission.cost !== undefined && !countsCost(permission, servers))
  return when(own, 'medium', 'Takes its cost from an argument that the registry does not declare')
}

function limitReasons({ budget, max_depth, max_children }: Authority, ask: AccessAsk): Reason[] {
  const spends = Object.entries(budget.cost ?? {}).some(([unit, amount]) => unit !== secondsUnit && Number(amount) > 0)
  const lasts = Date.parse(ask.not_after) - Date.parse(ask.not_before)
  return [
    ...when(spends, 'medium', 'Can spend money'),
    ...when(budget.calls === undefined && ask.mode !== 'per_action', 'medium', 'Has no limit on calls'),
    ...when(max_depth > 0 && max_children > 0, 'medium', 'Can pass authority on to other agents'),
    ...when(ask.rebind === 'attested', 'low', 'Survives a restart under a new key'),
    ...when(ask.mode !== 'per_action' && lasts > longWindowMs, 'low', 'Lasts longer than four hours'),
  ]
}

const when = (holds: boolean, level: RiskLevel, text: string): Reason[] => (holds ? [{ level, text }] : [])

/** The labels of the one tool that a permission names; undefined if the tool is not described. */
export function labelsOf(registry: RegistryState, { resource }: Permission): string[] | undefined {
  const { type, id } = resource
  const server = id === undefined ? undefined : toolServerOf({ type, id })
  if (id === undefined || server === undefined) return undefined
  const { tools } = registry.get('tool-server', server) ?? {}
  const name = id.slice(server.length + 1)
  const labels = tools !== undefined && Object.hasOwn(tools, name) ? tools[name]?.labels : undefined
  return labels?.length ? labels : undefined
}
