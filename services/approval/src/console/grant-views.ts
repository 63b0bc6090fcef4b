import { type Authority, describe } from '@bailiwick/authority'
import { type Approver, agentIdOf } from '@bailiwick/contracts'
import {
  approversOf,
  chainOf,
  lineageOf,
  type Revocation,
  type Spent,
  spellAmounts,
  type Tree,
} from '@bailiwick/projection'
import { mayStopDelegation } from '../answers/stop.ts'
import { authorityOf, mayRefuse } from '../answers/who-may-answer.ts'
import type { Approval } from '../context.ts'
import type { GrantIndex } from './grant-index.ts'
import { type Page, pageOf, type Range } from './ordered.ts'
import { agentView, doneIn, says, spelled } from './words.ts'

export interface GrantFilter extends Range {
  state: 'active' | 'ended' | 'all'
  agent?: string | undefined
  q?: string | undefined
}

/** One page of grants, newest first. */
export function listGrants(approval: Approval, index: GrantIndex, me: Approver, filter: GrantFilter): Page<unknown> {
  const { trees } = approval.projection.ledger.grants
  return pageOf(index.list, filter, ({ id }) => {
    const tree = trees.get(id)
    if (!tree || (filter.agent !== undefined && !holdersOf(tree).some((each) => agentIdOf(each) === filter.agent)))
      return undefined
    const ended = stateOf(approval, tree).state !== 'active' && tree.state !== 'suspended'
    if (filter.state !== 'all' && (filter.state === 'ended') !== ended) return undefined
    return filter.q === undefined || says(filter.q, ...searchable(approval, tree))
      ? grantView(approval, me, tree)
      : undefined
  })
}

/** SPIFFE IDs of the grant's agent and of every agent to which it was passed on. */
const holdersOf = ({ grant, delegations }: Tree): string[] => [
  grant.agent,
  ...[...delegations.values()].map(({ agent }) => agent),
]

function* searchable(approval: Approval, tree: Tree): Generator<string | null> {
  const { id, request_id, authority } = tree.grant
  yield* [id, request_id, authorityOf(authority).task, ...doneIn(authority), ...tree.delegations.keys()]
  for (const holder of holdersOf(tree)) {
    const { name, owner, owner_name } = agentView(approval, holder)
    yield* [holder, name, owner, owner_name]
  }
}

/** Ids of the agents that can act under this grant now: its own, and those with a part of it that still counts. */
export function actingAgents(approval: Approval, tree: Tree): Set<string> {
  if (!isActive(approval, tree)) return new Set()
  const passedOn = [...tree.delegations.values()].filter(
    (each) => linkState(approval, tree, each.delegation_id) === 'active',
  )
  return new Set([tree.grant, ...passedOn].map(({ agent }) => agentIdOf(agent)))
}

const signersOf = ({ projection }: Approval, tree: Tree): readonly string[] =>
  approversOf(projection.ledger.registry, tree) ?? ['unknown']

/** The state of a grant, and what ended it. A revocation after the grant had already ended stopped nothing. */
function stateOf(approval: Approval, tree: Tree) {
  const { revocations } = approval.projection.ledger
  const approvers = [...new Set(signersOf(approval, tree))]
  const endsAt = Date.parse(tree.grant.not_after)
  if (tree.state === 'completed') return { state: tree.state, approvers }
  const revoked = inTime(revocations.kills(lineageOf(tree, approvers)), endsAt)
  if (revoked) return { state: 'revoked', approvers, revoked }
  return { state: endsAt <= approval.clock.now() ? 'expired' : tree.state, approvers }
}

/** A revocation that came while there was still something to stop. A revocation without a date counts. */
const inTime = (revoked: Revocation | undefined, endsAt: number): Revocation | undefined =>
  revoked?.declaredAt !== undefined && endsAt <= revoked.declaredAt ? undefined : revoked

/** Whether it can still be used. Expiry, and the revocation of anything that it depends on, leave its tree's own state unchanged. */
const isActive = (approval: Approval, tree: Tree): boolean =>
  tree.state === 'active' && stateOf(approval, tree).state === 'active'

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
    lines: describe(authority, { once: grant.mode === 'per_action' }),
    created_at: spelled(tree.createdAt),
    not_after: grant.not_after,
    approved_by: approvers,
    budget: authority.budget,
    taken: takenOf(spend),
    last_used_at: spend ? spelled(spend.changedAt) : null,
    chain: linksBelow(approval, me, tree, undefined),
    credentials: tree.credentials.size,
    revoked: revoked
      ? { sequence: revoked.version, reason: reasonOf(revoked), by: revoked.by.id, kind: revoked.kind }
      : null,
    may_withdraw: approvers.includes(me.id) || (ask?.kind === 'access' && mayRefuse(approval, me, ask)),
  }
}

/** A code, in words. An operator's own text is shown only to people who may trace it. */
const reasonOf = ({ reason, by }: Revocation) => (typeof reason === 'string' ? reason : `ordered_by_${by.kind}`)

const takenOf = (spent: Spent | undefined) => ({
  ...(spent ? spellAmounts(spent.taken) : { calls: 0, egress_bytes: 0, cost: {} }),
  unmeasured: spent?.unmeasured ?? 0,
})

export interface Link {
  id: string
  from: ReturnType<typeof agentView>
  not_after: string
  /** `broken`: a link that decision points no longer accept, for instance because its maker's key was replaced. */
  state: 'active' | 'completed' | 'revoked' | 'expired' | 'broken'
  lines: string[]
  budget: Authority['budget']
  taken: ReturnType<typeof takenOf>
  may_stop: boolean
  children: Link[]
}

/** The agents that the authority was passed on to, directly and further down, each judged as every decision point does. */
function linksBelow(approval: Approval, me: Approver, tree: Tree, parent: string | undefined): Link[] {
  const { decisions } = approval.projection.ledger
  return [...tree.delegations.values()]
    .filter((each) => each.parent === parent)
    .map(({ delegation_id: id, agent, authority, not_after }) => ({
      id,
      from: agentView(approval, agent),
      not_after,
      state: linkState(approval, tree, id),
      lines: describe(authorityOf(authority)),
      budget: authorityOf(authority).budget,
      taken: takenOf(decisions.trees.get(tree.id)?.links.get(id)),
      may_stop: mayStopDelegation(approval, me, tree, id),
      children: linksBelow(approval, me, tree, id),
    }))
}

function linkState(approval: Approval, tree: Tree, id: string): Link['state'] {
  const { trust, clock, projection } = approval
  const chain = chainOf(tree, id, trust.installation)
  if (!chain.ok) return 'broken'
  const { holders } = chain
  const endsAt = Math.min(...holders.map(({ expiresAt }) => expiresAt))
  const revoked = projection.ledger.revocations.kills(lineageOf(tree, signersOf(approval, tree), { holders }))
  if (inTime(revoked, endsAt)) return 'revoked'
  if (tree.state === 'completed') return tree.state
  return endsAt <= clock.now() ? 'expired' : 'active'
}
