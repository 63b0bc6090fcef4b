import type { ServiceKey } from '@bailiwick/contracts'
import type { RegistryState } from '@bailiwick/projection'

export type KeyStep = 'active' | 'tainted' | 'revoked'

/** By then, verifiers with a cached key set have fetched the new key. Until then, the replaced key may help out. */
const settledMs = 24 * 3600 * 1000

export const stateOf = ({ state = 'active' }: ServiceKey) => state

/**
 * The steps that are due for keys now. A key that has signed for `rotationMs`, or has expired, gives way to the key that was prepared
 * first and is a day old. A key that was replaced a day ago is tainted. With 0, nothing is ever due.
 */
export function stepsDue(
  registry: Pick<RegistryState, 'serviceKeys' | 'serviceKeyOrder' | 'record'>,
  now: number,
  rotationMs: number,
): { kid: string; to: KeyStep }[] {
  if (rotationMs === 0) return []
  const since = ({ id }: ServiceKey) => registry.record('service-key', id)?.changedAt ?? now
  const isValid = ({ not_before, not_after }: ServiceKey) =>
    Date.parse(not_before) <= now && now < Date.parse(not_after)
  const purposes = new Set(registry.serviceKeys.map(({ purpose }) => purpose))
  return [...purposes].flatMap((purpose) => {
    const [signs, ...replaced] = registry.serviceKeyOrder.signers(purpose)
    const due = signs === undefined || !isValid(signs) || now - since(signs) >= rotationMs
    const [next] = registry.serviceKeys
      .filter(
        (key) =>
          key.purpose === purpose && stateOf(key) === 'prepared' && isValid(key) && now - since(key) >= settledMs,
      )
      .sort((a, b) => since(a) - since(b))
    const settled = signs !== undefined && now - since(signs) >= settledMs
    return [
      ...(due && next !== undefined ? [{ kid: next.id, to: 'active' as const }] : []),
      ...(settled ? replaced.map(({ id }) => ({ kid: id, to: 'tainted' as const })) : []),
    ]
  })
}
