import { attachmentTopicOf, type Commitment, callAt, commitmentsIn } from '@bailiwick/contracts'
import { isAnotherCall } from './another-call.ts'
import type { Erasure, ValueStore } from './value-store.ts'

/**
 * A value that an event commits to, as its operator sees it: the words themselves, or why they cannot be had. `unkept`: the call of an
 * ALLOW, whose salt went to its enforcement point and to nobody else. `contradicted`: a call that is not the one that its event tells of, which a
 * decision point can commit to that was taken over.
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
