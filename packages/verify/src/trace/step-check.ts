import type { Entity, EntityType } from '@bailiwick/contracts'
import type { KeyRing, Trust } from '@bailiwick/credentials'
import type { RegistryState } from '@bailiwick/projection'

/** The basis for verifying a trace: the anchor, the keys that it certifies, and the registry that leads back to it. */
export interface TraceTrust {
  trust: Trust
  keyRing: Pick<KeyRing, 'verifyEvent'>
  registry: RegistryState
}

/** The result of verifying a step's signatures again. */
export interface StepCheck {
  verified: boolean
  /** If not verified: an error code. */
  problem?: string
  /** The signers besides the service that wrote the event: humans, an agent, an enforcement point. */
  signed_by?: readonly string[]
}

/** How far the clocks of two services may differ, since each wrote its own time. */
export const leewayMs = 5000

/**
 * The entity as it was at `at`, then as it was shortly before and after. Its keys may have changed since, or it may have been retired, but
 * what it signed stays valid. If it changed around that time, either version may have been current.
 */
export function asItWas<T extends EntityType>(registry: RegistryState, type: T, id: string, at: number): Entity<T>[] {
  const then = [at, at - leewayMs, at + leewayMs].map((ms) => registry.since(type, id, ms)[0])
  return [...new Set(then)].flatMap((value) => value ?? [])
}

export const no = (problem: string): StepCheck => ({ verified: false, problem })
