import type { DenialReason } from '@bailiwick/errors'
import type { JsonObject } from '@bailiwick/mcp'
import type { Found, Refusal } from '@bailiwick/pep'
import type { Caller } from '@bailiwick/relay'
import type { Searches } from './searches.ts'

/**
 * Reasons that a decision point gives only for a caller whose credential and proof it verified, and whose grant lives: what it then denies
 * is the action. Every other reason denies the caller. `manifest_changed` is among them: an agent must be able to see that nothing is left.
 */
const ofLivingGrants: ReadonlySet<string> = new Set<DenialReason>([
  'manifest_changed',
  'action_not_granted',
  'argument_out_of_bounds',
  'cost_invalid',
  'policy_denied',
  'step_up_required',
  'obligation_unsupported',
  'uses_exhausted',
  'uses_reserved',
  'budget_exhausted',
  'budget_reserved',
  'budget_held',
])

/** Reasons that end everything under the grant, no matter which agent acts under it. */
const ofDeadGrants: ReadonlySet<string> = new Set<DenialReason>([
  'grant_not_active',
  'grant_expired',
  'grant_revoked',
  'approver_revoked',
  'tool_server_revoked',
  'everything_revoked',
])

/**
 * Reasons for which nothing of one holder of the grant goes on. A sub-agent that was revoked must not end what the agent above it has, each
 * time that it calls.
 */
const ofDeadHolders: ReadonlySet<string> = new Set<DenialReason>([
  'agent_revoked',
  'delegation_revoked',
  'delegation_expired',
  'delegation_invalid',
  'grant_agent_mismatch',
])

/** Reasons of an enforcement point that heard nothing fresh. They end what flows, and say nothing of the grant. */
const ofSilence: ReadonlySet<string> = new Set<DenialReason | 'pdp_unavailable'>(['pdp_unavailable', 'state_stale'])

/** What a reason ends: all that the grant has, what this holder of it has, or neither. */
export const endOf = (reason: string): 'grant' | 'holder' | undefined =>
  ofDeadGrants.has(reason) ? 'grant' : ofDeadHolders.has(reason) ? 'holder' : undefined

export const isSilence = (reason: string): boolean => ofSilence.has(reason)

export interface SearchedFor {
  htm: string
  /** One resource. Without it: all tools of `server`. */
  id?: string
  server: string
  manifest?: string | undefined
  /** The arguments of the action that the proof is over, if it is over one. */
  properties?: JsonObject | undefined
}

/**
 * Finds out who calls, and what that agent could do: the decision point verifies credential and proof, judges the grant, and counts
 * nothing. `id` asks about one resource; without it, about all tools of a server. A refusal means that the caller gets nothing at all.
 */
export async function searchFor(
  searches: Pick<Searches, 'make'>,
  caller: Caller,
  { htm, id, server, manifest, properties }: SearchedFor,
): Promise<Found | Refusal> {
  const { credential, proof, htu } = caller
  const resource = { type: 'tool', ...(id === undefined ? { prefix: `${server}/` } : { id }) }
  const action = { name: 'tools/call', properties }
  const answer = await searches.make({ credential, proof, htm, htu, action, resource, manifest })
  if ('allowed' in answer || answer.reason === undefined || ofLivingGrants.has(answer.reason)) return answer
  return { allowed: false, reason: answer.reason }
}
