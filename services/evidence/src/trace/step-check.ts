import type { Entity, EntityType } from '@bailiwick/contracts'
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

/** How far the clocks of two services may be apart: each wrote its own time. */
export const leewayMs = 5000

/**
 * What an entity was when something was said of it, that first: since then its keys may have changed, or it was retired, and what it signed
 * stays signed. What was changed about then may have been either.
 */
export function asItWas<T extends EntityType>(registry: RegistryState, type: T, id: string, at: number): Entity<T>[] {
  const then = [at, at - leewayMs, at + leewayMs].map((ms) => registry.since(type, id, ms)[0])
  return [...new Set(then)].flatMap((value) => value ?? [])
}

export const no = (problem: string): StepCheck => ({ verified: false, problem })
