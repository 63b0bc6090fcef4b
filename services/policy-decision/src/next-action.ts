import type { DenialReason } from '@bailiwick/errors'
import { isRequestable } from './denials.ts'

/** Reasons that go by themselves, or once the same call is made again with a newer proof or credential. */
const transient: ReadonlySet<DenialReason> = new Set<DenialReason>([
  'credential_expired',
  'proof_replayed',
  'proof_nonce_required',
  'state_stale',
  'credential_unrecorded',
  'credential_revoked',
  'grant_not_started',
  'budget_held',
  'call_elsewhere',
  'state_contended',
  'evidence_unavailable',
  'deadline_exceeded',
])

/** What to do after a denial that came with an approval (access request profile, "Approval and Re-evaluation"). */
export function nextAction(reason: DenialReason): { next_action: 'request' | 'retry' | 'none'; retry_after?: number } {
  if (isRequestable(reason)) return { next_action: 'request' }
  return transient.has(reason) ? { next_action: 'retry', retry_after: 1 } : { next_action: 'none' }
}

/** Whether a denial says to repeat the call, at once or once something has happened: the next answer may be another one. */
export const isToRepeat = (reason: DenialReason): boolean => transient.has(reason) || reason === 'step_up_required'
