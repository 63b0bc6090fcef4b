import type { GrantState } from './grant-state.ts'
import type { RequestRecord } from './request-state.ts'

/** What changes between an approval and its grant voids it, and is nobody's no: people are asked again. */
const voided = ['policy_changed', 'manifest_changed'] as const
export type VoidedBy = (typeof voided)[number]

/**
 * Why this approval was void before there was a grant of it, while the request can be asked again: until what was asked for is
 * over. undefined for every other request, an approval that was refused for good included.
 */
export function voidedBy(
  { state, received, approved }: RequestRecord,
  grants: GrantState,
  now: number,
): VoidedBy | undefined {
  if (state !== 'approved' || received?.kind !== 'access' || approved === undefined) return undefined
  const reason = grants.refused.get(`grt_${approved.statement_hash}`)
  return now < Date.parse(received.not_after) ? voided.find((each) => each === reason) : undefined
}
