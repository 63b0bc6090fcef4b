import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '@bailiwick/errors'
import { diskLogStorage } from '@bailiwick/evidence/disk-log-storage'
import { type LogWriter, openLogWriter } from '@bailiwick/evidence/log-writer'
import { systemClock } from '@bailiwick/kit'
import { encodeVkey, leafHash, SIGNATURE_TYPE, SignerKey } from '@bailiwick/tlog'
import { readLog } from '../../audit.ts'

// node disk-full.ts FOLDER: a log on the small file system at FOLDER, until that is full; then there is space again.
// Says as JSON what happened.

const [, , folder = ''] = process.argv
const key = new SignerKey('full.example/log', randomBytes(32), SIGNATURE_TYPE.ED25519)
const ballast = join(folder, 'ballast')
const rest = join(folder, 'rest')
mkdirSync(folder, { recursive: true })
writeFileSync(ballast, Buffer.alloc(14 * 2 ** 20))

/** The log lets few entries wait for others (decision 98). */
const atOnce = 64
const acknowledged = new Map<number, string>()
let sent = 0

interface Session {
  /** Why it did not open, or what the first refused entry was told; undefined when it had its number. */
  refused: string | undefined
  appended: number
}

/** A process of evidence: opens, appends up to `most` entries, and ends at the first refusal. */
async function session(most: number): Promise<Session> {
  let appended = 0
  const storage = await diskLogStorage({ log: join(folder, 'log'), dir: folder }).catch((error: unknown) => error)
  if (storage instanceof Error) return { refused: String(errorCode(storage)), appended }
  const log = storage as Awaited<ReturnType<typeof diskLogStorage>>
  let writer: LogWriter | undefined
  try {
    writer = await openLogWriter({
      storage: log,
      key,
      index: join(folder, 'index'),
      clock: systemClock,
      onFatal: () => undefined,
      onPublished: () => undefined,
    })
    const { sequencer } = writer
    const append = async () => {
      const n = sent++
      const id = `evt_${n}`
      const entry = Buffer.from(JSON.stringify({ id, data: {}, fill: randomBytes(100).toString('hex') }))
      const index = await sequencer.add(entry, { topic: 'bus', partition: 0, offset: n })
      acknowledged.set(index, Buffer.from(leafHash(entry)).toString('hex'))
      appended++
    }
    while (appended < most) {
      const all = await Promise.allSettled(Array.from({ length: Math.min(atOnce, most - appended) }, append))
      for (const each of all) if (each.status === 'rejected') throw each.reason
    }
    return { refused: undefined, appended }
  } catch (error) {
    return { refused: String(errorCode(error)), appended }
  } finally {
    await writer?.[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  }
}

/** What the log had outgrown goes behind its appends: the room of that is taken as well. */
function fillUp(file: string): void {
  const fd = openSync(file, 'w')
  try {
    for (const block = Buffer.alloc(4096); ; ) writeSync(fd, block)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(fd)
  }
}

const until = await session(100_000)
fillUp(rest)
const stillFull = [await session(1000), await session(1000)]
const { bavail, bsize } = statfsSync(folder)
rmSync(ballast)
rmSync(rest)
const resumed = await session(300)
const { entries, findings } = await readLog(join(folder, 'log'), encodeVkey(key.verifier))
const hashes = entries.map((entry) => Buffer.from(leafHash(entry)).toString('hex'))
const lost = [...acknowledged].filter(([index, hash]) => hashes[index] !== hash).length
console.log(
  JSON.stringify({
    until,
    stillFull,
    freeBytes: bavail * bsize,
    resumed,
    leaves: entries.length,
    acknowledged: acknowledged.size,
    lost,
    findings,
  }),
)
