import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { diskLogStorage } from '@bailiwick/evidence/disk-log-storage'
import { type LogFs, systemLogFs } from '@bailiwick/evidence/log-fs'
import { type LogWriter, openLogWriter } from '@bailiwick/evidence/log-writer'
import { systemClock } from '@bailiwick/kit'
import { encodeVkey, leafHash, MAX_ENTRY_BYTES, SIGNATURE_TYPE, SignerKey } from '@bailiwick/tlog'
import { entryMaker, shortestEntry } from './log-entries.ts'
import { median, percentile, timed } from './measure.ts'
import { AppendedFile } from './physical.ts'

const usage = `bailiwick bench log --writers W --seconds S --size BYTES --dir DIR --acks FILE [--json]

Appends to a new log as the evidence service does, by the same code and the same flushes: a writer's entry is acknowledged once
it is durable and has its index, which no crash takes back. Tiles, tree head and checkpoint follow by themselves: the time is
taken, and the rate counted, until all entries are under a checkpoint.
  --writers W    each has one entry on its way (1)
  --seconds S    how long they send; what is on its way then is waited for (10)
  --entries N    of all writers together: then they end, however many seconds are left
  --size BYTES   of each entry, ${shortestEntry} to ${MAX_ENTRY_BYTES} (1000)
  --dir DIR      the log: must not exist, and is a finished C2SP tlog-tiles log afterwards. Its lock and its tree head stand in
                 DIR.state meanwhile
  --acks FILE    a line for each acknowledged entry: its index, a space, its leaf hash (RFC 6962) in hexadecimal
  --json         the last line is {"entries","seconds","entries_per_s","p50_ms","p99_ms","ack","vkey"}; the one before has what
                 the disk does by itself, how many flushes of the log's files an entry took, and the memory of this process`

export interface LogBench {
  writers: number
  seconds: number
  entries?: number
  size: number
  dir: string
  acks: string
}

export interface LogBenchResult {
  entries: number
  seconds: number
  entriesPerSecond: number
  p50Ms: number
  p99Ms: number
  vkey: string
  /** Median of appending as many bytes to a plain file with an fdatasync, before and after, in the same folder, ms. */
  fdatasyncMs: number
  /** fdatasync and fsync of the log's files, for each entry. */
  flushes: number
  /** Memory of the process without mapped files, by acknowledged entries. */
  memory: { entries: number; mib: number }[]
}

/** Runs `bench log`. Its exit code is 2 when it could not run, or not to its end. */
export async function benchLogCommand(args: string[]): Promise<number> {
  const options = parse(args)
  if (options === '') {
    console.log(usage)
    return 0
  }
  if (typeof options === 'string') {
    console.error(`${options}\n\n${usage}`)
    return 2
  }
  try {
    tell(await benchLog(options), options.json)
    return 0
  } catch (error) {
    console.error(`bailiwick bench log: ${error instanceof Error ? error.message : String(error)}`)
    return 2
  }
}

function tell(result: LogBenchResult, json: boolean): void {
  const { entries, seconds, entriesPerSecond, p50Ms, p99Ms, vkey, fdatasyncMs, flushes, memory } = result
  if (json) {
    const disk = { fdatasync_per_s: round(1000 / fdatasyncMs), fdatasync_ms: round(fdatasyncMs) }
    console.log(JSON.stringify({ ...disk, flushes_per_entry: round(flushes), memory }))
    const rates = { entries_per_s: round(entriesPerSecond), p50_ms: round(p50Ms), p99_ms: round(p99Ms) }
    console.log(JSON.stringify({ entries, seconds: round(seconds), ...rates, ack: 'durable', vkey }))
    return
  }
  console.log(
    `${entries} entries in ${seconds.toFixed(2)} s: ${round(entriesPerSecond)} /s, all under a checkpoint; each acknowledged when durable`,
  )
  console.log(
    `p50 ${round(p50Ms)} ms, p99 ${round(p99Ms)} ms; a plain append and fdatasync ${round(fdatasyncMs)} ms; ${round(flushes)} flushes an entry`,
  )
  for (const { entries: at, mib } of memory) console.log(`memory after ${at} entries: ${mib} MiB`)
  console.log(`vkey ${vkey}`)
}

/** Appends for some seconds to a log that remains afterwards. */
export async function benchLog({ writers, seconds, entries, size, dir, acks }: LogBench): Promise<LogBenchResult> {
  const state = `${resolve(dir)}.state`
  for (const place of [dir, state]) if (existsSync(place)) throw new Error(`${place} is there already`)
  // Before anything is made that would have to be removed again.
  const told = new Acknowledged(acks, entries)
  mkdirSync(dirname(state), { recursive: true })
  mkdirSync(state)
  const key = new SignerKey(`bench.example/${randomBytes(4).toString('hex')}`, randomBytes(32), SIGNATURE_TYPE.ED25519)
  const before = await fdatasyncs(state, size)
  const failed = Promise.withResolvers<never>()
  const clock = systemClock
  const counted = countFlushes(systemLogFs)
  const storage = await diskLogStorage({ log: resolve(dir), dir: state, fs: counted.fs })
  const index = `${state}/index`
  const writer = await openLogWriter({
    storage,
    key,
    index,
    clock,
    onFatal: failed.reject,
    onPublished: () => undefined,
  })
  const began = clock.monotonic()
  const until = began + seconds * 1000
  const entryOf = entryMaker(size)
  const all = Array.from({ length: writers }, (_, w) => send(writer, w, entryOf, until, told))
  await Promise.race([Promise.all(all), failed.promise])
  told.close()
  await writer.sequencer[Symbol.asyncDispose]()
  const tookMs = clock.monotonic() - began
  await writer[Symbol.asyncDispose]()
  await storage[Symbol.asyncDispose]()
  const after = await fdatasyncs(state, size)
  rmSync(state, { recursive: true })
  return {
    entries: told.entries,
    seconds: tookMs / 1000,
    entriesPerSecond: (told.entries * 1000) / tookMs,
    p50Ms: median(told.latencies),
    p99Ms: percentile(told.latencies, 0.99),
    vkey: encodeVkey(key.verifier),
    fdatasyncMs: median([...before, ...after]),
    flushes: counted.flushes() / told.entries,
    memory: told.memory,
  }
}

async function send(
  { sequencer }: LogWriter,
  w: number,
  entryOf: (writer: number, n: number) => Uint8Array,
  until: number,
  told: Acknowledged,
): Promise<void> {
  for (let n = 0; systemClock.monotonic() < until && told.begin(); n++) {
    const entry = entryOf(w, n)
    const sent = systemClock.monotonic()
    const index = await sequencer.add(entry, { topic: 'bench', partition: w % 16, offset: n })
    told.tell(index, entry, systemClock.monotonic() - sent)
  }
}

/** Writes down the acknowledged entries, one turn of the event loop at a time, and never earlier. */
class Acknowledged {
  entries = 0
  readonly latencies: number[] = []
  readonly memory: { entries: number; mib: number }[] = []
  readonly #file: number
  readonly #most: number
  #begun = 0
  #lines = ''

  constructor(file: string, most = Number.POSITIVE_INFINITY) {
    this.#file = openSync(file, 'w')
    this.#most = most
  }

  /** Whether there is another entry to send. */
  begin(): boolean {
    return this.#begun++ < this.#most
  }

  tell(index: number, entry: Uint8Array, ms: number): void {
    if (this.#lines === '') setImmediate(() => this.#flush())
    this.#lines += `${index} ${Buffer.from(leafHash(entry)).toString('hex')}\n`
    this.latencies.push(ms)
    if (++this.entries % (this.entries > 100_000 ? 100_000 : 10_000) > 0) return
    this.memory.push({ entries: this.entries, mib: ownMemoryMiB() })
  }

  close(): void {
    this.#flush()
    closeSync(this.#file)
  }

  #flush(): void {
    const lines = Buffer.from(this.#lines)
    this.#lines = ''
    for (let at = 0; at < lines.length; ) at += writeSync(this.#file, lines, at)
  }
}

/** The memory of the process itself: the system can reclaim the mapped pages of the index file. */
function ownMemoryMiB(): number {
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(readStatus())?.[1]
  return Math.round(kib === undefined ? process.memoryUsage.rss() / 2 ** 20 : Number(kib) / 2 ** 10)
}

function readStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'utf8')
  } catch {
    return '' // no Linux
  }
}

/** The file system, with a count of the flushes of files and folders. */
function countFlushes(real: LogFs): { fs: LogFs; flushes: () => number } {
  let count = 0
  const counting = (flush: () => Promise<void>) => () => {
    count++
    return flush()
  }
  const open: LogFs['open'] = async (path, flags, mode) => {
    const handle = await real.open(path, flags, mode)
    return { ...handle, sync: counting(handle.sync), datasync: counting(handle.datasync) }
  }
  return { fs: { ...real, open }, flushes: () => count }
}

async function fdatasyncs(dir: string, size: number): Promise<number[]> {
  using file = new AppendedFile(dir)
  const bytes = randomBytes(size)
  const each: number[] = []
  for (let n = 0; n < 200; n++) each.push(await timed(() => file.append(bytes)))
  return each
}

/** The fault of the options; undefined when there is none, or when they ask for help. */
function parse(args: string[]): (LogBench & { json: boolean }) | string {
  try {
    const { values } = parseArgs({
      args,
      options: {
        writers: { type: 'string', default: '1' },
        seconds: { type: 'string', default: '10' },
        entries: { type: 'string' },
        size: { type: 'string', default: '1000' },
        dir: { type: 'string' },
        acks: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return ''
    const [writers, seconds, size] = [Number(values.writers), Number(values.seconds), Number(values.size)]
    const { dir, acks, json } = values
    const entries = values.entries === undefined ? Number.POSITIVE_INFINITY : Number(values.entries)
    if (!(Number.isInteger(writers) && writers > 0 && writers <= 16_384)) return `--writers ${values.writers}`
    if (!(seconds > 0 && seconds <= 86_400)) return `--seconds ${values.seconds}`
    if (!(entries >= 1)) return `--entries ${values.entries}`
    if (!(Number.isInteger(size) && size >= shortestEntry && size <= MAX_ENTRY_BYTES)) return `--size ${values.size}`
    if (dir === undefined || acks === undefined) return '--dir and --acks are needed'
    if (existsSync(dir)) return `--dir ${dir} is there already`
    return { writers, seconds, entries, size, dir, acks, json }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const round = (value: number): number => Number(value.toPrecision(6))
