import { randomUUID } from 'node:crypto'
import { ServiceError } from '@bailiwick/errors'
import { type AmountPairs, amountPairs } from '../amount-pairs.ts'
import { digest } from '../digest.ts'
import type { AdvanceOutcome, GrantStore, Settlement, Take, TreeState } from '../grant-store.ts'
import { type Environment, openEnvironment } from './environment.ts'
import { sweep } from './sweep.ts'
import { type TreeRecord, treeRecord, treeState } from './tree-record.ts'

export interface EmbeddedGrantStoreOptions {
  /** A folder of its own, created if absent. Nothing in it needs a backup. */
  dir: string
  /** ms since the epoch. It only decides when expired things are forgotten. Liveness is decided by each call's own `now`. */
  now: () => number
  /** Makes an epoch; unique and unguessable. */
  newEpoch?: () => string
}

/** An open environment, shared by its instances: it is to one process what a Redis server is to several. */
export interface GrantStoreEnvironment extends AsyncDisposable {
  /** A new instance, which has not adopted an epoch yet. Disposing of it leaves the environment open. */
  connect(): GrantStore
  /** Forgets everything expired now. This also happens gradually by itself. For tests. */
  sweep(): void
}

const SWEEP_EVERY_MS = 1_000
const SWEEP_LIMIT = 1_000
/** 16 writes add at most 16 things, and the 16th forgets up to 64. So the load bounds what is kept, even without the timer. */
const WRITES_PER_SWEEP = 16
const ENTRIES_PER_SWEEP = 64

/** A grant store in `dir`, for one process. Disposing of it closes the environment. */
export function embeddedGrantStore(options: EmbeddedGrantStoreOptions): GrantStore {
  const environment = openGrantStoreEnvironment(options)
  const store = environment.connect()
  return { ...store, [Symbol.asyncDispose]: () => environment[Symbol.asyncDispose]() }
}

/** Opens `dir` and starts a new run: every instance, in this process or another, must adopt again. */
export function openGrantStoreEnvironment(options: EmbeddedGrantStoreOptions): GrantStoreEnvironment {
  const { dir, now, newEpoch = randomUUID } = options
  const environment = openEnvironment(dir)
  const sweepUpTo = (limit: number) => environment.atomically(() => sweep(environment, now(), limit))
  const timer = setInterval(() => {
    try {
      sweepUpTo(SWEEP_LIMIT)
    } catch {
      // A failing store reports the failure to its callers. This timer has none.
    }
  }, SWEEP_EVERY_MS)
  timer.unref()
  let writes = 0
  const write = sharing((works) =>
    environment.atomically(() => {
      for (const work of works) {
        if (++writes % WRITES_PER_SWEEP === 0) sweep(environment, now(), ENTRIES_PER_SWEEP)
        work()
      }
    }),
  )
  return {
    connect: () => connect(environment, write, newEpoch),
    sweep() {
      while (sweepUpTo(SWEEP_LIMIT));
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await environment.close()
    },
  }
}

/**
 * `at once`: for calls that a caller awaits one after the other, like those of one task. `this turn`: runs once all requests of
 * this turn have arrived.
 */
type Writes = <T>(work: () => T, when?: 'at once' | 'this turn') => Promise<T>

/**
 * Requests of one turn of the event loop share a transaction, in the order in which they were made. So many decisions cost less, and no
 * request waits for a timer. `run` does all of it or nothing.
 */
function sharing(run: (works: readonly (() => void)[]) => void): Writes {
  let waiting: { work(): void; answer(): void; fail(error: unknown): void }[] = []
  const flush = () => {
    const batch = waiting
    waiting = []
    if (batch.length === 0) return // already run with an urgent request
    try {
      run(batch.map(({ work }) => work))
    } catch (error) {
      for (const { fail } of batch) fail(error)
      return
    }
    for (const { answer } of batch) answer()
  }
  return <T>(work: () => T, when: 'at once' | 'this turn' = 'at once') =>
    new Promise<T>((resolve, fail) => {
      let done: T
      waiting.push({
        work() {
          done = work()
        },
        answer: () => resolve(done),
        fail,
      })
      // After the microtasks: callers that they wake make their requests before that.
      if (when === 'at once') process.nextTick(flush)
      // Requests are read one by one, each with its own microtasks.
      else if (waiting.length === 1) setImmediate(flush)
    })
}

function connect(environment: Environment, write: Writes, newEpoch: () => string): GrantStore {
  const { meta, trees, takes, proofs, counters, expiries } = environment
  let adopted: string | undefined

  /** The epoch, if it is still the one adopted here. */
  const epoch = () => {
    const current = meta.get('epoch')
    return current === adopted ? current : undefined
  }
  /** The tree, if it was put under the epoch adopted here. */
  const ownTree = (key: string): TreeRecord | undefined => {
    const record = trees.get(key)
    return record !== undefined && record[0] === epoch() ? record : undefined
  }
  const put = (key: string, current: string, tree: TreeState) => {
    const generation = (trees.get(key)?.[1] ?? 0) + 1
    trees.putSync(key, treeRecord(current, generation, tree))
    expiries.putSync([tree.expiresAt, 'tree', key], true)
    return true
  }

  return {
    epoch: async () => environment.atomically(epoch),

    async adopt() {
      const current = environment.atomically(() => {
        const found = meta.get('epoch')
        if (found !== undefined) return found
        const made = newEpoch()
        meta.putSync('epoch', made)
        return made
      })
      adopted = current
      return current
    },

    async refill(root, tree) {
      const key = digest(root)
      amountPairs(tree.left)
      return write(() => {
        const current = epoch()
        if (current === undefined) return false
        const record = ownTree(key)
        return (record === undefined || record[2] < tree.version) && put(key, current, tree)
      })
    },

    async reset(root, tree) {
      const key = digest(root)
      amountPairs(tree.left)
      return write(() => {
        const current = epoch()
        return current !== undefined && put(key, current, tree)
      })
    },

    async get(root) {
      const record = environment.atomically(() => ownTree(digest(root)))
      return record && treeState(record)
    },

    async advance(root, take: Take): Promise<AdvanceOutcome> {
      const key = digest(root)
      const takeKey: [string, string] = [key, digest(take.takeId)]
      const wanted = amountPairs(take.amounts)
      if (!(take.to > take.from)) throw new ServiceError('internal', 'a take must lead to a newer version')
      return write(() => {
        const record = ownTree(key)
        if (record === undefined) return { outcome: 'absent' }
        const [current, generation, version, expiresAt, left, labels] = record
        if (take.now >= expiresAt) return { outcome: 'expired' }
        if (takes.get(takeKey)?.[0] === generation) return { outcome: 'advanced' }
        if (version !== take.from) return { outcome: version > take.from ? 'ahead' : 'behind', version }

        const remaining = new Map(left)
        const reserved: AmountPairs = []
        for (const [resource, amount] of wanted) {
          const available = remaining.get(resource)
          if (available === undefined) continue
          if (available < amount) return { outcome: 'exhausted', resource }
          remaining.set(resource, available - amount)
          reserved.push([resource, amount])
        }
        takes.putSync(takeKey, [generation, false, reserved])
        const touched = [...new Set([...labels, ...take.labels])]
        trees.putSync(key, [current, generation, take.to, expiresAt, [...remaining], touched])
        return { outcome: 'advanced' }
      })
    },

    async settle(root, settled: Settlement) {
      const key = digest(root)
      const takeKey: [string, string] = [key, digest(settled.takeId)]
      const giveBack = new Map(amountPairs(settled.giveBack))
      await write(() => {
        const record = ownTree(key)
        const take = takes.get(takeKey)
        if (record === undefined || take === undefined) return
        const [current, generation, version, expiresAt, left, labels] = record
        const [takenIn, alreadySettled, reserved] = take
        if (takenIn !== generation || alreadySettled || settled.to > version + 1) return

        const most = new Map(reserved)
        const remaining = left.map(([resource, amount]): [string, bigint] => [
          resource,
          amount + least(most.get(resource) ?? 0n, giveBack.get(resource) ?? 0n),
        ])
        takes.putSync(takeKey, [generation, true, []])
        trees.putSync(key, [current, generation, Math.max(version, settled.to), expiresAt, remaining, labels])
      })
    },

    async remember(proofId, now, expiresAt) {
      const key = digest(proofId)
      return write(() => {
        if (epoch() === undefined) return undefined
        if (expiresAt <= now || (proofs.get(key) ?? 0) > now) return false
        proofs.putSync(key, expiresAt)
        expiries.putSync([expiresAt, 'proof', key], true)
        return true
      }, 'this turn')
    },

    async count(subject, windowMs, now) {
      const window = Math.floor(now / windowMs)
      const key: [string, number, number] = [digest(subject), windowMs, window]
      return write(() => {
        const count = (counters.get(key) ?? 0) + 1
        counters.putSync(key, count)
        if (count === 1) expiries.putSync([(window + 1) * windowMs, 'counter', ...key], true)
        return count
      })
    },

    async [Symbol.asyncDispose]() {
      adopted = undefined
    },
  }
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
