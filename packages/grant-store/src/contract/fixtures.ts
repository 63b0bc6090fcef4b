import type { GrantStore, Take, TreeState } from '../grant-store.ts'

/** A grant store as its contract needs it: connections to it, and the faults that can happen to it. */
export interface GrantStoreUnderTest extends AsyncDisposable {
  /** A new instance on the same store, like that of another process. The subject disposes of it. */
  connect(): Promise<GrantStore>
  /** Removes everything in the store. Connections stay. */
  flush(): Promise<void>
  /** Stops the store and restarts it with the data that it had kept, possibly none. */
  restart(): Promise<void>
  /** Keeps a copy of the store's current state, for `rollback`. */
  snapshot(): Promise<void>
  /** Stops the store and restarts it in the state of the snapshot, as after a failover to a lagging replica or a restored backup. */
  rollback(): Promise<void>
}

export type OpenUnderTest = () => Promise<GrantStoreUnderTest>

/** 2100-01-01: ahead of every server's clock, so that no key expires by itself and only the time in the call decides. */
export const START = 4_102_444_800_000
export const ENDS_AT = START + 3_600_000
/** More than a double can count exactly, but less than an adapter may refuse. */
export const HUGE = 2n ** 63n - 1n

let last = 0

/** Ids differ from test to test, so that all tests may run on one store. */
export function aRoot(): string {
  return `grt_${++last}`
}

export function aTree(overrides: Partial<TreeState> = {}): TreeState {
  return { version: 1, left: { calls: 10n }, labels: [], expiresAt: ENDS_AT, ...overrides }
}

/** Takes one call from version 1. */
export function aTake(overrides: Partial<Take> = {}): Take {
  const from = overrides.from ?? 1
  return { takeId: `dec_${++last}`, from, to: from + 1, amounts: { calls: 1n }, labels: [], now: START, ...overrides }
}

/** An instance that has adopted the store. */
export async function anInstance(subject: GrantStoreUnderTest): Promise<GrantStore> {
  const store = await subject.connect()
  await store.adopt()
  return store
}

/** An instance, and a tree that it has put. */
export async function withTree(
  subject: GrantStoreUnderTest,
  overrides: Partial<TreeState> = {},
): Promise<{ store: GrantStore; root: string }> {
  const store = await anInstance(subject)
  const root = aRoot()
  await store.refill(root, aTree(overrides))
  return { store, root }
}

/** Repeats until the store answers, as a caller does after an unknown outcome. */
export async function untilAnswered<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!isOutcomeUnknown(error)) throw error
    }
  }
}

/** The store's answer, or 'no answer': an instance from before a restart may get either. */
export async function answerOf<T>(call: () => Promise<T>): Promise<T | 'no answer'> {
  try {
    return await call()
  } catch (error) {
    if (isOutcomeUnknown(error)) return 'no answer'
    throw error
  }
}

/** Takes once from the tree's current version, and evaluates again as long as others are faster. */
export async function takeFromNewest(
  store: GrantStore,
  root: string,
  amounts: Take['amounts'],
): Promise<'advanced' | 'exhausted'> {
  for (let from = 1; ; ) {
    const answer = await store.advance(root, aTake({ from, to: from + 1, amounts }))
    if (answer.outcome === 'ahead' || answer.outcome === 'behind') from = answer.version
    else if (answer.outcome === 'advanced' || answer.outcome === 'exhausted') return answer.outcome
    else throw new Error(`unexpected: ${answer.outcome}`)
  }
}

function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'outcome_unknown'
}
