import type { Authorization, Entity, EntityType, Recovery, ServiceKey } from '@bailiwick/contracts'
import type { KeyRing } from '@bailiwick/credentials'
import type { RegistryView } from './verify-approval.ts'

/** A recovery as stored in the registry. */
export interface TakenRecovery {
  value: Recovery
  /** When its delay starts, in ms since the epoch. */
  takenAt: number
  /** Whether an approver has been enrolled through it. */
  used: boolean
}

/** What an early change turned an entity into. */
export interface FirstChange {
  type: EntityType
  id: string
  version: number
  after: string | undefined
}

/** The registry state against which registry changes are judged. */
export interface GovernedView extends Pick<RegistryView, 'approvers' | 'rules'> {
  /** Whether an approver was ever enrolled, even if retired since. The first enrolment ends genesis and the invitation for good. */
  readonly enrolled: boolean
  /** By id, without retired recoveries. */
  readonly recoveries: ReadonlyMap<string, TakenRecovery>
  /**
   * The hash of the registry statement by which people last changed the registry; undefined if people have not changed it yet. The rest of
   * that change may be made after its time limit, because no other statement of people came in between.
   */
  readonly begun: string | undefined
  /**
   * The first changes that count, in order. Holds at least as many as the genesis that trust.json commits to, or all changes if there are
   * fewer.
   */
  readonly first: readonly FirstChange[]
  /** Whether people have changed the registry by a statement of version 2. Afterwards, statements of version 1 no longer count. */
  readonly takesTwo: boolean
  /** By kid, without revoked keys. */
  readonly serviceKeys: ReadonlyMap<string, ServiceKey>
}

/** One registry event, and the registry state after the events before it in `registry.v1`. */
export interface AuthorizationCheck {
  authorization: Authorization
  entity: { type: EntityType; id: string }
  version: number
  /** JCS hash of the entity's earlier value; undefined if it did not exist. Taken from the fold, not from the event. */
  before: string | undefined
  /** The entity's new value; undefined if the entity is retired. */
  value: Entity | undefined
  /** The event's `hash`, which must be the JCS hash of `value`. */
  after: string | undefined
  /** The event's time, ms since the epoch. */
  at: number
  /** When the bus accepted the event, where that is known. */
  takenAt?: number | undefined
  registry: GovernedView
  anchor: Pick<KeyRing, 'trust' | 'root' | 'invitation'>
}
