import { type Approver, agentIdOf, type Rule } from '@bailiwick/contracts'
import type { stoppable } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import { newId } from '@bailiwick/kit'
import { approversOf, chainOf, type Tree } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { keptReason } from './refuse.ts'

export interface StopOrder {
  kind: (typeof stoppable)[number]
  /** `*` for kind all. */
  target: string
  reason: string | undefined
}

export interface Stopped {
  revocation_id: string
  revoked_sequence: number
  acknowledged_at: string
}

const revokedWithinMs = 5000

/**
 * A person stops what an agent passed on, or everything that was granted so far: to an agent, by an approver, for a tool server, or at
 * all. Resolves when the revocation that the issuer declares for it is durable and counts; V7's bound runs from `acknowledged_at`.
 * `deadline_exceeded`: the stop is recorded and the issuer will act on it, but has not yet. A stop needs no passkey: it can only take
 * away, and must not wait.
 */
export async function stop(approval: Approval, me: Approver, { kind, target, reason }: StopOrder): Promise<Stopped> {
  const { projection, producer, clock, random } = approval
  const { revocations, grants } = projection.ledger
  const tree = kind === 'delegation' ? grants.trees.values().find((each) => each.delegations.has(target)) : undefined
  // A misspelt name must not look like success.
  if (kind === 'delegation' ? tree === undefined : !isThere(approval, kind, target))
    throw new ServiceError('entity_unknown', `there is no ${kind} of this name`)
  if (kind === 'agent' && !mayStopAgent(approval, me, target)) throw new ServiceError('approver_not_in_group')
  if (tree && !mayStopDelegation(approval, me, tree, target)) throw new ServiceError('approver_not_in_group')
  // A target that was revoked by name already is not revoked again: the first stop holds for everyone.
  const dead = () => (tree ? revocations.find(kind, target) : undefined)
  const acknowledged_at = () => new Date(clock.now()).toISOString()
  const before = dead()
  if (before)
    return { revocation_id: before.revocation_id, revoked_sequence: before.version, acknowledged_at: acknowledged_at() }
  const revocation_id = newId('rev', clock.now(), random)
  await producer.publishOne('approvals.v1', {
    type: 'revocation.requested',
    subject: revocation_id,
    version: 1,
    data: { revocation_id, kind, target, by: me.id, ...(await keptReason(approval, revocation_id, reason)) },
  })
  const declared = () => revocations.sequenceOf(revocation_id) ?? dead()?.version
  const sequence = await projection.until(declared, revokedWithinMs)
  if (sequence === undefined) throw new ServiceError('deadline_exceeded', 'ordered, and not yet revoked')
  return { revocation_id, revoked_sequence: sequence, acknowledged_at: acknowledged_at() }
}

/** Whether there is, or ever was, a target of this name. */
export function isThere(
  { projection }: Approval,
  kind: Exclude<StopOrder['kind'], 'delegation'>,
  target: string,
): boolean {
  const { registry } = projection.ledger
  if (kind === 'all') return target === '*'
  return registry.record(kind, target) !== undefined || (kind === 'agent' && registry.instance(target) !== undefined)
}

/**
 * An agent may be stopped by its owner, and by people who may approve anything for it. Other targets may be stopped by any
 * enrolled approver: a stop that waits for the right person costs more than one that the wrong person gave.
 */
export function mayStopAgent({ projection }: Approval, me: Approver, target: string): boolean {
  const { registry } = projection.ledger
  const agent = registry.get('agent', target) ?? registry.get('agent', agentIdOf(target))
  if (agent === undefined) return true // retired: it has no owner, and what it still holds may be stopped
  const isFor = ({ match: { agents, agent_labels } }: Rule) =>
    (agents === undefined || agents.some((id) => id === '*' || id === agent.id || id.startsWith(`${agent.id}/`))) &&
    (agent_labels === undefined || agent_labels.some((label) => agent.labels.includes(label)))
  return agent.owner === me.id || registry.rules.some((rule) => isFor(rule) && me.groups.includes(rule.approvers.group))
}

/** People who may stop the sub-agent or any agent above it in the chain, and those who approved the grant. */
export function mayStopDelegation(approval: Approval, me: Approver, tree: Tree, delegationId: string): boolean {
  const { projection, trust } = approval
  const { registry } = projection.ledger
  const signed = approversOf(registry, tree)?.includes(me.id) === true
  const chain = chainOf(tree, delegationId, trust.installation)
  const agents = chain.ok ? chain.holders.map(({ agent }) => agent) : [tree.grant.agent]
  return signed || agents.some((agent) => mayStopAgent(approval, me, agent))
}
