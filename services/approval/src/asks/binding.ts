import { type Authority, withinResource } from '@bailiwick/authority'
import type { Agent } from '@bailiwick/contracts'
import {
  type AccessRequest,
  actionDigest,
  type BindingToken,
  claimedKeyId,
  sha256,
  verifyBindingToken,
} from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Approval } from '../context.ts'
import { taskIdOf } from '../requests.ts'

/** A denial as its PEP echoes it (access request profile, "Access Request Submission"). */
export interface PresentedDenial {
  binding_token?: string | undefined
  evaluation_id?: string | undefined
  expires_at?: string | undefined
  reason?: string | undefined
}

/** One resource and action that a submission names, with the denial that they answer. */
export interface PresentedItem {
  resource: { type: string; id: string }
  action: { name: string; properties?: Readonly<Record<string, unknown>> | undefined }
  denial?: PresentedDenial | undefined
}

/** The denial that an ask answers, as the decision point signed it. */
export interface BoundDenial {
  decision_id: string
  reason: string
  action: NonNullable<BindingToken['action']>
  grant: string | undefined
  /** For a step-up: what a person's yes must do. */
  needs: BindingToken['needs']
}

export interface BindingAsk {
  agent: Agent
  asked: AccessRequest
  authority: Authority
  /** The task that the ask is, or would become. */
  task: string
}

const leewayMs = 5000

/**
 * Binds an ask to the denials that are shown with it, item by item (access request profile, "Verifying the Denial Binding").
 * A denial must be signed by a key that the root certified for exactly this purpose, for this installation. It must be about a call by
 * this very instance, named by hash in the agent's own signature, fresh, unanswered, and about what is asked. Without a denial, only an
 * agent that is registered for it may ask (`denial_not_requestable`). Returns the denial that the first item answers.
 */
export function boundDenial(
  approval: Approval,
  ask: BindingAsk,
  items: readonly PresentedItem[],
): BoundDenial | undefined {
  const { agent, asked } = ask
  if (items.every(({ denial }) => denial === undefined)) {
    if (asked.binding_token_hash !== undefined || asked.grant_id !== undefined)
      throw invalid('the signed ask answers a denial, but the request shows no denial')
    if (!agent.proactive_requests) throw new ServiceError('denial_not_requestable', 'the agent may only answer denials')
    return undefined
  }
  const tokens = items.map(({ denial }) => denial?.binding_token)
  if (!tokens.every((token) => token !== undefined)) throw invalid('an item has no binding token')
  // Only the agent that signed its hash can present it. A compact JWS holds no comma.
  if (asked.binding_token_hash !== sha256(tokens.join())) throw invalid('not the binding token whose hash was signed')
  const bound = items.map((item) => boundItem(approval, ask, item))
  refuseBeyond(ask, bound)
  return bound[0]
}

function boundItem(approval: Approval, { asked, authority, task }: BindingAsk, item: PresentedItem): BoundDenial {
  const denial = item.denial ?? {}
  const token = verifiedToken(approval, denial.binding_token ?? '')
  const { sub, action, jti, reason, grant, needs, exp } = token
  if (sub !== undefined && sub !== asked.sub) throw invalid('the denial of another instance')
  if (denial.evaluation_id !== undefined && denial.evaluation_id !== jti) throw invalid('evaluation_id')
  if (denial.reason !== undefined && denial.reason !== reason) throw invalid('reason')
  // The profile compares the token's own expiry with the echoed one; if they differ, the denial was not echoed unchanged.
  if (denial.expires_at === undefined || Date.parse(denial.expires_at) !== exp * 1000) throw invalid('expires_at')
  if (action === undefined) throw invalid('the denial of an action that could not be read')
  refuseOther(item, action)
  if (grant !== asked.grant_id) throw invalid('the denial under another grant')
  if (asked.action_digest !== undefined && asked.action_digest !== action.action_digest)
    throw invalid('the denial of another action')
  if (!asksFor(authority, action)) throw invalid('the signed ask does not hold the denied action')
  const answered = approval.own.answering(jti)
  if (answered && taskIdOf(answered) !== task) throw invalid('the denial is answered by another request')
  return { decision_id: jti, reason, action, grant, needs }
}

function verifiedToken({ keyRing, trust, clock }: Approval, token: string): BindingToken {
  const now = clock.now()
  const key = keyRing.find(claimedKeyId(token) ?? '', 'binding-token', now)
  if (!key.ok) throw invalid('binding_token: not signed by a decision point')
  const options = { token, key: key.value, installation: trust.installation, now, leewayMs }
  const verified = verifyBindingToken(options)
  if (verified.ok) return verified.value
  if (verified.code === 'token_expired') throw new ServiceError('denial_expired')
  throw invalid(`binding_token: ${verified.code}`)
}

/** The submission must name what was denied. Arguments that are sent again must be the ones that were denied. */
function refuseOther({ resource, action }: PresentedItem, denied: BoundDenial['action']): void {
  const { name, properties } = action
  if (resource.type !== denied.resource.type || resource.id !== denied.resource.id || name !== denied.name)
    throw invalid('the denial of another action')
  if (properties === undefined) return
  if (digestOf({ name, properties, resource }) !== denied.action_digest) throw invalid('the denial of other arguments')
}

function digestOf(action: Parameters<typeof actionDigest>[0]): string | undefined {
  try {
    return actionDigest(action)
  } catch {
    return undefined // a lone surrogate has no canonical form, so it was never denied
  }
}

/** Whether a permission of the ask is for this action and resource. People judge the bounds. */
export function asksFor({ permissions }: Authority, action: { name: string; resource: PresentedItem['resource'] }) {
  const { type, id } = action.resource
  return permissions.some(
    ({ actions, resource }) => actions.includes(action.name) && withinResource({ type, id }, resource),
  )
}

/** An agent that may only answer denials may ask only for what was denied. Otherwise one denial would open the door to any ask. */
function refuseBeyond({ agent, authority }: BindingAsk, bound: readonly BoundDenial[]): void {
  if (agent.proactive_requests) return
  const wasDenied = (name: string, { type, id }: { type: string; id?: string }) =>
    bound.some(({ action }) => action.name === name && action.resource.type === type && action.resource.id === id)
  for (const { actions, resource } of authority.permissions)
    for (const name of actions)
      if (!wasDenied(name, resource)) throw invalid(`${name}: not denied, and the agent may only answer denials`)
}

function invalid(detail: string): ServiceError {
  return new ServiceError('denial_binding_invalid', detail)
}
