import { type Agent, type Approver, agentIdOf } from '@bailiwick/contracts'
import { newestStop, stopView } from '../answers/newest-stop.ts'
import { isThere, mayStopAgent } from '../answers/stop.ts'
import type { Approval } from '../context.ts'
import { actingAgents } from './grant-views.ts'
import { says } from './words.ts'

const mostShown = 500

/** Agents by name, with what they hold and what they wait for. */
export function listAgents(approval: Approval, { q }: { q?: string | undefined }) {
  const { registry } = approval.projection.ledger
  const ownerName = (owner: string) => registry.get('approver', owner)?.name ?? null
  const agents = registry
    .all('agent')
    .filter(({ id, name, owner, labels }) => says(q, id, name, owner, ownerName(owner), ...labels))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const row = agentRows(approval)
  return { total: agents.length, items: agents.slice(0, mostShown).map(row) }
}

/** One agent, registered or not: people may stop the grants of a retired agent, and evidence keeps what it did. */
export function readAgent(approval: Approval, me: Approver, id: string) {
  const agent = approval.projection.ledger.registry.get('agent', id)
  const stop = newestStop(approval, id)
  return {
    id,
    agent: agent === undefined ? null : agentRows(approval)(agent),
    may_stop: isThere(approval, 'agent', id) && mayStopAgent(approval, me, id),
    stop: stop === undefined ? null : stopView(stop),
  }
}

/** Shows agents. Their grants and waiting requests are counted once for all of them. */
function agentRows(approval: Approval) {
  const { registry, grants, requests } = approval.projection.ledger
  const count = (ids: Iterable<string>) => {
    const counted = new Map<string, number>()
    for (const id of ids) counted.set(id, (counted.get(id) ?? 0) + 1)
    return counted
  }
  const pending = count(
    [...requests.requests.values()].flatMap(({ state, received }) =>
      state === 'pending' && received !== undefined && received.kind !== 'registry' ? [agentIdOf(received.agent)] : [],
    ),
  )
  const active = count([...grants.trees.values()].flatMap((tree) => [...actingAgents(approval, tree)]))
  /** The newest revocation that an approver of the agent knew of, as its grants say. */
  const approvedAsOf = new Map<string, number>()
  for (const { grant, delegations } of grants.trees.values())
    for (const { agent } of [grant, ...delegations.values()])
      approvedAsOf.set(agentIdOf(agent), Math.max(grant.as_of, approvedAsOf.get(agentIdOf(agent)) ?? 0))
  return ({ id, name, owner, labels, attestor, proactive_requests }: Agent) => ({
    id,
    name,
    owner,
    owner_name: registry.get('approver', owner)?.name ?? null,
    labels,
    attestor: attestor.kind,
    instances: attestor.kind === 'registered_key' ? attestor.keys.map(({ instance }) => instance) : null,
    proactive_requests,
    pending: pending.get(id) ?? 0,
    active: active.get(id) ?? 0,
    stopped: active.has(id) ? null : stopOf(approval, id, approvedAsOf.get(id)),
  })
}

/** The agent's stop, unless something was approved for it since, even if that grant is over. */
function stopOf(approval: Approval, id: string, approvedAsOf = -1) {
  const stop = newestStop(approval, id)
  return stop === undefined || approvedAsOf >= stop.version ? null : stopView(stop)
}

/** Rules in the order in which they are tried. */
export function listRules({ projection }: Approval) {
  const { registry } = projection.ledger
  const members = (group: string) =>
    registry.approvers.filter(({ groups }) => groups.includes(group)).map(({ id, name }) => ({ id, name }))
  return {
    policy_set: registry.policySet ?? null,
    items: registry.rules
      .sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1))
      .map((rule) => ({ ...rule, members: members(rule.approvers.group) })),
  }
}
