import type { KeyRing, Trust } from '@bailiwick/credentials'
import type { RegistryState } from '@bailiwick/projection'

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

export const no = (problem: string): StepCheck => ({ verified: false, problem })
