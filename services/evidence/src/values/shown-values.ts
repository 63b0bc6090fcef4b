import { type Commitment, callAt, commitmentsIn } from '@bailiwick/contracts'
import type { Erasure, ValueStore } from './value-store.ts'

/**
 * A value that an event commits to, as its operator sees it: the words themselves, or why they cannot be had. `unkept`: the call of an
 * ALLOW, whose salt went to its enforcement point and to nobody else.
 */
export type ShownValue = Commitment &
  (
    | { state: 'held'; text: string }
    | ({ state: 'erased' } & Erasure)
    | { state: 'altered' }
    | { state: 'absent' }
    | { state: 'unkept' }
  )

/** Every value that these data commit to. A text is shown only after it was hashed again. */
export function shownValues(data: unknown, values: Pick<ValueStore, 'find'>): Promise<ShownValue[]> {
  return Promise.all(
    commitmentsIn(data).map(async (commitment): Promise<ShownValue> => {
      const kept = await values.find(commitment.salted_sha256)
      if (kept.state === 'absent' && commitment.at === callAt && Object(data).call_kept !== true)
        return { ...commitment, state: 'unkept' }
      return kept.state === 'held' ? { ...commitment, state: 'held', text: kept.text } : { ...commitment, ...kept }
    }),
  )
}
