import { describe } from '@bailiwick/authority'
import { type Approver, agentIdOf } from '@bailiwick/contracts'
import type { RequestRecord } from '@bailiwick/projection'
import { authorityOf, mayRefuse, ruleFor, whyNotApprove, whyNotApproveChange } from '../answers/who-may-answer.ts'
import type { Approval } from '../context.ts'
import { changeRule } from '../registry/judge-change.ts'
import { diffOf } from '../registry/propose-change.ts'
import type { AccessAsk, RegistryAsk } from '../requests.ts'
import { grantView } from './grant-views.ts'
import { orNothing, proseOf, signersOf } from './words.ts'

const showEndedMs = 3600 * 1000
const mostShown = 200

/** Everything that the console shows to one signed-in person. Bounded; newest first. */
export function consoleState(approval: Approval, me: Approver) {
  const { projection, trust, clock } = approval
  const { ledger } = projection
  const open = [...ledger.requests.requests.values()]
    .filter((record) => isOpen(approval, record))
    .sort((a, b) => (b.receivedAt ?? 0) - (a.receivedAt ?? 0))
    .slice(0, mostShown)
  const trees = [...ledger.grants.trees.values()]
    .filter(({ grant }) => Date.parse(grant.not_after) > clock.now() - showEndedMs)
    .sort((a, b) => b.createdAt - a.createdAt)
    .slice(0, mostShown)
  return {
    now: new Date(clock.now()).toISOString(),
    installation: trust.installation,
    single_operator: trust.single_operator,
    fresh: projection.fresh(),
    me: { id: me.id, name: me.name, groups: me.groups },
    requests: open.flatMap((r) => (r.received?.kind === 'access' ? [accessView(approval, me, r, r.received)] : [])),
    changes: open.flatMap((r) => (r.received?.kind === 'registry' ? [changeView(approval, me, r, r.received)] : [])),
    grants: trees.map((tree) => grantView(approval, me, tree)),
  }
}

function isOpen(approval: Approval, record: RequestRecord): boolean {
  return (
    record.state === 'pending' &&
    record.received !== undefined &&
    approval.clock.now() < Date.parse(record.received.expires_at)
  )
}

function accessView(approval: Approval, me: Approver, record: RequestRecord, ask: AccessAsk) {
  const { registry } = approval.projection.ledger
  const agent = registry.get('agent', agentIdOf(ask.agent))
  const authority = authorityOf(ask.authority)
  const rule = orNothing(() => ruleFor(approval, ask.agent, authority))
  const why = rule === undefined ? 'approval_rule_missing' : whyNotApprove(approval, me, ask, rule)
  return {
    id: record.id,
    received_at: new Date(record.receivedAt ?? 0).toISOString(),
    received_by: ask.received_by,
    expires_at: ask.expires_at,
    agent: ask.agent,
    agent_name: agent?.name ?? null,
    owner: agent?.owner ?? null,
    mode: ask.mode,
    action_digest: ask.action_digest ?? null,
    rebind: ask.rebind,
    authority,
    lines: describe(authority, { once: ask.mode === 'per_action' }),
    not_before: ask.not_before,
    not_after: ask.not_after,
    prose: proseOf(approval, ask.purpose),
    rule: rule
      ? { id: rule.id, group: rule.approvers.group, quorum: rule.approvers.quorum, narrowing: rule.narrowing }
      : null,
    signed_by: signersOf(approval, record),
    may_approve: why === undefined,
    why_not: why ?? null,
    may_deny: mayRefuse(approval, me, ask),
  }
}

function changeView(approval: Approval, me: Approver, record: RequestRecord, ask: RegistryAsk) {
  const why = whyNotApproveChange(approval, me, ask)
  return {
    id: record.id,
    received_at: new Date(record.receivedAt ?? 0).toISOString(),
    expires_at: ask.expires_at,
    proposer: ask.proposer,
    diff: ask.entities.map((entity) => diffOf(approval, entity)),
    rule: changeRule(approval, ask),
    signed_by: signersOf(approval, record),
    may_approve: why === undefined,
    why_not: why ?? null,
  }
}
