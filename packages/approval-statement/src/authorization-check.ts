import type { Authorization, Entity, EntityType, Recovery, ServiceKey } from '@bailiwick/contracts'
import type { KeyRing } from '@bailiwick/credentials'
import type { RegistryView } from './verify-approval.ts'

/** A recovery as the registry holds it. */
export interface TakenRecovery {
  value: Recovery
  /** ms since the epoch: from when its delay runs. */
  takenAt: number
  /** Whether an approver was enrolled by it. */
  used: boolean
}

/** What an early change made of which entity. */
export interface FirstChange {
  type: EntityType
  id: string
  version: number
  after: string | undefined
}

/** The registry as changes of it are judged by. */
export interface GovernedView extends Pick<RegistryView, 'approvers' | 'rules'> {
  /** Whether an approver was ever enrolled, retired since or not. It ends genesis, and the invitation, for good. */
  readonly enrolled: boolean
  /** By id, without those that were retired. */
  readonly recoveries: ReadonlyMap<string, TakenRecovery>
  /**
   * The hash of the registry statement by which people changed the registry last; undefined: never so far. What is left of it may
   * be made after its time, for nothing that people said came between.
   */
  readonly begun: string | undefined
  /**
   * The first changes that count, in order; at least as many as the genesis that trust.json commits to, or all that there are.
   */
  readonly first: readonly FirstChange[]
  /** Whether people changed the registry by a statement of version 2. From then on none of version 1 counts. */
  readonly takesTwo: boolean
  /** By kid, without those that were revoked. */
  readonly serviceKeys: ReadonlyMap<string, ServiceKey>
}

/** One registry event, and the registry as the events before it in `registry.v1` left it. */
export interface AuthorizationCheck {
  authorization: Authorization
  entity: { type: EntityType; id: string }
  version: number
  /** JCS hash of what the entity was; undefined: nothing. From the fold, not from the event. */
  before: string | undefined
  /** What the entity becomes; undefined: it is retired. */
  value: Entity | undefined
  /** The event's `hash`, which must be the JCS hash of `value`. */
  after: string | undefined
  /** The event's time, ms since the epoch. */
  at: number
  /** When the bus took the event, where that is known. */
  takenAt?: number | undefined
  registry: GovernedView
  anchor: Pick<KeyRing, 'trust' | 'root' | 'invitation'>
}
