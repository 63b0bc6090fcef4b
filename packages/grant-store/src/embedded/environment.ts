import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { type Database, open } from 'lmdb'
import type { TakeRecord, TreeRecord } from './tree-record.ts'

/** What an expiry entry points at: when, what kind of thing, and its key. The order of these keys is the order of sweeping. */
export type ExpiryKey =
  | [at: number, kind: 'tree', tree: string]
  | [at: number, kind: 'proof', proof: string]
  | [at: number, kind: 'counter', ...CounterKey]
type CounterKey = [subject: string, windowMs: number, window: number]

/** One lmdb environment: what a Redis server is to its clients. Keys are digests, so that ids may be any text. */
export interface Environment {
  meta: Database<string, 'epoch'>
  trees: Database<TreeRecord, string>
  takes: Database<TakeRecord, [tree: string, take: string]>
  /** Proof id → until when it is remembered. */
  proofs: Database<number, string>
  counters: Database<number, CounterKey>
  expiries: Database<true, ExpiryKey>
  /** Runs `work` as one transaction: all of it or, when it throws, nothing. @throws ServiceError `outcome_unknown`. */
  atomically<T>(work: () => T): T
  close(): Promise<void>
}

/** Keeps other users of this machine from reading the grants, even where the folder is a mount that is open to all. lmdb's types lack this setting. */
const ownerOnly: object = { permissionsMode: 0o600 }

/**
 * Opens `dir`, and with it starts a new run: the epoch of the last one is taken away, from instances that still use it too.
 *
 * Transactions are synchronous and never synced to disk: 11 µs each, where lmdb's asynchronous ones take 126 µs and durable
 * ones far more, and this is on the path of every decision while nothing here needs to survive the machine. The price: after
 * a crash of the machine the file may be torn, and lmdb crashes the process on a file that is not its own (seen: SIGSEGV).
 * So what another boot wrote is never opened, nor what does not begin as lmdb does: it is as good as empty.
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

/** The name of this boot of the machine; `undefined` where the system does not tell (then nothing outlives a process). */
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

/** Whether the first meta page bears lmdb's magic, at byte 24 in lmdb 3.5 (another place only means an empty store). */
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

/** Removes the data first, then says whose the next is: a crash in between removes once more. */
function forget(path: string, dir: string): void {
  for (const file of [path, `${path}-lock`]) rmSync(file, { force: true })
  writeFileSync(join(dir, 'boot_id'), bootId() ?? '')
}
