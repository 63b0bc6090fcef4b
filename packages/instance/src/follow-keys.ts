import type { DecodedEvent } from '@bailiwick/contracts'
import type { RotatingKey, SigningKey } from '@bailiwick/credentials'
import type { Projection } from './projection.ts'

/**
 * Called when a key other than the registry's active key signs, because that key's file is missing or unusable; then `why` gives the
 * reason. `signs`: the key that signs instead, if any.
 */
export type OnKeyMissing = (missing: {
  purpose: string
  wanted: string
  signs: string | undefined
  why: string | undefined
}) => void

/** Makes these keys sign as the registry says, updated at each registry event. A key that cannot change stays as it is. */
export function followKeys(
  projection: Projection,
  keys: readonly (SigningKey | RotatingKey)[],
  onMissing: OnKeyMissing | undefined,
): void {
  const { serviceKeyOrder } = projection.ledger.registry
  const rotating = keys.filter((key): key is RotatingKey => 'choose' in key)
  const choose = (key: RotatingKey) => {
    if (!serviceKeyOrder.knows(key.purpose)) return
    const kids = serviceKeyOrder.signers(key.purpose).map(({ id }) => id)
    const problems = new Map<string, string>()
    const signs = key.choose(kids, (kid, why) => problems.set(kid, why))
    const [wanted] = kids
    if (wanted !== undefined && wanted !== signs)
      onMissing?.({ purpose: key.purpose, wanted, signs, why: problems.get(wanted) })
  }
  for (const key of rotating) choose(key)
  projection.onFact(({ topic, verdict, event }) => {
    if (topic !== 'registry.v1' || verdict !== 'counts') return
    const { entity } = (event as DecodedEvent<'registry.v1'>).data
    if (entity.type === 'service-key') for (const key of rotating) choose(key)
  })
}
