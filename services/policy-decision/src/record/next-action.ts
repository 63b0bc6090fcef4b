import { type DenialReason, denialRetrySeconds, isTransient } from '@bailiwick/errors'
import { isRequestable } from './denials.ts'

/** The next step after a denial of a request that named an approval (access request profile, "Approval and Re-evaluation"). */
export function nextAction(reason: DenialReason): { next_action: 'request' | 'retry' | 'none'; retry_after?: number } {
  if (isRequestable(reason)) return { next_action: 'request' }
  return isTransient(reason) ? { next_action: 'retry', retry_after: denialRetrySeconds } : { next_action: 'none' }
}

/** Whether the caller should repeat a denied call, at once or once something has happened: the next answer may differ. */
export const isToRepeat = (reason: DenialReason): boolean => isTransient(reason) || reason === 'step_up_required'
