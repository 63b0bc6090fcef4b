import { covers } from '@bailiwick/authority'
import { actionHash } from '@bailiwick/contracts'
import { causeOf, chainsAt, type EventOf } from './causes.ts'
import { statedArguments } from './stated-arguments.ts'
import { leewayMs, no, type StepCheck, type TraceTrust } from './step-check.ts'
import type { TraceLeaf } from './trace-leaf.ts'

type Allowed = EventOf<'decision.allowed'>

/**
 * Verifies that the action was allowed with a credential of this grant, while both were alive, for the agent that it was issued to. Each
 * agent that passed the grant on must also have been allowed the action, judged by the arguments in the event, which are all that a
 * permission names. The story of one action does not show what was taken from a budget before.
 */
export function verifyAllow({ data, time }: Allowed, causes: readonly TraceLeaf[], { trust }: TraceTrust): StepCheck {
  const { actor, action } = data
  const at = Date.parse(time)
  const intent = causeOf('credential.intended', causes)?.data
  if (intent?.credential_id !== actor.credential_id) return no('credential_unrecorded')
  const grant = causeOf('grant.created', causes)?.data.grant
  if (grant?.id !== actor.grant_id || intent.grant_id !== grant.id) return no('grant_unknown')
  if (!(Date.parse(grant.not_before) <= at + leewayMs)) return no('grant_not_active')
  if (!(at - leewayMs < Date.parse(grant.not_after))) return no('grant_expired')
  if (!(at - leewayMs < Date.parse(intent.expires_at))) return no('credential_expired')
  const { delegation_id: delegationId } = intent
  const chains = chainsAt(causes, { delegationId, at, installation: trust.installation })
  if (chains.length === 0) return no('delegation_invalid')
  const holders = chains.find(([root, ...links]) => {
    const last = links.at(-1)
    const isNamed = actor.agent === root.agent && actor.sub_agent === last?.agent && actor.delegation_id === last?.id
    const { agent, jkt } = last ?? root
    return isNamed && intent.agent === agent && intent.jkt === jkt
  })
  if (holders === undefined || actor.request_id !== grant.request_id) return no('grant_agent_mismatch')
  if (holders.some(({ expiresAt }) => !(at - leewayMs < expiresAt))) return no('delegation_expired')
  const { name, resource } = action
  const properties = statedArguments(action.arguments ?? {})
  for (const { authority } of holders) {
    const coverage = covers(authority, { name, resource, properties })
    if (!coverage.covered) return no(coverage.reason)
  }
  if (grant.mode === 'per_action' && grant.statement.action_digest !== actionHash(action))
    return no('action_digest_mismatch')
  return data.step_up === undefined || isSaidYesTo(data, at, causes) ? { verified: true } : no('statement_unknown')
}

/** Whether humans said yes to this very action, under this grant, not long before (V3). Their approval is verified as a step of its own. */
function isSaidYesTo({ step_up, actor, action }: Allowed['data'], at: number, causes: readonly TraceLeaf[]): boolean {
  return causes.some(({ event }) => {
    if (event.type !== 'request.approved' || event.data.request_id !== step_up) return false
    const { statement } = event.data
    return (
      statement.kind === 'step_up' &&
      statement.grant_id === actor.grant_id &&
      statement.action_digest === actionHash(action) &&
      Date.parse(event.time) - leewayMs <= at &&
      at - leewayMs < Date.parse(statement.not_after)
    )
  })
}
