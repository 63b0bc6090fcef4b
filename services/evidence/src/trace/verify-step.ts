import {
  askingKey,
  itemIdOf,
  requestIdOf,
  verifyApproval,
  verifyGrantContent,
  verifySigners,
  verifyStepUp,
} from '@bailiwick/approval-statement'
import { narrows, parseAuthority } from '@bailiwick/authority'
import { actionHash, type DecodedEvent, type Grant } from '@bailiwick/contracts'
import {
  type AccessRequest,
  jcsHash,
  type KeyRing,
  type Trust,
  verifyAccessRequest,
  verifyingKey,
  verifyOutcome,
} from '@bailiwick/credentials'
import type { RegistryState } from '@bailiwick/projection'
import type { TraceLeaf } from './trace-leaf.ts'

/** What a trace is judged by: the anchor, the keys that it certifies, and the registry that leads back to it. */
export interface TraceTrust {
  trust: Trust
  keyRing: Pick<KeyRing, 'verifyEvent'>
  registry: RegistryState
}

/** What was found when a step's signatures were verified again. */
export interface StepCheck {
  verified: boolean
  /** Why not: an error code. */
  problem?: string
  /** Who signed, besides the service that wrote the event: people, an agent, an enforcement point. */
  signed_by?: readonly string[]
}

type EventOf<T extends DecodedEvent['type']> = Extract<DecodedEvent, { type: T }>

const leewayMs = 5000
const no = (problem: string): StepCheck => ({ verified: false, problem })

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
      return verifyRequest(event, at, by)
    case 'request.approved':
      return verifyHumans(event, at, causes, by)
    case 'grant.created':
      return verifyGrant(event, causes)
    case 'credential.intended':
      return needs('grant.created', causes, 'grant_unknown')
    case 'decision.allowed':
      return needs('credential.intended', causes, 'credential_unrecorded')
    case 'outcome.reported':
      return verifyReport(event, causes, by)
    default:
      return { verified: true }
  }
}

/** The agent asked for exactly this, and these are its words. */
function verifyRequest({ data }: EventOf<'request.received'>, at: number, { trust, registry }: TraceTrust): StepCheck {
  if (data.kind === 'registry') return { verified: true } // proposed over the operator's socket: a proposer signs nothing
  const agent = registry.instance(data.agent)?.agent
  if (agent === undefined) return no('agent_unknown')
  const asking = askingKey(agent, data)
  if (!asking.ok) return no(asking.code)
  const key = verifyingKey('agent', asking.jwk)
  if (key === undefined) return no('agent_unknown')
  const { installation } = trust
  const { request, agent: subject } = data
  // Asked again because policy changed: the agent's signature was judged when it first asked.
  const now = data.kind === 'access' && data.reopened !== undefined ? askedAt(request) : at
  const verified = verifyAccessRequest({ request, key, subject, installation, now, leewayMs })
  if (!verified.ok) return no(verified.code)
  return isAsked(data, verified.value) ? { verified: true, signed_by: [subject] } : no('access_request_conflict')
}

/** What approval says of an ask is what the agent signed, or a part of it where rules split it: readers are told approval's words. */
function isAsked(
  told: Exclude<EventOf<'request.received'>['data'], { kind: 'registry' }>,
  asked: AccessRequest,
): boolean {
  if (jcsHash(asked) !== told.request_hash || asked.purpose?.salted_sha256 !== told.purpose?.salted_sha256) return false
  const { request_id, request } = told
  if (told.kind === 'step_up') {
    const isOfIt = asked.grant_id === told.grant_id && asked.action_digest === told.action.action_digest
    return isOfIt && request_id === requestIdOf(request)
  }
  const { item, mode, action_digest } = told
  const [part, whole] = [parseAuthority(told.authority), parseAuthority(asked.authority)]
  if (!part.ok || !whole.ok || asked.mode !== mode || asked.action_digest !== action_digest) return false
  return item === undefined
    ? request_id === requestIdOf(request) && jcsHash(part.authority) === jcsHash(whole.authority)
    : request_id === itemIdOf(request, item.index) && narrows(part.authority, whole.authority).narrower
}

/** When an agent says that it signed; NaN for what says nothing of the kind. */
function askedAt(request: string): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(request.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return typeof claims === 'object' && claims !== null && 'iat' in claims ? Number(claims.iat) * 1000 : Number.NaN
  } catch {
    return Number.NaN
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
  if (statement.kind === 'step_up') {
    const grant = grantAmong(causes)
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

function grantAmong(causes: readonly TraceLeaf[]): Grant | undefined {
  const created = causes.find(({ event }) => event.type === 'grant.created')?.event as
    | EventOf<'grant.created'>
    | undefined
  return created?.data.grant
}

/** The grant is what those people approved, and nothing more. */
function verifyGrant({ data: { grant } }: EventOf<'grant.created'>, causes: readonly TraceLeaf[]): StepCheck {
  const content = verifyGrantContent(grant)
  if (!content.ok) return no(content.code)
  const approval = causes.find(({ event }) => event.type === 'request.approved')?.event as EventOf<'request.approved'>
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
  const decision = causes.find(({ event }) => event.type === 'decision.allowed')?.event as
    | EventOf<'decision.allowed'>
    | undefined
  const isAbout =
    verified.value.decision_id === decision_id &&
    decision !== undefined &&
    verified.value.action_digest === actionHash(decision.data.action)
  return isAbout ? { verified: true, signed_by: [enforcementPoint] } : no('action_digest_mismatch')
}

function needs(type: DecodedEvent['type'], causes: readonly TraceLeaf[], problem: string): StepCheck {
  return causes.some(({ event }) => event.type === type) ? { verified: true } : no(problem)
}
