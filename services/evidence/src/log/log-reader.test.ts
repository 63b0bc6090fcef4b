import { systemClock } from '@bailiwick/kit'
import { encodeEntryBundle, leafHash, openTlogProof, tilePath } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { LogFolder, logKey } from './log.fixture.ts'
import { Log, type Published } from './log.ts'
import { logReader } from './log-reader.ts'

it('reads a bundle once for the leaves in it, and keeps no more than some bundles (V18)', async () => {
  const size = 256 * 40
  const bundle = encodeEntryBundle(Array.from({ length: 256 }, (_, n) => Buffer.alloc(4000, n)))
  const reads: string[] = []
  const storage = {
    async read(path: string) {
      reads.push(path)
      return bundle
    },
  }
  const published = { size, root: new Uint8Array(32), note: '' }
  const reader = logReader(storage, { indexOfEvent: () => undefined }, () => published)
  for (let at = 0; at < 256; at++) expect((await reader.leaf(at))?.[0]).toBe(at)
  expect(reads).toEqual([tilePath({ level: 'entries', index: 0, width: 256 })])
  for (let n = 1; n < 40; n++) await reader.leaf(n * 256)
  expect(reads).toHaveLength(40)
  // The newest bundles are still kept. The first ones were dropped for them.
  for (let n = 30; n < 40; n++) await reader.leaf(n * 256 + 1)
  expect(reads).toHaveLength(40)
  await reader.leaf(0)
  expect(reads).toHaveLength(41)
})

const texts = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => `entry ${from + n}`)

/** A log that was published at these sizes, and a reader of the last one. Event `evt_3` is leaf 3. */
async function aLog(folder: LogFolder, sizes: readonly number[], change = (bytes: Uint8Array, _: string) => bytes) {
  const published: Published[] = []
  {
    await using storage = await folder.open()
    const log = await Log.open(storage, logKey, () => systemClock.now())
    for (const [n, size] of sizes.entries())
      published.push(
        await log.append(
          texts(sizes[n - 1] ?? 0, size).map((text) => Buffer.from(text)),
          {},
        ),
      )
  }
  const reads: string[] = []
  const storage = {
    async read(path: string) {
      reads.push(path)
      const bytes = await folder.read(path)
      return bytes && change(bytes, path)
    },
  }
  const index = { indexOfEvent: (id: string) => (id === 'evt_none' ? undefined : Number(id.slice(4))) }
  const at = (n: number) => () => published[n] ?? expect.fail('no such checkpoint')
  return { storage, index, at, reads, reader: logReader(storage, index, at(sizes.length - 1)) }
}

it.each([
  [
    [300, 400],
    ['tile/0/000', 'tile/entries/000', 'tile/0/001.p/44', 'tile/entries/001.p/44', 'tile/1/000.p/1'],
  ],
  [
    [300, 600],
    ['tile/0/000', 'tile/entries/000', 'tile/1/000.p/1'],
  ],
])('serves what the first checkpoint of %j covers, and nothing beyond it (V14)', async (sizes, covered) => {
  using folder = new LogFolder()
  const { storage, index, at, reader } = await aLog(folder, sizes)
  const early = logReader(storage, index, at(0))
  const files = [...folder.files()]
  expect(files.map(([path]) => path)).toEqual(expect.arrayContaining(covered))
  for (const [path, bytes] of files) {
    expect(await reader.tile(path), path).toEqual(bytes)
    expect(await early.tile(path), path).toEqual(covered.includes(path) ? bytes : undefined)
  }
})

it('reads no path that names no tile', async () => {
  using folder = new LogFolder()
  const { reader, reads } = await aLog(folder, [3])
  for (const path of ['checkpoint', '../tree-head.json', 'tile/0/../0/000.p/3', ''])
    expect(await reader.tile(path)).toBeUndefined()
  expect(reads).toEqual([])
})

it('gives each leaf that the checkpoint covers, and none beyond it (V14)', async () => {
  using folder = new LogFolder()
  const { storage, index, at, reader } = await aLog(folder, [300, 600])
  for (const n of [0, 255, 256, 511, 599])
    expect(Buffer.from((await reader.leaf(n)) ?? []).toString()).toBe(`entry ${n}`)
  for (const n of [600, 767, 768]) expect(await reader.leaf(n)).toBeUndefined()
  const early = logReader(storage, index, at(0))
  expect(await early.leaf(299)).toBeDefined()
  expect(await early.leaf(300)).toBeUndefined()
})

it('has no leaf of a bundle that is gone', async () => {
  const reader = logReader({ read: async () => undefined }, { indexOfEvent: () => 1 }, () => ({
    ...{ size: 3, root: new Uint8Array(32), note: '' },
  }))
  expect(await reader.leaf(1)).toBeUndefined()
  expect(await reader.proof('evt_1')).toBeUndefined()
})

it('proves an event by the newest checkpoint that covers it, the vouched one first', async () => {
  using folder = new LogFolder()
  const { storage, index, at } = await aLog(folder, [3, 5])
  const proved = async (reader: ReturnType<typeof logReader>, n: number) => {
    const proof = (await reader.proof(`evt_${n}`)) ?? expect.fail('no proof')
    const opened = openTlogProof(proof, leafHash(Buffer.from(`entry ${n}`)), { log: logKey.verifier })
    return opened.ok ? opened.checkpoint.size : opened
  }
  const alone = logReader(storage, index, at(1))
  expect([await proved(alone, 0), await proved(alone, 4)]).toEqual([5, 5])
  expect(alone.vouched().size).toBe(5)
  const vouched = logReader(storage, index, at(1), at(0))
  expect([await proved(vouched, 2), await proved(vouched, 3)]).toEqual([3, 5])
  expect(vouched.vouched().size).toBe(3)
})

it('has no proof of an event without a leaf, or beyond the checkpoint', async () => {
  using folder = new LogFolder()
  const { storage, index, at, reader } = await aLog(folder, [3, 5])
  expect(await reader.proof('evt_none')).toBeUndefined()
  expect(await reader.proof('evt_5')).toBeUndefined()
  const early = logReader(storage, index, at(0))
  expect(await early.proof('evt_2')).toBeDefined()
  expect(await early.proof('evt_3')).toBeUndefined()
})

it('hands out no proof that does not hold (V14)', async () => {
  using folder = new LogFolder()
  const { reader } = await aLog(folder, [3], (bytes, path) =>
    path.startsWith('tile/0/') ? Buffer.from(bytes).fill(1, 0, 1) : bytes,
  )
  expect(await reader.proof('evt_1')).toBeUndefined()
})
