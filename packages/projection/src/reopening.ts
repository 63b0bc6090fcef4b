import type { GrantState } from './grant-state.ts'
import type { RequestRecord } from './request-life.ts'

/** A change between an approval and its grant that voids the approval, without anyone having refused: people are asked again. */
const voided = ['policy_changed', 'manifest_changed'] as const
export type VoidedBy = (typeof voided)[number]

/**
 * Why this approval was void before it had a grant, while the request can still be asked again, that is until the requested time is
 * over. undefined for every other request, including an approval that was refused for good.
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
