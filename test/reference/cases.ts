import { randomBytes } from 'node:crypto'

/** Printed by each user. Set `BAILIWICK_SEED=` to it to try the same cases again. */
export const seed = Number(process.env.BAILIWICK_SEED ?? randomBytes(4).readUInt32BE()) | 0

const long = process.env.BAILIWICK_NIGHTLY === '1'

/**
 * 20,000 cases in CI and a million nightly, over all files of this folder; `share` is one file's part of them. Fewer
 * where each case is tried for thousands of mutants.
 */
export const casesOf = (share: number): number => Math.round(cases * share)
const cases = Number(process.env.BAILIWICK_CASES ?? (long ? 1_000_000 : 20_000))

export const timeout = long ? 4 * 3_600_000 : 600_000 // a busy machine is not a failure

/** Of the comparison of compiled policies with Cedar: 30,000 in CI. Nightly it is a campaign of its own. */
export const compiledCases = Math.min(casesOf(1.5), 200_000)
