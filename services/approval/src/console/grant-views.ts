import { describe } from '@bailiwick/authority'
import type { Approver } from '@bailiwick/contracts'
import { lineageOf, spellAmounts, type Tree } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { agentIdOf } from '../requests.ts'
import { authorityOf, mayRefuse } from '../who-may-answer.ts'
import type { GrantIndex } from './grant-index.ts'
import { type Page, pageOf } from './ordered.ts'
import { agentView, says, spelled } from './words.ts'

export interface GrantFilter {
  state: 'active' | 'ended' | 'all'
  agent?: string | undefined
  q?: string | undefined
  cursor?: string | undefined
}

/** One page of grants, newest first. */
export function listGrants(approval: Approval, index: GrantIndex, me: Approver, filter: GrantFilter): Page<unknown> {
  const { trees } = approval.projection.ledger.grants
  return pageOf(index.list, filter.cursor, ({ id }) => {
    const tree = trees.get(id)
    if (!tree || (filter.agent !== undefined && agentIdOf(tree.grant.agent) !== filter.agent)) return undefined
    const ended = stateOf(approval, tree).state !== 'active' && tree.state !== 'suspended'
    if (filter.state !== 'all' && (filter.state === 'ended') !== ended) return undefined
    const { agent, id: grantId, request_id, authority } = tree.grant
    const words =
      filter.q === undefined ||
      says(filter.q, agent, grantId, request_id, authorityOf(authority).task, agentView(approval, agent).name)
    return words ? grantView(approval, me, tree) : undefined
  })
}

/** What stopped a grant, or how it stands. */
function stateOf(approval: Approval, tree: Tree) {
  const { revocations, registry } = approval.projection.ledger
  const { grant } = tree
  const approvers = grant.assertions.map(({ credential_id: id }) => registry.passkey(id)?.approver.id ?? 'unknown')
  const revoked = revocations.kills(lineageOf(grant, approvers))
  const over = Date.parse(grant.not_after) <= approval.clock.now()
  return { state: revoked ? 'revoked' : over ? 'expired' : tree.state, approvers: [...new Set(approvers)], revoked }
}

export function grantView(approval: Approval, me: Approver, tree: Tree) {
  const { decisions, requests } = approval.projection.ledger
  const { grant } = tree
  const { state, approvers, revoked } = stateOf(approval, tree)
  const authority = authorityOf(grant.authority)
  const spend = decisions.trees.get(tree.id)
  const ask = requests.requests.get(grant.request_id)?.received
  return {
    id: tree.id,
    request_id: grant.request_id,
    state,
    agent: grant.agent,
    from: agentView(approval, grant.agent),
    agent_name: agentView(approval, grant.agent).name,
    task: authority.task,
    mode: grant.mode,
    lines: describe(authority),
    created_at: spelled(tree.createdAt),
    not_after: grant.not_after,
    approved_by: approvers,
    budget: authority.budget,
    taken: spend ? spellAmounts(spend.taken) : { calls: 0, egress_bytes: 0, cost: {} },
    last_used_at: spend ? spelled(spend.changedAt) : null,
    chain: chainOf(approval, tree, undefined),
    credentials: tree.credentials.size,
    revoked: revoked
      ? { sequence: revoked.version, reason: revoked.reason, by: revoked.by.id, kind: revoked.kind }
      : null,
    may_withdraw: approvers.includes(me.id) || (ask?.kind === 'access' && mayRefuse(approval, me, ask)),
  }
}

export interface Link {
  id: string
  from: ReturnType<typeof agentView>
  not_after: string
  revoked: boolean
  lines: string[]
  children: Link[]
}

/** Whom the authority was passed on to, and by them. */
function chainOf(approval: Approval, tree: Tree, parent: string | undefined): Link[] {
  const { revocations } = approval.projection.ledger
  return [...tree.delegations.values()]
    .filter((each) => each.parent === parent)
    .map(({ delegation_id: id, agent, authority, not_after }) => ({
      id,
      from: agentView(approval, agent),
      not_after,
      revoked: revocations.find('delegation', id) !== undefined,
      lines: describe(authorityOf(authority)),
      children: chainOf(approval, tree, id),
    }))
}
