import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@bailiwick/kit'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LogFolder, logKey } from '../log.fixture.ts'
import { Log } from '../log.ts'
import { diskLogStorage } from './disk-log-storage.ts'
import { PowerCutDisk } from './power-cut.fixture.ts'

const entries = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => Buffer.from(`entry ${from + n}`))
const now = () => systemClock.now()

/** Appends batches on a disk until its power is gone. Returns what was acknowledged, and what was under way. */
async function growOn(disk: PowerCutDisk, home: string, batches: readonly number[]) {
  const grown = { acknowledged: 0, underway: 0 }
  const storage = await diskLogStorage({ log: join(home, 'log'), dir: home, fs: disk }).catch(() => undefined)
  if (storage === undefined) return grown
  try {
    const log = await Log.open(storage, logKey, now)
    for (const batch of batches) {
      grown.underway = log.size + batch
      await log.append(entries(log.size, log.size + batch), {})
      grown.acknowledged = log.size
    }
  } catch (error) {
    if (!disk.isCut) throw error
  } finally {
    await storage[Symbol.asyncDispose]()
  }
  return grown
}

function withHome<T>(use: (home: string) => Promise<T>): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), 'evidence-power-'))
  return use(home).finally(() => rmSync(home, { recursive: true, force: true }))
}

it('has all that was acknowledged, and verifies before it is started again, after a power cut at any step (V2, V14)', {
  timeout: 120_000,
}, async () => {
  const anyNumber = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 }),
      anyNumber,
      fc.constantFrom('before', 'after'),
      fc.infiniteStream(anyNumber),
      async (batches, when, side, chances) => {
        const random = () => chances.next().value
        await withHome(async (home) => {
          const whole = new PowerCutDisk(home)
          await growOn(whole, home, batches)
          const cutAt = Math.floor(when * whole.steps)
          const disk = new PowerCutDisk(home, cutAt, side)
          const { acknowledged, underway } = await growOn(disk, home, batches)
          using folder = new LogFolder()
          disk.recover(folder.dir, random)
          // A file server may serve the files as they are, before a start repairs them.
          const found = acknowledged === 0 ? undefined : await folder.check()
          if (found !== undefined) expect(found).toMatchObject({ ok: true })
          await using storage = await folder.open()
          const log = await Log.open(storage, logKey, now)
          expect([acknowledged, underway]).toContain(log.size)
          await log.append([Buffer.from('other')], {})
          const checked = await folder.check()
          expect(checked).toMatchObject({ ok: true, size: log.size })
          expect(checked.entries).toEqual([...entries(0, log.size - 1).map(String), 'other'])
        })
      },
    ),
    { numRuns: 80 },
  )
})
