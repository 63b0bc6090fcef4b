import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { type Database, open } from 'lmdb'
import type { TakeRecord, TreeRecord } from './tree-record.ts'

/** An expiry entry: the time, the kind of thing, and its key. Sweeping follows the order of these keys. */
export type ExpiryKey =
  | [at: number, kind: 'tree', tree: string]
  | [at: number, kind: 'proof', proof: string]
  | [at: number, kind: 'counter', ...CounterKey]
type CounterKey = [subject: string, windowMs: number, window: number]

/** One lmdb environment: to this process what a Redis server is to its clients. Keys are digests, so that ids may be any text. */
export interface Environment {
  meta: Database<string, 'epoch'>
  trees: Database<TreeRecord, string>
  takes: Database<TakeRecord, [tree: string, take: string]>
  /** Proof id → the time until which it is remembered. */
  proofs: Database<number, string>
  counters: Database<number, CounterKey>
  expiries: Database<true, ExpiryKey>
  /** Runs `work` as one transaction: all of it or, if it throws, nothing. @throws ServiceError `outcome_unknown`. */
  atomically<T>(work: () => T): T
  close(): Promise<void>
}

/**
 * Keeps other users of this machine from reading the grants, even if the folder is a mount that is open to all. lmdb's types lack
 * this setting.
 */
const ownerOnly: object = { permissionsMode: 0o600 }

/**
 * Opens `dir` and starts a new run: the epoch of the last run is removed, also for instances that still use it.
 *
 * Transactions are synchronous and never synced to disk. They take 11 µs each, where lmdb's asynchronous ones take 126 µs and durable
 * ones far more. This is on the path of every decision, and nothing here needs to survive the machine. The price: after
 * a crash of the machine the file may be torn, and lmdb crashes the process on a file that is not its own (seen: SIGSEGV).
 * So a file that another boot wrote, or that does not begin like an lmdb file, is never opened: it counts as empty.
 */
export function openEnvironment(dir: string): Environment {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const path = join(dir, 'grants.mdb')
  if (!isOfThisBoot(dir) || !isLmdb(path)) forget(path, dir)
  const root = open(path, { noSubdir: true, noSync: true, overlappingSync: false, maxDbs: 8, ...ownerOnly })
  // Earlier versions made the files readable to all.
  for (const file of [path, `${path}-lock`]) chmodSync(file, 0o600)
  const environment: Environment = {
    meta: root.openDB({ name: 'meta' }),
    trees: root.openDB({ name: 'trees' }),
    takes: root.openDB({ name: 'takes' }),
    proofs: root.openDB({ name: 'proofs' }),
    counters: root.openDB({ name: 'counters' }),
    expiries: root.openDB({ name: 'expiries' }),
    atomically(work) {
      try {
        return root.transactionSync(work)
      } catch (cause) {
        throw new ServiceError('outcome_unknown', 'the grant store does not answer', { cause })
      }
    },
    close: () => root.close(),
  }
  environment.atomically(() => environment.meta.removeSync('epoch'))
  return environment
}

/** The name of this boot of the machine; `undefined` if the system does not tell (then nothing outlives a process). */
function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return undefined
  }
}

function isOfThisBoot(dir: string): boolean {
  try {
    return readFileSync(join(dir, 'boot_id'), 'utf8') === bootId()
  } catch {
    return false
  }
}

/**
 * Whether the first meta page has lmdb's magic number, at byte 24 in lmdb 3.5 (if it were elsewhere, the store would only count as empty).
 */
function isLmdb(path: string): boolean {
  const start = Buffer.alloc(28)
  try {
    const file = openSync(path, 'r')
    try {
      readSync(file, start)
    } finally {
      closeSync(file)
    }
  } catch {
    return false
  }
  return start.readUInt32LE(24) === 0xbeefc0de
}

/** Removes the data first, then records the new owner. After a crash in between, the data is removed once more. */
function forget(path: string, dir: string): void {
  for (const file of [path, `${path}-lock`]) rmSync(file, { force: true })
  writeFileSync(join(dir, 'boot_id'), bootId() ?? '')
}
