import { verifyGrantContent } from '@bailiwick/approval-statement'
import { agentIdOf } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { causeOf, chainsAt, type EventOf } from './causes.ts'
import { no, type StepCheck, type TraceTrust } from './step-check.ts'
import type { TraceLeaf } from './trace-leaf.ts'

/** Verifies that the grant is exactly what those humans approved. */
export function verifyGrant({ data: { grant } }: EventOf<'grant.created'>, causes: readonly TraceLeaf[]): StepCheck {
  const content = verifyGrantContent(grant)
  if (!content.ok) return no(content.code)
  const approval = causeOf('request.approved', causes)
  return approval?.data.statement_hash === grant.statement_hash ? { verified: true } : no('statement_unknown')
}

/** Verifies a move: another instance of the same agent holds the grant, the approval permits that, and nothing else changed. */
export function verifyMove({ data: { grant } }: EventOf<'grant.rebound'>, causes: readonly TraceLeaf[]): StepCheck {
  const created = causeOf('grant.created', causes)?.data.grant
  if (created === undefined) return no('grant_unknown')
  const { agent, instance_key } = grant
  const isTheSame = jcsHash({ ...created, agent, instance_key }) === jcsHash(grant)
  const mayMove = created.statement.rebind === 'attested' && agentIdOf(agent) === agentIdOf(created.agent)
  return isTheSame && mayMove ? { verified: true } : no('grant_agent_mismatch')
}

/** Verifies that the grant's holder passed on this part of it, with the key that its own credential confirms (V5, V6). */
export function verifyPassedOn(leaf: TraceLeaf, causes: readonly TraceLeaf[], { trust }: TraceTrust): StepCheck {
  const { data, time } = leaf.event as EventOf<'delegation.redeemed'>
  const { delegation_id: delegationId } = data
  const { installation } = trust
  const [chain] = chainsAt([leaf, ...causes], { delegationId, at: Date.parse(time), installation })
  const maker = chain?.at(-2)
  return maker === undefined ? no('delegation_invalid') : { verified: true, signed_by: [maker.agent] }
}

/** Verifies that an intent is for the holder of the grant, or of a part passed on, bound to its key, and that it ends in time (V4). */
export function verifyIntent(
  { data, time }: EventOf<'credential.intended'>,
  causes: readonly TraceLeaf[],
  { trust }: TraceTrust,
): StepCheck {
  if (causeOf('grant.created', causes) === undefined) return no('grant_unknown')
  const { delegation_id: delegationId, agent, jkt, expires_at } = data
  const { installation } = trust
  const chains = chainsAt(causes, { delegationId, at: Date.parse(time), installation })
  if (chains.length === 0) return no('delegation_invalid')
  const holder = chains.map((chain) => chain.at(-1)).find((last) => last?.agent === agent && last.jkt === jkt)
  if (holder === undefined) return no('grant_agent_mismatch')
  return Date.parse(expires_at) <= holder.expiresAt ? { verified: true } : no('grant_expired')
}
