import { randomUUID } from 'node:crypto'
import { ServiceError } from '@bailiwick/errors'
import { amountPairs } from '../amount-pairs.ts'
import { digest } from '../digest.ts'
import type { AdvanceOutcome, Amounts, GrantStore, TreeState } from '../grant-store.ts'
import { type GrantStoreLogger, openConnection } from './connection.ts'
import { scripts } from './scripts.ts'

export interface RedisGrantStoreOptions {
  /** `redis[s]://[user:password@]host[:port][/database]`: the primary, or a proxy that leads to it. */
  url: string
  /** For `rediss://`: the PEM text of the authorities to trust. Default: the system's own. */
  tls?: { ca: string }
  logger: GrantStoreLogger
  /** The prefix of every key. Installations that share a Redis must use different ones. */
  namespace?: string
  /** Makes an epoch; unique and unguessable. */
  newEpoch?: () => string
  /** ms, for each call. After a call that took longer, the connection is closed and made anew. */
  deadlineMs?: number
  /** ms between two checks of the server's settings. */
  watchMs?: number
  /** ms of a clock that never goes back, for the log line that says how long the store was unavailable. */
  monotonic?: () => number
}

export interface RedisGrantStore extends GrantStore {
  /** Why decisions currently use the log alone, for the health check and for people; `undefined` if they do not. */
  unhealthy(): string | undefined
}

/** How long things are kept after their expiry: longer than the clocks of two instances may differ. */
const GRACE_MS = 60_000

/**
 * The grant store that several instances share: one Redis 7 primary, or a Valkey, with `maxmemory-policy noeviction`.
 *
 * Resolves even if Redis is unavailable, which the port's callers tolerate. It then connects as soon as Redis is back, with
 * back-off up to 1 s. Every call is one script and has a deadline. It is never queued for an unavailable server, and never sent
 * twice. A replica's refusal (READONLY) becomes `outcome_unknown`, and the address is resolved and connected anew.
 *
 * Each script notices a loss by itself (`lua/run.lua`): another process, another history, or any evicted key is another
 * run. If a server's policy is changed while it runs, it is not believed from the next check on (`watchMs`), and `adopt` rejects
 * until the policy is set back. The scripts themselves notice keys that it evicted in between.
 *
 * Redis Cluster is not supported, and refused: every step needs the epoch and a tree. The keys of one tree still share a
 * slot, by their `{root}`. Persistence is of no use here. For the ACL of its user see the package's README.
 *
 * @throws ServiceError `config_invalid` if the server that answers refuses us or cannot be a grant store.
 */
export async function redisGrantStore(options: RedisGrantStoreOptions): Promise<RedisGrantStore> {
  const { namespace = 'bailiwick', newEpoch = randomUUID, deadlineMs = 250, watchMs = 1_000 } = options
  let adopted: string | undefined
  const connection = await openConnection({ ...options, deadlineMs, watchMs }, () => {
    adopted = undefined
  })
  const epochKey = `${namespace}:epoch`
  // The braces keep the keys of one tree in one slot.
  const keysOf = (root: string) => {
    const tree = `${namespace}:{${digest(root)}}`
    return [epochKey, `${tree}:tree`, `${tree}:takes`]
  }

  const put = async (script: typeof scripts.refill, root: string, tree: TreeState): Promise<boolean> => {
    const left = spelled(tree.left)
    const { version, expiresAt } = tree
    const times = [whole(version), whole(expiresAt), whole(expiresAt + GRACE_MS)]
    if (adopted === undefined) return false
    return (await connection.run(script, keysOf(root), [adopted, ...times, left, listed(tree.labels)])) === 1
  }

  return {
    unhealthy: () => connection.unhealthy(),

    async epoch() {
      const mine = adopted
      if (mine === undefined) return undefined
      return (await connection.run(scripts.epoch, [epochKey], [mine])) === 1 ? mine : undefined
    },

    async adopt() {
      await connection.check()
      const epoch = String(await connection.run(scripts.adopt, [epochKey], [newEpoch()]))
      adopted = epoch
      return epoch
    },

    refill: (root, tree) => put(scripts.refill, root, tree),
    reset: (root, tree) => put(scripts.reset, root, tree),

    async get(root) {
      if (adopted === undefined) return undefined
      const [epoch, tree] = keysOf(root) as [string, string, string]
      return treeState(await connection.run(scripts.get, [epoch, tree], [adopted]))
    },

    async advance(root, { takeId, from, to, amounts, labels, now }) {
      if (!(to > from)) throw new ServiceError('internal', 'a take must lead to a newer version')
      const take = [digest(takeId), whole(from), whole(to), String(now), spelled(amounts), listed(labels)]
      if (adopted === undefined) return { outcome: 'absent' }
      return outcomeOf(await connection.run(scripts.advance, keysOf(root), [adopted, ...take]))
    },

    async settle(root, { takeId, to, giveBack }) {
      const settled = [digest(takeId), whole(to), spelled(giveBack)]
      if (adopted === undefined) return
      await connection.run(scripts.settle, keysOf(root), [adopted, ...settled])
    },

    async remember(proofId, now, expiresAt) {
      if (adopted === undefined) return undefined
      const key = `${namespace}:proof:${digest(proofId)}`
      const times = [now, expiresAt, Math.ceil(expiresAt + GRACE_MS)].map(String)
      const answer = await connection.run(scripts.remember, [epochKey, key], [adopted, ...times])
      return answer === -1 ? undefined : answer === 1
    },

    async count(subject, windowMs, now) {
      const window = Math.floor(now / windowMs)
      const key = `${namespace}:count:${digest(subject)}:${windowMs}:${window}`
      const forgetAt = whole(Math.ceil((window + 1) * windowMs) + GRACE_MS)
      return Number(await connection.run(scripts.count, [key], [forgetAt]))
    },

    async [Symbol.asyncDispose]() {
      await connection[Symbol.asyncDispose]()
    },
  }
}

/** Lua counts versions and times in doubles, which are exact as long as the numbers are whole and safe. */
function whole(n: number): string {
  if (!Number.isSafeInteger(n)) throw new ServiceError('internal', 'a version or a time is not a whole number')
  return String(n)
}

/** As JSON of decimal strings: a number in Lua would be rounded beyond 2^53. */
function spelled(amounts: Amounts): string {
  return JSON.stringify(
    Object.fromEntries(amountPairs(amounts).map(([resource, n]) => [resource.toWellFormed(), `${n}`])),
  )
}

function listed(labels: readonly string[]): string {
  return JSON.stringify(labels.map((label) => label.toWellFormed()))
}

function outcomeOf(answer: unknown): AdvanceOutcome {
  const [outcome, what] = Array.isArray(answer) ? answer.map(String) : []
  switch (outcome) {
    case 'advanced':
    case 'expired':
    case 'absent':
      return { outcome }
    case 'ahead':
    case 'behind':
      return { outcome, version: Number(what) }
    case 'exhausted':
      return { outcome, resource: what ?? '' }
    default:
      throw new ServiceError('outcome_unknown', 'the grant store answers what it was not asked')
  }
}

function treeState(answer: unknown): TreeState | undefined {
  const flat = Array.isArray(answer) ? answer.map(String) : []
  if (flat.length === 0) return undefined
  const fields = new Map(flat.flatMap((name, n) => (n % 2 === 0 ? [[name, flat[n + 1] ?? ''] as const] : [])))
  const named = (prefix: string) =>
    [...fields].flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value] as const] : [],
    )
  return {
    version: Number(fields.get('version')),
    left: Object.fromEntries(named('left:').map(([resource, n]) => [resource, BigInt(n)])),
    labels: named('label:').map(([label]) => label),
    expiresAt: Number(fields.get('expires_at')),
  }
}
