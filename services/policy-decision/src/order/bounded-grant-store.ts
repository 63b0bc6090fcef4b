import type { GrantStore } from '@bailiwick/grant-store'
import { withDeadline } from '@bailiwick/kit'

/** A part of the second that a decision has. A store that does not answer in this time is away, and the log alone decides (DESIGN §5). */
export const answerWithinMs = 250

/**
 * Treats a store that hangs as one that is away: every call except `adopt` rejects with `outcome_unknown` at its deadline. `Proofs`
 * bounds its own wait for `adopt`, because it must hear of an answer that comes late.
 */
export function boundedGrantStore(store: GrantStore, ms: number = answerWithinMs): GrantStore {
  const within = async <T>(call: () => Promise<T>) => withDeadline(call(), ms, 'outcome_unknown')
  return {
    epoch: () => within(() => store.epoch()),
    adopt: () => store.adopt(),
    refill: (root, tree) => within(() => store.refill(root, tree)),
    reset: (root, tree) => within(() => store.reset(root, tree)),
    get: (root) => within(() => store.get(root)),
    advance: (root, take) => within(() => store.advance(root, take)),
    settle: (root, settled) => within(() => store.settle(root, settled)),
    remember: (proofId, now, expiresAt) => within(() => store.remember(proofId, now, expiresAt)),
    count: (subject, windowMs, now) => within(() => store.count(subject, windowMs, now)),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
