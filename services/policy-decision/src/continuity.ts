import type { Continuous } from '@bailiwick/contracts'
import type { AllowRecord, Tree } from '@bailiwick/projection'

export interface Signs {
  /** When humans last said that it goes on: its creation or start, or the last step-up that says so; ms since the epoch, as all here. */
  since: number
  /** When one workload showed which instance it is, in any order. */
  attestedAt: readonly number[]
  /** What was allowed, and when its outcome was reported. */
  allows: Iterable<Pick<AllowRecord, 'at' | 'standing' | 'reportedAt'>>
}

/**
 * Whether what a grant of mode continuous stands on has gone stale (DESIGN §1): the workload did not attest often enough, or
 * an outcome did not come in time, at any moment since humans last said yes. It stays so until they say it again: whoever
 * took a workload over while nobody looked must not heal it by looking well afterwards. Pure. A time that is none has lapsed, and
 * an attestation that is dated ahead is a gap like any other.
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
 * When a workload attested, by the intents of its credentials: that of the grant's own agent, or of a sub-agent by its delegation.
 * What it showed is no younger than its intent.
 */
export function attestationsOf({ credentials }: Pick<Tree, 'credentials'>, delegation?: string): number[] {
  const own = [...credentials.values()].filter(({ delegation_id }) => delegation_id === delegation)
  return own.map(({ attestation, issued_at }) => {
    const [shown, issued] = [Date.parse(attestation?.attested_at ?? issued_at), Date.parse(issued_at)]
    // An intent is dated in whole seconds, rounded down.
    return Math.min(shown, issued + 999)
  })
}
