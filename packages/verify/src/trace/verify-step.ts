import { ofOlderLogs, verifyApproval, verifySigners, verifyStepUp } from '@bailiwick/approval-statement'
import { actionHash, type DecodedEvent, type Statement } from '@bailiwick/contracts'
import { jcsHash, verifyingKey, verifyOutcome } from '@bailiwick/credentials'
import { causeOf, type EventOf } from './causes.ts'
import { asItWas, no, type StepCheck, type TraceTrust } from './step-check.ts'
import type { TraceLeaf } from './trace-leaf.ts'
import { verifyAllow } from './verify-allow.ts'
import { verifyGrant, verifyIntent, verifyMove, verifyPassedOn } from './verify-grants.ts'
import { verifyRequest } from './verify-request.ts'

/**
 * Verifies a step again, from its bytes: first the service's signature, then those of the people, agent or enforcement point behind it.
 * `causes` are the steps that it follows from, nearest first.
 */
export async function verifyStep(leaf: TraceLeaf, causes: readonly TraceLeaf[], by: TraceTrust): Promise<StepCheck> {
  const { event, topic, bytes } = leaf
  const at = Date.parse(event.time)
  const signed = by.keyRing.verifyEvent(bytes, topic, at)
  if (!signed.ok) return no(signed.code)
  switch (event.type) {
    case 'request.received':
      return verifyRequest(event.data, at, by)
    case 'request.approved':
      return verifyHumans(event, at, causes, by)
    case 'grant.created':
      return verifyGrant(event, causes)
    case 'grant.rebound':
      return verifyMove(event, causes)
    case 'delegation.redeemed':
      return verifyPassedOn(leaf, causes, by)
    case 'credential.intended':
      return verifyIntent(event, causes, by)
    case 'decision.allowed':
      return verifyAllow(event, causes, by)
    case 'outcome.reported':
      return verifyReport(event, causes, by)
    default:
      return topic === 'registry.v1' ? verifyChange(event as DecodedEvent<'registry.v1'>, by) : { verified: true }
  }
}

/** Verifies that enough of the right humans approved exactly this statement, according to the registry of that time (V3). */
async function verifyHumans(
  { data }: EventOf<'request.approved'>,
  at: number,
  causes: readonly TraceLeaf[],
  { trust, registry }: TraceTrust,
): Promise<StepCheck> {
  const { statement, assertions } = data
  if (jcsHash(statement) !== data.statement_hash) return no('statement_unknown')
  const view = registry.view(at)
  const asked = causeOf('request.received', causes)?.data
  if (statement.kind !== 'registry' && (asked === undefined || !isAnswerTo(asked, statement)))
    return no('access_request_unknown')
  if (statement.kind === 'step_up') {
    const grant = causeOf('grant.created', causes)?.data.grant
    if (grant === undefined) return no('grant_unknown')
    const verified = await verifyStepUp({ statement, assertions, grant, registry: view, trust, at, ...ofOlderLogs })
    return verified.ok ? { verified: true, signed_by: verified.approverIds } : no(verified.code)
  }
  if (statement.kind === 'registry') {
    const signed = await verifySigners({ statement, assertions, approvers: view.approvers, trust })
    return signed.ok ? { verified: true, signed_by: [...signed.signers.keys()].sort() } : no(signed.code)
  }
  const verified = await verifyApproval({ statement, assertions, registry: view, trust, at, ...ofOlderLogs })
  return verified.ok ? { verified: true, signed_by: verified.approverIds } : no(verified.code)
}

/** Whether the statement that humans signed names the request that it belongs to. */
function isAnswerTo(
  asked: EventOf<'request.received'>['data'],
  statement: Exclude<Statement, { kind: 'registry' }>,
): boolean {
  if (asked.request_id !== statement.request_id || asked.kind === 'registry') return false
  // `shown` if and only if the request came with arguments. Events from before this member existed have neither.
  if ((statement.arguments === 'shown') !== (asked.arguments !== undefined)) return false
  if (statement.kind === 'step_up')
    return asked.kind === 'step_up' && asked.action.action_digest === statement.action_digest
  return asked.kind === 'access' && asked.request_hash === statement.request_hash
}

/** Verifies that the enforcement point signed this outcome, about this decision. */
function verifyReport(
  { data, time }: EventOf<'outcome.reported'>,
  causes: readonly TraceLeaf[],
  { trust, registry }: TraceTrust,
): StepCheck {
  const { installation } = trust
  const { outcome, enforcement_point: enforcementPoint, decision_id } = data
  const checks = asItWas(registry, 'enforcement-point', enforcementPoint, Date.parse(time)).flatMap((point) => {
    const key = verifyingKey('outcome', point.outcome_jwk)
    return key === undefined ? [] : [verifyOutcome({ outcome, key, installation, enforcementPoint })]
  })
  const verified = checks.find(({ ok }) => ok) ?? checks[0]
  if (verified === undefined) return no('entity_unknown')
  if (!verified.ok) return no(verified.code)
  const decision = causeOf('decision.allowed', causes)
  const isAbout =
    verified.value.decision_id === decision_id &&
    decision !== undefined &&
    verified.value.action_digest === actionHash(decision.data.action)
  return isAbout ? { verified: true, signed_by: [enforcementPoint] } : no('action_digest_mismatch')
}

/** Verifies that the registry holds this change. A change that neither its people nor the root key authorised is void for readers (V3). */
function verifyChange(event: DecodedEvent<'registry.v1'>, { registry }: TraceTrust): StepCheck {
  return registry.stands(event.data, event.version ?? 0) ? { verified: true } : no('registry_change_refused')
}
