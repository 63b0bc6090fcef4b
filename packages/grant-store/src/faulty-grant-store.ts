import { ServiceError } from '@bailiwick/errors'
import type { GrantStore } from './grant-store.ts'

/** `before`: nothing happened. `after`: it all happened, and only the answer was lost. */
export type Break = 'before' | 'after'

export type GrantStoreMethod = Exclude<keyof GrantStore, symbol>

/**
 * The same store over a connection that breaks where `breaks` says. `breaks` is asked once per call, in the order of the calls. A broken
 * call rejects with `outcome_unknown`, either before or after its effect: the caller cannot tell which. For tests.
 */
export function faultyGrantStore(
  real: GrantStore,
  breaks: (method: GrantStoreMethod) => Break | undefined,
): GrantStore {
  const through = async <T>(method: GrantStoreMethod, call: () => Promise<T>): Promise<T> => {
    const where = breaks(method)
    if (where === 'before') throw connectionLost(method)
    const answer = await call()
    if (where === 'after') throw connectionLost(method)
    return answer
  }
  return {
    epoch: () => through('epoch', () => real.epoch()),
    adopt: () => through('adopt', () => real.adopt()),
    refill: (root, tree) => through('refill', () => real.refill(root, tree)),
    reset: (root, tree) => through('reset', () => real.reset(root, tree)),
    get: (root) => through('get', () => real.get(root)),
    advance: (root, take) => through('advance', () => real.advance(root, take)),
    settle: (root, settled) => through('settle', () => real.settle(root, settled)),
    remember: (proofId, now, expiresAt) => through('remember', () => real.remember(proofId, now, expiresAt)),
    count: (subject, windowMs, now) => through('count', () => real.count(subject, windowMs, now)),
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  }
}

function connectionLost(method: GrantStoreMethod): ServiceError {
  return new ServiceError('outcome_unknown', `the connection to the grant store was lost during ${method}`)
}
