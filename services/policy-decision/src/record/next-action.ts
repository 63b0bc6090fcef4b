import { type DenialReason, isRequestable, retrySecondsOf } from '@bailiwick/errors'

/** The next step after a denial of a request that named an approval (access request profile, "Approval and Re-evaluation"). */
export function nextAction(reason: DenialReason): { next_action: 'request' | 'retry' | 'none'; retry_after?: number } {
  if (isRequestable(reason)) return { next_action: 'request' }
  const retry_after = retrySecondsOf(reason)
  return retry_after === undefined ? { next_action: 'none' } : { next_action: 'retry', retry_after }
}

/** Whether the caller should repeat a denied call, at once or once something has happened: the next answer may differ. */
export const isToRepeat = (reason: DenialReason): boolean =>
  retrySecondsOf(reason) !== undefined || reason === 'step_up_required'
