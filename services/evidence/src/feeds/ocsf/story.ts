import type { DecodedEvent } from '@bailiwick/contracts'
import type { LeafEvent } from './told.ts'

export type Decision = Extract<DecodedEvent<'decisions.v1'>, { type: 'decision.allowed' | 'decision.denied' }>['data']
export type Received = Extract<DecodedEvent<'approvals.v1'>, { type: 'request.received' }>['data']

/** The known facts about a grant, and who signed it. */
export interface GrantFacts {
  grantId: string
  requestId: string
  agent: string
  task: string
  mode: string
  rule: string
  authority: object
  notBefore: string
  notAfter: string
  /** The approvers whose signatures over the grant are valid; empty with `problem`. */
  approvers: readonly string[]
  problem?: string
}

/** A step-up: humans also said yes to this one action. `approvers`: those whose signatures are valid; empty with `problem`. */
export interface YesFacts {
  requestId: string
  approvers: readonly string[]
  problem?: string
}

export interface LineageStep {
  agent: string
  grant_id?: string
  delegation_id?: string
}

/** The history that led to a leaf, as far as the log has it. */
export interface Story {
  grant?: GrantFacts
  decision?: Decision
  yes?: YesFacts
  /** The request that an answer is about. */
  request?: Received
  /** From the grant's agent to the acting agent. */
  lineage?: readonly LineageStep[]
  /** From the registry: the agent's name, and the human who is accountable for it. */
  agentName?: string
  owner?: string
}

/** The names of the things that an event follows from. */
export interface Causes {
  grant?: string | undefined
  decision?: string | undefined
  credential?: string | undefined
  delegation?: string | undefined
  request?: string | undefined
}

export function causesOf(event: LeafEvent): Causes {
  switch (event.type) {
    case 'request.received':
      return { grant: event.data.kind === 'step_up' ? event.data.grant_id : undefined }
    case 'request.endorsed':
    case 'request.approved':
    case 'request.denied':
    case 'request.expired':
    case 'request.cancelled':
      return { request: event.data.request_id }
    case 'request.withdrawn':
      return { request: event.data.request_id, grant: event.data.grant_id }
    case 'grant.created':
    case 'grant.completed':
    case 'grant.expired':
    case 'grant.suspended':
    case 'grant.resumed':
    case 'grant.rebound':
      return { grant: event.data.grant.id }
    case 'delegation.redeemed':
      return { grant: event.data.grant_id, delegation: event.data.delegation_id }
    case 'credential.intended':
      return { grant: event.data.grant_id, delegation: event.data.delegation_id }
    case 'credential.issued':
    case 'credential.refused':
      return { grant: event.data.grant_id, credential: event.data.credential_id }
    case 'decision.allowed':
    case 'decision.denied':
      return { grant: event.data.actor?.grant_id, delegation: event.data.actor?.delegation_id }
    case 'decision.abandoned':
    case 'outcome.reported':
    case 'outcome.missing':
    case 'outcome.refused':
      return { grant: event.data.grant_id, decision: event.data.decision_id }
    case 'outcome.unrelayed':
    case 'outcome.contradicted':
      return { decision: event.data.decision_id }
    case 'revocation.declared':
    case 'revocation.requested':
      return ofRevoked(event.data)
    default:
      return {}
  }
}

function ofRevoked({ kind, target }: { kind: string; target: string }): Causes {
  if (kind === 'grant') return { grant: target }
  if (kind === 'credential') return { credential: target }
  return kind === 'delegation' ? { delegation: target } : {}
}
