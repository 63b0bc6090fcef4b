import type { ServiceKey } from '@bailiwick/contracts'
import { jcsHash, type Refused } from '@bailiwick/credentials'
import type { AuthorizationCheck } from './authorization-check.ts'
import { no } from './change-content.ts'

/** The bus must have accepted the issuer's own events within this much of the time that they state. */
const timelinessMs = 60_000

const order = ['prepared', 'active', 'tainted'] as const
const stepOf = ({ state = 'active' }: ServiceKey) => order.indexOf(state)

/** A key moves one way: prepared, active, tainted, revoked. No one's signature moves it back. */
export function keyStateProblem({ entity, value, before, version, registry }: AuthorizationCheck): Refused | undefined {
  if (entity.type !== 'service-key' || value === undefined) return undefined
  if (before === undefined) return version === 1 ? undefined : no('value: a key that was revoked')
  const known = registry.serviceKeys.get(entity.id)
  return known !== undefined && stepOf(value as ServiceKey) >= stepOf(known)
    ? undefined
    : no('value: a key does not go back')
}

/**
 * Only the issuer moves a key through its states, and it changes nothing else of the key: it says which of the keys certified by the root
 * sign, and which no longer do. A thief of the issuer could refuse and revoke anyway, and wins no key by it. The stated time must be close
 * to the bus's time: a backdated event would void what the key had signed so far.
 */
export function byIssuer({ entity, value, at, takenAt = at, registry }: AuthorizationCheck): { ok: true } | Refused {
  if (entity.type !== 'service-key') return no('issuer: it moves keys, and nothing else')
  const known = registry.serviceKeys.get(entity.id)
  if (known === undefined) return no('issuer: a key that is not there')
  if (!(Math.abs(takenAt - at) <= timelinessMs)) return no('issuer: said at another time')
  if (value === undefined) return { ok: true }
  const next = value as ServiceKey
  return stepOf(next) > stepOf(known) && factsHash(next) === factsHash(known)
    ? { ok: true }
    : no('issuer: it changes more than where the key stands')
}

const factsHash = ({ state: _, ...facts }: ServiceKey) => jcsHash(facts)
