import { attachmentTopicOf, type Commitment, callAt, commitmentsIn } from '@bailiwick/contracts'
import { isAnotherCall } from '@bailiwick/verify'
import type { Erasure, ValueStore } from './value-store.ts'

/**
 * A value that an event commits to, as the operator sees it: the words themselves, or why they are not available. `unkept`: the call of an
 * ALLOW whose salt went only to its enforcement point. `contradicted`: a call that is not the one in its event; a decision point that was
 * taken over can commit to one.
 */
export type ShownValue = Commitment &
  (
    | { state: 'held'; text: string }
    | ({ state: 'erased' } & Erasure)
    | { state: 'altered' }
    | { state: 'contradicted' }
    | { state: 'absent' }
    | { state: 'unkept' }
  )

/** Every value that these data commit to. A text is shown only after it was hashed again. */
export function shownValues(data: unknown, values: Pick<ValueStore, 'find'>): Promise<ShownValue[]> {
  return Promise.all(
    commitmentsIn(data).map(async (commitment): Promise<ShownValue> => {
      const kept = await values.find(attachmentTopicOf(commitment), commitment.salted_sha256)
      if (kept.state === 'absent' && commitment.at === callAt && Object(data).call_kept !== true)
        return { ...commitment, state: 'unkept' }
      if (kept.state !== 'held') return { ...commitment, ...kept }
      if (isAnotherCall(commitment, kept.text, data)) return { ...commitment, state: 'contradicted' }
      return { ...commitment, state: 'held', text: kept.text }
    }),
  )
}
