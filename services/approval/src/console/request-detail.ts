import { changeEffect, grantIdOf } from '@bailiwick/approval-statement'
import { describe, narrows } from '@bailiwick/authority'
import type { Approver } from '@bailiwick/contracts'
import type { RequestRecord } from '@bailiwick/projection'
import { mayRefuseStepUp } from '../answers/answer-step-up.ts'
import { unexplained } from '../answers/inspect.ts'
import { stoppedSince } from '../answers/newest-stop.ts'
import { mayTakeBack } from '../answers/refuse.ts'
import { authorityOf, mayRefuse, whyNotApproveChange } from '../answers/who-may-answer.ts'
import type { Approval } from '../context.ts'
import { changeRule, starvedRules } from '../registry/judge-change.ts'
import { manifestChangeOf } from '../registry/manifest-change.ts'
import { policyTextOf } from '../registry/policy-texts.ts'
import { diffOf } from '../registry/propose-change.ts'
import { unseenIn } from '../registry/unseen-in.ts'
import { type AccessAsk, requestNamed, type StepUpAsk } from '../requests.ts'
import { differenceOf } from './earlier.ts'
import { lastApprovedOf } from './request/last-approved.ts'
import type { RequestIndex } from './request-index.ts'
import { linesOf, ruleOf, subjectOf, whyNot } from './request-list.ts'
import { labelsOf, riskOf } from './risk.ts'
import { agentView, argumentsOf, orNothing, proseOf, signersOf, spelled } from './words.ts'

const mostSimilar = 5

/** Everything that a person needs to answer one request, in one response. */
export function requestDetail(approval: Approval, index: RequestIndex, me: Approver, id: string) {
  const record = requestNamed(approval, id)
  const ask = record.received
  if (ask === undefined) return { id, state: record.state, kind: null }
  const why = whyNot(approval, me, ask)
  const open = isOpen(approval, record, ask)
  const common = {
    id,
    open,
    state: record.state,
    received_at: spelled(record.receivedAt),
    changed_at: spelled(record.changedAt),
    expires_at: ask.expires_at,
    closed_by: record.closedBy ?? null,
    subject: subjectOf(ask),
    lines: linesOf(approval, ask),
    risk: riskOf(approval.projection.ledger.registry, ask),
    rule: ruleOf(approval, ask) ?? null,
    signed_by: signersOf(approval, record),
    may_approve: open && why === undefined,
    why_not: why ?? null,
  }
  if (ask.kind === 'registry') {
    const { policyText } = approval
    const diff = ask.entities.map((entity) => {
      const each = diffOf(approval, entity)
      const text = policyTextOf(policyText, each)
      return { ...each, ...text, ...manifestChangeOf(approval, each), effect: changeEffect({ ...each, ...text }) }
    })
    const mayDeny = open && whyNotApproveChange(approval, me, ask) === undefined
    return {
      ...common,
      kind: ask.kind,
      proposer: ask.proposer,
      diff,
      starved: starvedRules(approval, ask),
      unexplained: unseenIn(approval, ask),
      may_deny: mayDeny,
      why_people: changeRule(approval, ask).why,
    }
  }
  return {
    ...common,
    from: agentView(approval, ask.agent),
    instance_key: ask.instance_key,
    attestation: attestationOf(ask),
    received_by: ask.received_by,
    callback: ask.callback ?? null,
    denial: ask.denial ?? null,
    prose: proseOf(approval, ask.purpose),
    arguments: argumentsOf(approval, ask.arguments),
    agent_stopped: record.state === 'pending' ? stoppedSince(approval, ask.agent, record.receivedAt ?? 0) : null,
    unexplained: unexplained(ask),
    ...(ask.kind === 'access'
      ? accessDetail(approval, index, me, record, ask)
      : stepUpDetail(approval, me, record, ask)),
  }
}

/** The workload's attestation. Older asks have none: at that time a registered key was the only kind. */
function attestationOf({ attestation }: AccessAsk | StepUpAsk) {
  return { kind: attestation?.kind ?? 'registered_key', attested_at: attestation?.attested_at ?? null }
}

function accessDetail(approval: Approval, index: RequestIndex, me: Approver, record: RequestRecord, ask: AccessAsk) {
  const authority = orNothing(() => authorityOf(ask.authority))
  return {
    kind: ask.kind,
    mode: ask.mode,
    action_digest: ask.action_digest ?? null,
    rebind: ask.rebind,
    not_before: ask.not_before,
    not_after: ask.not_after,
    authority: authority ?? null,
    labels: authority?.permissions.map((each) => labelsOf(approval.projection.ledger.registry, each) ?? null) ?? [],
    part: ask.item ? { number: ask.item.index + 1, of: ask.item.count } : null,
    parts: ask.item ? partsOf(approval, ask.item.task) : [],
    reopened: ask.reopened ?? null,
    earlier: orNothing(() => earlierOf(approval, index, record, ask)) ?? null,
    last_approved: orNothing(() => lastApprovedView(approval, index, ask)) ?? null,
    similar: index
      .ofSameKind(ask)
      .filter(({ state }) => state !== 'pending')
      .slice(0, mostSimilar)
      .map((other) => answerOf(approval, other)),
    answer: record.approved ? answerOf(approval, record) : null,
    may_deny: record.state === 'pending' && (orNothing(() => mayRefuse(approval, me, ask)) ?? false),
  }
}

/** All parts that the rules made of one ask, so that a person who answers one part sees what else was asked with it. */
function partsOf(approval: Approval, task: string) {
  return approval.projection.ledger.requests.ofTask(task).flatMap((record) => {
    const { id, state, received: ask } = record
    if (ask?.kind !== 'access' || ask.item === undefined) return []
    const rule = ruleOf(approval, ask)
    return [
      {
        id,
        number: ask.item.index + 1,
        state,
        lines: linesOf(approval, ask).slice(0, permissionsOf(ask).length),
        group: rule?.group ?? null,
        quorum: rule?.quorum ?? null,
        signed_by: signersOf(approval, record),
      },
    ]
  })
}

const permissionsOf = (ask: AccessAsk) => orNothing(() => authorityOf(ask.authority))?.permissions ?? []

/** The agent's newest earlier request for this task, what it got, and what this request asks for that the earlier one did not. */
function earlierOf(approval: Approval, index: RequestIndex, { receivedAt = 0 }: RequestRecord, ask: AccessAsk) {
  // The parts of one ask are asked together; none of them is earlier than another.
  const earlier = index
    .ofSameTask(ask)
    .find((other) => (other.receivedAt ?? 0) <= receivedAt && (!ask.item || taskOf(other.received) !== ask.item.task))
  if (earlier?.received?.kind !== 'access') return undefined
  return {
    id: earlier.id,
    state: earlier.state,
    received_at: spelled(earlier.receivedAt),
    narrowed: earlier.approved !== undefined && answerOf(approval, earlier).narrowed,
    ...differenceOf(ask, earlier.received),
  }
}

function lastApprovedView(approval: Approval, index: RequestIndex, ask: AccessAsk) {
  const last = lastApprovedOf(index, ask)
  if (last === undefined) return undefined
  const { record, statement, ...more } = last
  const authority = authorityOf(statement.authority)
  const { task, permissions } = authority
  // In the form of `differenceOf`'s lines, so that they can be found.
  const once = ask.mode === 'per_action' && statement.mode === 'per_action'
  const lines = describe(authority, { once }).slice(1, 1 + permissions.length)
  return { ...answerOf(approval, record), ...more, task, permissions, lines, once }
}

const taskOf = (ask: RequestRecord['received']) => (ask?.kind === 'access' ? ask.item?.task : undefined)

/** The outcome of a request. */
function answerOf({ projection }: Approval, { id, state, changedAt, closedBy, approved, received }: RequestRecord) {
  const { registry } = projection.ledger
  const statement = approved?.statement.kind === 'approval' ? approved.statement : undefined
  const asked = received?.kind === 'access' ? received : undefined
  const signers = approved?.assertions.map((each) => registry.passkey(each.credential_id)?.approver.id ?? 'unknown')
  const narrowed =
    statement !== undefined &&
    asked !== undefined &&
    (statement.not_after !== asked.not_after ||
      !narrows(authorityOf(asked.authority), authorityOf(statement.authority)).narrower)
  return {
    id,
    state,
    at: spelled(changedAt),
    by: signers ?? (closedBy === undefined ? [] : [closedBy]),
    narrowed,
    grant_id: statement && approved ? grantIdOf(approved.statement_hash) : null,
  }
}

const isOpen = ({ clock }: Approval, { state }: RequestRecord, { expires_at }: Pick<StepUpAsk, 'expires_at'>) =>
  state === 'pending' && clock.now() < Date.parse(expires_at)

function stepUpDetail(approval: Approval, me: Approver, record: RequestRecord, ask: StepUpAsk) {
  const tree = approval.projection.ledger.grants.trees.get(ask.grant_id)
  const lines =
    tree && orNothing(() => describe(authorityOf(tree.grant.authority), { once: tree.grant.mode === 'per_action' }))
  return {
    kind: ask.kind,
    action: ask.action,
    needs: ask.needs ?? 'action',
    grant: {
      id: ask.grant_id,
      state: tree?.state ?? 'absent',
      mode: tree?.grant.mode ?? null,
      not_after: tree?.grant.not_after ?? null,
      lines: lines ?? [],
    },
    may_deny: isOpen(approval, record, ask) && mayRefuseStepUp(approval, me, ask),
    may_take_back: record.state === 'approved' && mayTakeBack(approval, me, record),
  }
}
