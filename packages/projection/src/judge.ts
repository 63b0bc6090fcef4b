import { verifyAuthorization } from '@bailiwick/approval-statement'
import type { KeyRing } from '@bailiwick/credentials'
import type { JudgeChange } from './registry-state.ts'

/** Judges registry changes back to the trust anchor, as every reader must (DESIGN §3). */
export function judgeByAnchor(anchor: Pick<KeyRing, 'trust' | 'root' | 'invitation'>): JudgeChange {
  return async ({ type, id, ...change }, registry) => {
    const verified = await verifyAuthorization({ ...change, entity: { type, id }, registry: registry.view(), anchor })
    return verified.ok
  }
}
