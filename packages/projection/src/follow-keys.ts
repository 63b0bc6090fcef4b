import type { DecodedEvent } from '@bailiwick/contracts'
import type { RotatingKey, SigningKey } from '@bailiwick/credentials'
import type { Projection } from './projection.ts'

/**
 * Told when another key signs than the registry wants: its file is not here, or cannot be used, and then `why` says what is wrong with
 * it. `signs`: what does instead, if anything.
 */
export type OnKeyMissing = (missing: {
  purpose: string
  wanted: string
  signs: string | undefined
  why: string | undefined
}) => void

/** From now on these sign as the registry says, each event of it at once. A key that cannot change is left as it is. */
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
