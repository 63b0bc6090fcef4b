import { verifyApproval, verifyGrantContent, verifySigners, verifyStepUp } from '@bailiwick/approval-statement'
import { covers, parseAuthority } from '@bailiwick/authority'
import { actionHash, type DecodedEvent, type Statement } from '@bailiwick/contracts'
import { jcsHash, verifyingKey, verifyOutcome } from '@bailiwick/credentials'
import { statedArguments } from './stated-arguments.ts'
import { no, type StepCheck, type TraceTrust } from './step-check.ts'
import type { TraceLeaf } from './trace-leaf.ts'
import { verifyRequest } from './verify-request.ts'

type EventOf<T extends DecodedEvent['type']> = Extract<DecodedEvent, { type: T }>

/**
 * Verifies a step again, from its bytes: the service's signature, and then that of whoever is behind it. `causes` are the
 * steps that it follows from, nearest first.
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
    case 'credential.intended':
      return needs('grant.created', causes, 'grant_unknown')
    case 'decision.allowed':
      return verifyAllow(event, causes)
    case 'outcome.reported':
      return verifyReport(event, causes, by)
    default:
      return { verified: true }
  }
}

/** Enough of the right people approved exactly this statement, by the registry as it was (V3). */
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
    const verified = await verifyStepUp({ statement, assertions, grant, registry: view, trust, at })
    return verified.ok ? { verified: true, signed_by: verified.approverIds } : no(verified.code)
  }
  if (statement.kind === 'registry') {
    const signed = await verifySigners({ statement, assertions, approvers: view.approvers, trust })
    return signed.ok ? { verified: true, signed_by: [...signed.signers.keys()].sort() } : no(signed.code)
  }
  const verified = await verifyApproval({ statement, assertions, registry: view, trust, at })
  return verified.ok ? { verified: true, signed_by: verified.approverIds } : no(verified.code)
}

/** The nearest of a type that a step follows from. */
function causeOf<T extends DecodedEvent['type']>(type: T, causes: readonly TraceLeaf[]): EventOf<T> | undefined {
  return causes.find(({ event }) => event.type === type)?.event as EventOf<T> | undefined
}

/** What people signed names the ask that it stands behind. */
function isAnswerTo(
  asked: EventOf<'request.received'>['data'],
  statement: Exclude<Statement, { kind: 'registry' }>,
): boolean {
  if (asked.request_id !== statement.request_id) return false
  if (statement.kind === 'step_up')
    return asked.kind === 'step_up' && asked.action.action_digest === statement.action_digest
  return asked.kind === 'access' && asked.request_hash === statement.request_hash
}

/** By a credential of this grant, which holds the action: by the arguments that stand in the event, all that a permission names. */
function verifyAllow({ data }: EventOf<'decision.allowed'>, causes: readonly TraceLeaf[]): StepCheck {
  const { actor, action } = data
  const intent = causeOf('credential.intended', causes)?.data
  if (intent?.credential_id !== actor.credential_id) return no('credential_unrecorded')
  const grant = causeOf('grant.created', causes)?.data.grant
  if (grant?.id !== actor.grant_id || intent.grant_id !== grant.id) return no('grant_unknown')
  const authority = parseAuthority(grant.authority)
  if (!authority.ok) return no(authority.code)
  const { name, resource } = action
  const coverage = covers(authority.authority, { name, resource, properties: statedArguments(action.arguments ?? {}) })
  return coverage.covered ? { verified: true } : no(coverage.reason)
}

/** The grant is what those people approved, and nothing more. */
function verifyGrant({ data: { grant } }: EventOf<'grant.created'>, causes: readonly TraceLeaf[]): StepCheck {
  const content = verifyGrantContent(grant)
  if (!content.ok) return no(content.code)
  const approval = causeOf('request.approved', causes)
  return approval?.data.statement_hash === grant.statement_hash ? { verified: true } : no('statement_unknown')
}

/** The enforcement point said so, about this decision. */
function verifyReport(
  { data }: EventOf<'outcome.reported'>,
  causes: readonly TraceLeaf[],
  { trust, registry }: TraceTrust,
): StepCheck {
  const point = registry.enforcementPoint(data.enforcement_point)
  const key = verifyingKey('outcome', point?.outcome_jwk)
  if (key === undefined) return no('entity_unknown')
  const { installation } = trust
  const { outcome, enforcement_point: enforcementPoint, decision_id } = data
  const verified = verifyOutcome({ outcome, key, installation, enforcementPoint })
  if (!verified.ok) return no(verified.code)
  const decision = causeOf('decision.allowed', causes)
  const isAbout =
    verified.value.decision_id === decision_id &&
    decision !== undefined &&
    verified.value.action_digest === actionHash(decision.data.action)
  return isAbout ? { verified: true, signed_by: [enforcementPoint] } : no('action_digest_mismatch')
}

function needs(type: DecodedEvent['type'], causes: readonly TraceLeaf[], problem: string): StepCheck {
  return causes.some(({ event }) => event.type === type) ? { verified: true } : no(problem)
}
