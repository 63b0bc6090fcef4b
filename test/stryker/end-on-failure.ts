import fc from 'fast-check'

// A mutant is killed by the first counterexample: no time is spent on shrinking it. The seed is pinned, so that each
// run finds the same one.
fc.configureGlobal({ endOnFailure: true, seed: Number(process.env.BAILIWICK_SEED ?? 1) | 0 })
