import { systemClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { LogFolder, logKey, unsynced } from '../log.fixture.ts'
import { Log } from '../log.ts'
import { type FsWrite, faultyFs, type Side } from './faulty-fs.fixture.ts'

const entries = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => Buffer.from(`entry ${from + n}`))
const now = () => systemClock.now()

/** Appends until something breaks, like a process that then ends. Returns what it found, how much was acknowledged and whether it ended. */
async function grow(folder: LogFolder, plan: (write: FsWrite) => Side | undefined) {
  let [found, acknowledged, ended] = [0, 0, true]
  const storage = await folder.open(faultyFs(unsynced, plan)).catch(() => undefined)
  if (storage === undefined) return { found, acknowledged, ended }
  try {
    const log = await Log.open(storage, logKey, now)
    found = acknowledged = log.size
    // Appends past the end of a tile, and on to the batch that removes its partial tiles.
    for (const to of [3, 255, 260, 261, 262]) {
      if (to <= log.size) continue
      await log.append(entries(log.size, to), {})
      acknowledged = log.size
    }
    ended = false
  } catch {
    // The process ends.
  } finally {
    await storage[Symbol.asyncDispose]()
  }
  return { found, acknowledged, ended }
}

it.each<[Side]>([['before'], ['after']])(
  'loses and doubles nothing whichever write or fsync fails, %s its effect (V2, V14)',
  { timeout: 120_000 },
  async (side) => {
    const met = new Map<string, number>()
    const goneOn = new Set<string>()
    for (let n = 0, broke = true; broke; n++) {
      broke = false
      using folder = new LogFolder()
      let call = ''
      const { acknowledged, ended } = await grow(folder, (write) => {
        if (write.n !== n) return undefined
        broke = true
        call = write.call
        met.set(write.call, (met.get(write.call) ?? 0) + 1)
        return side
      })
      // If mkdir reported an error but the folder exists, going on is correct.
      if (broke && !ended && call !== 'mkdir') goneOn.add(call)
      // The next start repairs what it finds by the steps of every start.
      const mended = await grow(folder, () => undefined)
      expect(mended.acknowledged, `${n}`).toBe(262)
      expect(mended.found, `${n}`).toBeGreaterThanOrEqual(acknowledged)
      const checked = await folder.check()
      expect(checked, `${n}`).toMatchObject({ ok: true, size: 262 })
      expect(checked.entries, `${n}`).toEqual(entries(0, 262).map(String))
    }
    // After a failed fsync it is unknown what is durable. A process that goes on would acknowledge leaves that a power cut takes back.
    expect([...goneOn]).toEqual([])
    // Checks that each kind of call happened at all.
    for (const call of ['open', 'write', 'sync', 'rename', 'unlink', 'mkdir', 'rmdir'])
      expect(met.get(call), call).toBeGreaterThan(0)
    expect(met.get('sync')).toBeGreaterThan(20)
  },
)
