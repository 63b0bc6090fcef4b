import { askingKey, itemIdOf, requestIdOf } from '@bailiwick/approval-statement'
import { narrows, parseAuthority } from '@bailiwick/authority'
import { type Agent, agentIdOf, type EventData } from '@bailiwick/contracts'
import { type AccessRequest, jcsHash, verifyAccessRequest, verifyingKey } from '@bailiwick/credentials'
import { asItWas, leewayMs, no, type StepCheck, type TraceTrust } from './step-check.ts'

type Received = EventData<'approvals.v1', 'request.received'>

/** Verifies that the agent asked for exactly this, in these words. */
export function verifyRequest(data: Received, at: number, by: TraceTrust): StepCheck {
  if (data.kind === 'registry') return { verified: true } // proposed over the operator's socket, where proposers do not sign
  const checks = asItWas(by.registry, 'agent', agentIdOf(data.agent), at).map((agent) => verifyAsk(data, agent, at, by))
  return checks.find(({ verified }) => verified) ?? checks[0] ?? no('agent_unknown')
}

function verifyAsk(
  data: Exclude<Received, { kind: 'registry' }>,
  agent: Agent,
  at: number,
  { trust }: TraceTrust,
): StepCheck {
  const asking = askingKey(agent, data)
  if (!asking.ok) return no(asking.code)
  const key = verifyingKey('agent', asking.jwk)
  if (key === undefined) return no('agent_unknown')
  const { installation } = trust
  const { request, agent: subject } = data
  // If approval asks again because policy changed, the agent's signature was judged at the first request.
  const now = data.kind === 'access' && data.reopened !== undefined ? askedAt(request) : at
  const verified = verifyAccessRequest({ request, key, subject, installation, now, leewayMs })
  if (!verified.ok) return no(verified.code)
  return isAsked(data, verified.value) ? { verified: true, signed_by: [subject] } : no('access_request_conflict')
}

/**
 * Whether approval's account of a request is what the agent signed, or a part of it if rules split the request. Readers see approval's
 * account.
 */
function isAsked(told: Exclude<Received, { kind: 'registry' }>, asked: AccessRequest): boolean {
  if (jcsHash(asked) !== told.request_hash || asked.purpose?.salted_sha256 !== told.purpose?.salted_sha256) return false
  if (asked.arguments?.salted_sha256 !== told.arguments?.salted_sha256) return false
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

/** When the agent states that it signed; NaN if the request does not state a time. */
function askedAt(request: string): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(request.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return typeof claims === 'object' && claims !== null && 'iat' in claims ? Number(claims.iat) * 1000 : Number.NaN
  } catch {
    return Number.NaN
  }
}
