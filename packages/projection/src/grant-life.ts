import type { EventData, EventTypeOf, Grant } from '@bailiwick/contracts'

export type GrantStateName = 'absent' | 'active' | 'suspended' | 'completed' | 'expired'
type GrantEvent = EventTypeOf<'grants.v1'>

const active = { credentials: 'active', delegations: 'active' } as const

/** A tree's life. `credential.refused` needs no row because it changes nothing. */
export const grantTransitions: Record<
  GrantStateName,
  Record<Exclude<GrantEvent, 'credential.refused'>, GrantStateName | 'refused'>
> = {
  absent: { ...refuseAll(), 'grant.created': 'active' },
  active: {
    'grant.created': 'refused',
    'grant.completed': 'completed',
    'grant.expired': 'expired',
    'grant.suspended': 'suspended',
    'grant.resumed': 'refused',
    'grant.rebound': 'active',
    'delegation.redeemed': active.delegations,
    'credential.intended': active.credentials,
    'credential.issued': active.credentials,
  },
  suspended: {
    ...refuseAll(),
    'grant.completed': 'completed',
    'grant.expired': 'expired',
    'grant.resumed': 'active',
    // The intent came before the suspension, and the signing is still a fact.
    'credential.issued': 'suspended',
  },
  completed: { ...refuseAll(), 'credential.issued': 'completed' },
  expired: { ...refuseAll(), 'credential.issued': 'expired' },
}

function refuseAll(): Record<Exclude<GrantEvent, 'credential.refused'>, 'refused'> {
  return {
    'grant.created': 'refused',
    'grant.completed': 'refused',
    'grant.expired': 'refused',
    'grant.suspended': 'refused',
    'grant.resumed': 'refused',
    'grant.rebound': 'refused',
    'delegation.redeemed': 'refused',
    'credential.intended': 'refused',
    'credential.issued': 'refused',
  }
}

/** Never changed: once the credential is issued, another record takes its place. So a cut of the state may write it later. */
export interface CredentialRecord extends Readonly<EventData<'grants.v1', 'credential.intended'>> {
  readonly issued: boolean
  /** How often the grant had moved when the credential was intended. */
  readonly moves: number
}

export interface Tree {
  /** The root grant's id, which keys the tree on every topic. */
  id: string
  version: number
  state: GrantStateName
  /** The reason of the newest event of the grant's own life, if one was given. */
  cause: string | undefined
  /** The same object as long as the holder does not change. */
  grant: Grant
  /** ms since the epoch. The approval is judged by the registry of this time. */
  createdAt: number
  /**
   * Credentials that had not expired when the newest was intended. In mode continuous, which looks back, all credentials.
   * If there are too many, the oldest are forgotten.
   */
  credentials: Map<string, CredentialRecord>
  delegations: Map<string, EventData<'grants.v1', 'delegation.redeemed'>>
  /** Earlier holders of the grant, oldest first. Revoking any of them ends the grant, even after it moved on (V7). */
  heldBefore: { agent: string; jkt: string }[]
  /** How often it moved, and when it last moved (ms since the epoch; 0: never). */
  moves: number
  movedAt: number
}
