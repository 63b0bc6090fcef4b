import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { saltedHash } from '@bailiwick/credentials'
import { seededRandom } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { type FsWrite, faultyFs, type Side } from '../log/disk/faulty-fs.fixture.ts'
import type { LogFs } from '../log/disk/log-fs.ts'
import { PowerCutDisk } from '../log/disk/power-cut.fixture.ts'
import { unsynced } from '../log/log.fixture.ts'
import { ValueStore } from './value-store.ts'

const topic = 'attachments.approval.v1'
const value = (n: number) => ({ salt: Buffer.alloc(16, n).toString('base64url'), text: `CANARY-${n}` })
const hashOf = (n: number) => saltedHash(value(n)) ?? ''
const mark = (reason: string) => ({ erased_at: '2026-11-27T08:00:00.000Z', by: 'operator', reason })

/** The messages of the bus, in order. Each is done only once it is acknowledged; otherwise it comes again after a start. */
const brought: ((store: ValueStore) => Promise<unknown>)[] = [
  (store) => store.keep(topic, hashOf(0), value(0)),
  (store) => store.keep(topic, hashOf(1), value(1)),
  (store) => store.erase(topic, hashOf(0), mark('secret')),
  (store) => store.keep(topic, hashOf(0), value(0)),
  (store) => store.erase(topic, hashOf(0), mark('other')),
  (store) => store.erase(topic, hashOf(2), mark('secret')),
  (store) => store.keep(topic, hashOf(2), value(2)),
]
const statesAfter = (acknowledged: number) => [
  acknowledged < 1 ? 'any' : acknowledged < 3 ? 'kept' : 'erased',
  acknowledged < 2 ? 'any' : 'held',
  acknowledged < 6 ? 'any' : 'erased',
]

/** Takes messages until something breaks, like a process that then ends. Returns how many were acknowledged. */
async function take(fs: LogFs, home: string, from: number): Promise<number> {
  let acknowledged = from
  try {
    const store = await ValueStore.open(join(home, 'values'), [topic], fs)
    for (const next of brought.slice(from)) {
      await next(store)
      acknowledged++
    }
  } catch {
    // The process ends.
  }
  return acknowledged
}

/** Checks what a start finds if the power is cut now: anything that was not synced may be there or not. */
async function expectDurable(disk: PowerCutDisk, acknowledged: number, about: string): Promise<void> {
  const draws: (() => number)[] = [() => 0, () => 0.99]
  for (const seed of [1, 2]) {
    const random = seededRandom(seed)
    draws.push(() => (random(1)[0] ?? 0) / 256)
  }
  for (const draw of draws) {
    const home = mkdtempSync(join(tmpdir(), 'values-'))
    try {
      disk.recover(home, draw)
      const store = await ValueStore.open(join(home, 'values'), [topic], unsynced)
      for (const [n, expected] of statesAfter(acknowledged).entries()) {
        const { state } = await store.find(topic, hashOf(n))
        // Its erasure may have arrived without being acknowledged.
        if (expected === 'kept') expect(['held', 'erased'], about).toContain(state)
        else if (expected !== 'any') expect(state, about).toBe(expected)
        if (expected !== 'erased') continue
        const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
        for (const { parentPath, name } of files)
          expect(readFileSync(join(parentPath, name), 'utf8'), about).not.toContain(value(n).text)
      }
    } finally {
      rmSync(home, { recursive: true })
    }
  }
}

it.each<[Side]>([['before'], ['after']])(
  'keeps and erases for good what it says, whichever write or fsync fails, %s its effect, and the power after that (V17)',
  async (side) => {
    const home = '/disk'
    const met = new Set<string>()
    for (let n = 0, broke = true; broke; n++) {
      broke = false
      const disk = new PowerCutDisk(home)
      let call = ''
      const plan = (write: FsWrite) => {
        if (write.n !== n) return undefined
        broke = true
        call = write.call
        met.add(call)
        return side
      }
      const acknowledged = await take(faultyFs(disk, plan), home, 0)
      const about = `${n}: ${call} ${side}`
      await expectDurable(disk, acknowledged, about)
      // The next start is brought what was not acknowledged, on the disk as it is.
      expect(await take(disk, home, acknowledged), about).toBe(brought.length)
      await expectDurable(disk, brought.length, about)
    }
    expect([...met].sort()).toEqual(['mkdir', 'open', 'rename', 'sync', 'write'])
  },
)

it('removes what a crash left half-written, since no erasure would find it (V17)', async () => {
  const disk = new PowerCutDisk('/disk')
  await take(disk, '/disk', 0)
  const folder = `/disk/values/${topic}`
  const file = await disk.open(`${folder}/.${hashOf(3)}.00.tmp`, 'wx')
  await file.write(Buffer.from(value(3).text), 0, value(3).text.length)
  await ValueStore.open('/disk/values', [topic], disk)
  expect((await disk.readdir(folder)).sort()).toEqual([hashOf(0), hashOf(1), hashOf(2)].sort())
})
