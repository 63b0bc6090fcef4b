import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { diskLogStorage } from '@bailiwick/evidence/disk-log-storage'
import { openLogWriter } from '@bailiwick/evidence/log-writer'
import { systemClock } from '@bailiwick/kit'
import { decodeEntryBundle, encodeEntryBundle, type SignerKey } from '@bailiwick/tlog'

export type Random = () => number

/** A log as its watcher keeps it: its folder, and every checkpoint that it published. */
export interface WatchedLog {
  log: string
  /** Files of the checkpoints, oldest first; the last is the one of the log. */
  kept: string[]
}

/**
 * Grows the log in `folder` by batches of these sizes. `differs` changes the leaves, to make two logs of one key of
 * which one is a fork.
 */
export async function growLog(
  folder: string,
  key: SignerKey,
  batches: readonly number[],
  differs: string,
): Promise<WatchedLog> {
  mkdirSync(folder, { recursive: true })
  const log = join(folder, 'log')
  const kept: string[] = []
  const storage = await diskLogStorage({ log, dir: folder })
  const writer = await openLogWriter({
    storage,
    key,
    index: join(folder, 'index'),
    clock: systemClock,
    onFatal: (error) => Promise.reject(error),
    onPublished({ size, note }) {
      const file = join(folder, `checkpoint-${String(size).padStart(6, '0')}`)
      writeFileSync(file, note)
      kept.push(file)
    },
  })
  for (const batch of batches) {
    const first = writer.log.size
    const added = Array.from({ length: batch }, (_, n) => {
      const event = { id: `evt_${first + n}`, type: 't', source: '/issuer/a', subject: differs, data: { n: first + n } }
      return writer.sequencer.add(Buffer.from(JSON.stringify(event)), { topic: 'bus', partition: 0, offset: first + n })
    })
    await Promise.all(added)
  }
  await writer[Symbol.asyncDispose]()
  await storage[Symbol.asyncDispose]()
  return { log, kept }
}

/** What an adversary may have besides the log: its earlier state, and another log that the same key signed. */
export interface Adversary {
  random: Random
  earlier: string
  fork: string
}

type Mutation = (log: string, adversary: Adversary) => boolean

/** The kinds of damage. Each changes the log, or reports that it found nothing to change. */
export const mutations: Readonly<Record<string, Mutation>> = {
  'a bit is flipped': (log, { random }) => {
    const file = anyOf(filesOf(log), random)
    const bytes = readFileSync(file)
    const at = Math.floor(random() * bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8))
    writeFileSync(file, bytes)
    return true
  },
  'a file is cut': (log, { random }) => {
    const file = anyOf(filesOf(log), random)
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.subarray(0, Math.floor(random() * bytes.length)))
    return true
  },
  'a file is longer': (log, { random }) => {
    const file = anyOf(filesOf(log), random)
    writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.alloc(1 + Math.floor(random() * 40), 7)]))
    return true
  },
  'a file is gone': (log, { random }) => {
    // A partial tile may be deleted once the full one exists: that is not damage.
    const needed = filesOf(log).filter((file) => !file.includes('.p/') || !existsSync(file.replace(/\.p\/.*/, '')))
    rmSync(anyOf(needed, random))
    return true
  },
  'two files are swapped': (log, { random }) => {
    const files = filesOf(log)
    const [one, other] = [anyOf(files, random), anyOf(files, random)]
    const [a, b] = [readFileSync(one), readFileSync(other)]
    if (a.equals(b)) return false
    writeFileSync(one, b)
    writeFileSync(other, a)
    return true
  },
  'two entries are swapped': (log, { random }) =>
    changeBundle(log, random, (entries) => {
      const [i, j] = [Math.floor(random() * entries.length), Math.floor(random() * entries.length)]
      ;[entries[i], entries[j]] = [entries[j] as Uint8Array, entries[i] as Uint8Array]
      return i !== j
    }),
  'an entry is replayed in the place of another': (log, { random }) =>
    changeBundle(log, random, (entries) => {
      const [i, j] = [Math.floor(random() * entries.length), Math.floor(random() * entries.length)]
      entries[i] = entries[j] as Uint8Array
      return i !== j
    }),
  'the checkpoint is replayed': (log, { earlier }) => {
    copyFileSync(join(earlier, 'checkpoint'), join(log, 'checkpoint'))
    return true
  },
  'the log is rolled back': (log, { earlier }) => {
    rmSync(log, { recursive: true })
    cpSync(earlier, log, { recursive: true })
    return true
  },
  'the log is a fork by the same key': (log, { fork }) => {
    rmSync(log, { recursive: true })
    cpSync(fork, log, { recursive: true })
    return true
  },
  'a file of a fork is put in': (log, { random, fork }) => {
    const file = anyOf(filesOf(fork), random).slice(fork.length)
    const now = join(log, file)
    if (!existsSync(now) || readFileSync(now).equals(readFileSync(join(fork, file)))) return false
    copyFileSync(join(fork, file), now)
    return true
  },
}

function changeBundle(log: string, random: Random, change: (entries: Uint8Array[]) => boolean): boolean {
  const file = anyOf(
    filesOf(log).filter((each) => each.includes('/entries/')),
    random,
  )
  const width = Number(/\.p\/(\d+)$/.exec(file)?.[1] ?? 256)
  const entries = decodeEntryBundle(readFileSync(file), width) ?? []
  const copy = [...entries]
  if (!change(copy)) return false
  writeFileSync(file, encodeEntryBundle(copy))
  return true
}

function filesOf(log: string): string[] {
  return readdirSync(log, { recursive: true, encoding: 'utf8' })
    .map((name) => join(log, name))
    .filter((file) => statSync(file).isFile())
    .sort()
}

export const anyOf = <T>(values: readonly T[], random: Random): T => values[Math.floor(random() * values.length)] as T
