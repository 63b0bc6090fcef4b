import type { Continuous } from '@bailiwick/contracts'
import type { AllowRecord, Tree } from '@bailiwick/projection'

export interface Signs {
  /**
   * When humans last said that the task goes on: the grant's creation or start, or the last step-up that says so. All times here are in
   * ms since the epoch.
   */
  since: number
  /** When one workload attested, in any order. */
  attestedAt: readonly number[]
  /** The allowed calls, and when the outcome of each was reported. */
  allows: Iterable<Pick<AllowRecord, 'at' | 'standing' | 'reportedAt'>>
}

/**
 * Whether a grant of mode continuous has lapsed (DESIGN §1): at any moment since humans last said yes, the workload did not attest often
 * enough, or an outcome did not come in time. It stays lapsed until they say yes again: an attacker who took the workload over in the gap
 * must not repair it by attesting well afterwards. Pure. An invalid time counts as lapsed. An attestation dated in the future leaves a
 * gap like any other.
 */
export function hasLapsed({ reattest_seconds, outcome_seconds }: Continuous, signs: Signs, now: number): boolean {
  const { since, attestedAt, allows } = signs
  const within = (from: number, to: number, seconds: number) => to - from <= seconds * 1000
  const moments = [since, ...attestedAt.filter((at) => !(at < since)), now]
  const sorted = moments.toSorted((a, b) => a - b)
  const attested = sorted.every((at, n) => n === 0 || within(sorted[n - 1] ?? Number.NaN, at, reattest_seconds))
  if (!attested) return true
  for (const { at, standing, reportedAt = now } of allows)
    if (!(at < since) && standing !== 'abandoned' && !within(at, reportedAt, outcome_seconds)) return true
  return false
}

/**
 * When a workload attested, according to the intents of its credentials: the workload of the grant's own agent or, with `delegation`,
 * of that sub-agent. An attestation counts as no younger than the intent that records it.
 */
export function attestationsOf({ credentials }: Pick<Tree, 'credentials'>, delegation?: string): number[] {
  const own = [...credentials.values()].filter(({ delegation_id }) => delegation_id === delegation)
  return own.map(({ attestation, issued_at }) => {
    const [shown, issued] = [Date.parse(attestation?.attested_at ?? issued_at), Date.parse(issued_at)]
    // An intent is dated in whole seconds, rounded down.
    return Math.min(shown, issued + 999)
  })
}
