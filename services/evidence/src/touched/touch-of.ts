/** Amounts of money by currency. */
export type Cost = Readonly<Record<string, string>>

/** The target of an action. A denial that was summed up with others names none. */
interface Thing {
  action?: string
  type?: string
  resource?: string
  /** A tool's declared mapping made it of the call. */
  mapped?: true
}

/** A decision or an outcome, reduced to what an agent touched. */
export type Touch =
  | {
      verdict: 'allowed'
      decisionId: string
      /** The agent that acted, then those for whom it acted. Without their instances. */
      agents: readonly string[]
      things: readonly Thing[]
      cost: Cost
      /** Whether it continues a call that was already counted. */
      continues: boolean
    }
  | { verdict: 'denied'; agents: readonly string[]; things: readonly Thing[]; reason: string; count: number }
  | { verdict: 'ended'; decisionId: string; status: string; released: Cost }
  | { verdict: 'taken_back'; decisionId: string }

type Members = Record<string, unknown>

/** Reads from an event what agents touched. This version or a newer one checked its schema before it became a leaf. */
export function touchOf(type: string, data: unknown): Touch[] {
  if (!isRecord(data)) return []
  const decisionId = text(data.decision_id)
  switch (type) {
    case 'denials.summarised':
      return records(data.denials).flatMap(({ subject, reason, count }) => {
        const agent = agentOf(subject)
        return agent === undefined
          ? []
          : [{ verdict: 'denied', agents: [agent], things: [{}], reason: String(reason), count: Number(count) }]
      })
    case 'decision.denied': {
      const agents = actorsOf(data.actor, records(data.between, true))
      return agents.length === 0
        ? []
        : [{ verdict: 'denied', agents, things: [thingOf(data.action)], reason: String(data.reason), count: 1 }]
    }
    case 'decision.allowed': {
      const agents = actorsOf(data.actor, records(data.chain))
      if (agents.length === 0 || decisionId === undefined) return []
      const mapped = records(data.mapped).map((each) => ({ ...thingOf(each), mapped: true as const }))
      const things = [thingOf(data.action), ...mapped]
      const continues = data.continues !== undefined
      return [{ verdict: 'allowed', decisionId, agents, things, cost: costOf(data.reserved), continues }]
    }
    case 'outcome.reported':
    case 'outcome.missing': {
      if (decisionId === undefined) return []
      const status = type === 'outcome.missing' ? 'missing' : String(data.status)
      return [{ verdict: 'ended', decisionId, status, released: costOf(data.released) }]
    }
    case 'decision.abandoned':
      return decisionId === undefined ? [] : [{ verdict: 'taken_back', decisionId }]
    default:
      return []
  }
}

/** The agent that acted, then the agents for whom it acted: the holder of the grant, and those between. */
function actorsOf(actor: unknown, between: readonly Members[]): string[] {
  if (!isRecord(actor)) return []
  const all = [actor.sub_agent ?? actor.agent, actor.agent, ...between.map(({ agent }) => agent)].map(agentOf)
  return [...new Set(all.filter((agent) => agent !== undefined))]
}

/** Counted by agent, not by instance. */
function agentOf(instance: unknown): string | undefined {
  const id = text(instance)
  return id?.startsWith('spiffe://') ? id.slice(0, id.lastIndexOf('/')) : undefined
}

function thingOf(action: unknown): Thing {
  const { name, resource } = isRecord(action) ? action : {}
  const { type, id } = isRecord(resource) ? resource : {}
  const thing = { action: text(name), type: text(type), resource: text(id) }
  return Object.fromEntries(Object.entries(thing).filter(([, value]) => value !== undefined))
}

function costOf(amounts: unknown): Record<string, string> {
  if (!isRecord(amounts) || !isRecord(amounts.cost)) return {}
  const named = Object.entries(amounts.cost).filter((pair): pair is [string, string] => text(pair[1]) !== undefined)
  return Object.fromEntries(named)
}

/** `bare`: the list has names, and no members. */
function records(value: unknown, bare = false): Members[] {
  if (!Array.isArray(value)) return []
  return bare ? value.map((agent) => ({ agent })) : value.filter(isRecord)
}

const longestName = 2100
const text = (value: unknown) => (typeof value === 'string' && value.length <= longestName ? value : undefined)
const isRecord = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
