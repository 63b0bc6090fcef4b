import type { Outcome } from '@bailiwick/credentials'
import { type ErrorCode, errorCode } from '@bailiwick/errors'
import { cutReasonOf } from './call-life.ts'

/** The status of an effect that threw. */
export function statusOf(error: unknown): Pick<Outcome, 'status' | 'cut'> {
  const cut = cutReasonOf(error)
  if (cut !== undefined) return { status: 'unknown', cut }
  const code = errorCode(error)
  return { status: notBegun.has(code) ? 'not_executed' : unclear.has(code) ? 'unknown' : 'failed' }
}

const notBegun: ReadonlySet<ErrorCode> = new Set([
  'call_not_begun',
  'call_in_progress',
  'upstream_unreachable',
  'upstream_busy',
  'upstream_address_forbidden',
  'secret_unavailable',
  'postgres_role_not_lent',
  'session_login_failed',
  'session_mfa_required',
  'session_token_missing',
])
const unclear: ReadonlySet<ErrorCode> = new Set([
  'outcome_unknown',
  'stream_cut',
  'upstream_timed_out',
  'upstream_redirected',
  'upstream_too_large',
  'upstream_failed',
  'session_lost',
  'session_mfa_asked',
  // The upstream may have acted before its answer was withheld.
  'answer_withheld',
])
