import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { encodeEntryBundle } from './entry-bundle.ts'
import { fsck } from './fsck.ts'
import { entryOf, leafOf, mth, naiveLog, readerOf } from './naive-log.ts'
import { RightEdge } from './right-edge.ts'
import { tilePath } from './tile-path.ts'
import { bundlesToWrite } from './tiles.ts'
import { leafHash, type TreeHead } from './tree.ts'

const entries = Array.from({ length: 1300 }, (_, n) => entryOf(n))
const SIZES = [0, 1, 3, 255, 256, 257, 700]
const sized = (size: number, sizes: readonly number[] = [size]) => naiveLog(entries.slice(0, size), sizes)

const check = (files: ReadonlyMap<string, Uint8Array>, checkpoint: TreeHead, older: readonly TreeHead[] = []) =>
  fsck({ read: readerOf(files), checkpoint, older })

const flip = (bytes: Uint8Array, at: number, mask = 0x40) => bytes.map((byte, n) => (n === at ? byte ^ mask : byte))

it('passes a whole log of any size, with all its older checkpoints (V14)', async () => {
  for (const size of [...SIZES, 1300]) {
    const { files, head, heads } = sized(size, [...SIZES.filter((older) => older < size), size])
    expect(await check(files, head, heads)).toEqual({ ok: true, ...head })
    expect(await check(sized(size).files, head)).toEqual({ ok: true, ...head })
  }
})

it('finds nothing wrong with a log that grows while it is read', async () => {
  const { files, head, heads } = sized(500, [400, 500])
  const grown = sized(700).files
  const read = async (path: string) => {
    const bytes = files.get(path)
    const later = grown.get(path)
    // The full file appears right after it was looked for, and the partial files disappear.
    if (bytes === undefined && later !== undefined) {
      files.set(path, later)
      for (const other of [...files.keys()]) if (other.startsWith(`${path}.p/`)) files.delete(other)
    }
    return bytes
  }
  expect(await fsck({ read, checkpoint: head, older: heads })).toEqual({ ok: true, ...head })
  expect([...files.keys()].filter((path) => path.includes('001.p'))).toEqual([])
})

it('gives every entry once, in order, and only entries that are proved', async () => {
  const { files, head } = sized(700)
  const seen: string[] = []
  let running = 0
  const progress: number[] = []
  const result = await fsck({
    read: readerOf(files),
    checkpoint: head,
    onEntry: async (index, entry) => {
      expect(Buffer.from(entry)).toEqual(Buffer.from(entries[index] as Uint8Array))
      expect(++running).toBe(1)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      seen.push(String(index))
    },
    onProgress: (done, size) => progress.push(done, size),
  })
  expect(result.ok).toBe(true)
  expect(seen).toEqual(Array.from({ length: 700 }, (_, n) => String(n)))
  expect(progress).toEqual([256, 700, 512, 700, 700, 700])

  const damaged = new Map(files).set('tile/entries/001', flip(files.get('tile/entries/001') as Uint8Array, 100))
  const onEntry = vi.fn()
  expect(await fsck({ read: readerOf(damaged), checkpoint: head, onEntry })).toMatchObject({ ok: false })
  expect(onEntry).toHaveBeenCalledTimes(256)
})

it('names the file of a flipped byte, in every file of a log and of its older checkpoints (V14)', async () => {
  const { files, head, heads } = sized(700, [3, 257, 300, 700])
  for (const [path, bytes] of files) {
    for (const at of new Set([0, 1, 2, 31, 32, bytes.length >> 1, bytes.length - 1])) {
      if (at >= bytes.length) continue
      const damaged = new Map(files).set(path, flip(bytes, at, 1 << (at % 8)))
      expect(await check(damaged, head, heads), `${path} at ${at}`).toMatchObject({ ok: false, path })
    }
  }
})

it('names the leaf of a flipped byte', async () => {
  const { files, head } = sized(700)
  const damage = (path: string, at: number) =>
    check(new Map(files).set(path, flip(files.get(path) as Uint8Array, at)), head)
  expect(await damage('tile/0/001', 77 * 32)).toEqual({
    ok: false,
    path: 'tile/0/001',
    reason: 'tile_differs',
    index: 256 + 77,
  })
  expect(await damage('tile/0/002.p/188', 5 * 32)).toMatchObject({ path: 'tile/0/002.p/188', index: 517 })
  expect(await damage('tile/1/000.p/2', 40)).toMatchObject({ path: 'tile/1/000.p/2', index: 256 })
  // Entries of the second bundle take 2 + 9 bytes each.
  expect(await damage('tile/entries/001', 11 * 10 + 5)).toEqual({
    ok: false,
    path: 'tile/entries/001',
    reason: 'entry_differs',
    index: 266,
  })
})

it('names every file that is missing, cut short or too long', async () => {
  const { files, head } = sized(700)
  for (const [path, bytes] of files) {
    const without = new Map(files)
    without.delete(path)
    expect(await check(without, head)).toMatchObject({ ok: false, path, reason: 'missing' })
    for (const other of [
      bytes.subarray(0, -1),
      bytes.subarray(32),
      Buffer.concat([bytes, Buffer.of(0)]),
      Buffer.concat([bytes, bytes.subarray(0, 32)]),
      new Uint8Array(),
    ]) {
      expect(await check(new Map(files).set(path, other), head), path).toMatchObject({ ok: false, path })
    }
  }
})

it('names the first of two entries that were swapped', async () => {
  const { files, head } = sized(300)
  const bundle = entries.slice(0, 256)
  const swapped = bundle.with(7, bundle[9] as Uint8Array).with(9, bundle[7] as Uint8Array)
  expect(await check(new Map(files).set('tile/entries/000', encodeEntryBundle(swapped)), head)).toEqual({
    ok: false,
    path: 'tile/entries/000',
    reason: 'entry_differs',
    index: 7,
  })
})

it('is not deceived by a changed entry whose leaf hash was changed with it', async () => {
  for (const size of [200, 700]) {
    const { files, head } = sized(size)
    const forged = entries.slice(0, size).with(20, leafOf(entryOf(5000)))
    const forgedFiles = naiveLog(forged).files
    const [bundle, tile] =
      size === 200 ? ['tile/entries/000.p/200', 'tile/0/000.p/200'] : ['tile/entries/000', 'tile/0/000']
    const damaged = new Map(files).set(bundle, forgedFiles.get(bundle) as Uint8Array)
    damaged.set(tile, forgedFiles.get(tile) as Uint8Array)
    const named = size === 200 ? { path: 'checkpoint', reason: 'root_differs' } : { path: tile, reason: 'tile_differs' }
    expect(await check(damaged, head)).toMatchObject({ ok: false, ...named })
    expect(await check(forgedFiles, head)).toEqual({ ok: false, path: 'checkpoint', reason: 'root_differs' })
  }
})

it('checks a checkpoint that the log has grown beyond, from full tiles when the partial ones are gone', async () => {
  const { files, heads } = sized(1300, [700, 1300])
  const [earlier] = heads as [TreeHead, TreeHead]
  expect(await check(files, earlier)).toMatchObject({ ok: true, size: 700 })
  for (const path of ['tile/0/002', 'tile/entries/002']) {
    const damaged = new Map(files).set(path, flip(files.get(path) as Uint8Array, 20))
    expect(await check(damaged, earlier)).toMatchObject({ ok: false, path })
  }
  for (const path of ['tile/0/002.p/188', 'tile/entries/002.p/188']) files.delete(path)
  expect(await check(files, earlier)).toMatchObject({ ok: true, size: 700 })
  // The last hash that the earlier checkpoint commits to, and the first one that it does not.
  const full = files.get('tile/0/002') as Uint8Array
  expect(await check(new Map(files).set('tile/0/002', flip(full, 187 * 32)), earlier)).toMatchObject({
    path: 'tile/0/002',
  })
  expect(await check(new Map(files).set('tile/0/002', flip(full, 188 * 32)), earlier)).toMatchObject({ ok: true })
})

it('names an older checkpoint that is not the beginning of the tree (V14)', async () => {
  const { files, head, leaves } = sized(700, [256, 512, 700])
  const fork = leaves.with(3, leafOf(entryOf(999)))
  const inconsistent = (size: number) => ({ ok: false, path: 'checkpoint', reason: 'checkpoint_inconsistent', size })
  for (const size of [256, 512, 700]) {
    expect(await check(files, head, [{ size, root: mth(leaves.slice(0, size)) }])).toMatchObject({ ok: true })
    expect(await check(files, head, [{ size, root: mth(fork.slice(0, size)) }])).toEqual(inconsistent(size))
  }
  expect(await check(files, head, [{ size: 701, root: head.root }])).toEqual(inconsistent(701))
  expect(await check(files, head, [{ size: 0, root: head.root }])).toEqual(inconsistent(0))
})

it('misses the partial files of an older checkpoint only until the full ones exist', async () => {
  const { files, head, heads } = sized(700, [100, 600, 700])
  for (const path of ['tile/0/000.p/100', 'tile/entries/000.p/100']) files.delete(path)
  expect(await check(files, head, heads)).toMatchObject({ ok: true })
  for (const path of ['tile/0/002.p/88', 'tile/entries/002.p/88']) {
    const without = new Map([...files].filter(([other]) => other !== path))
    expect(await check(without, head, heads)).toEqual({ ok: false, path, reason: 'missing' })
  }
})

it('finds any one changed byte, wherever it is (V14)', async () => {
  const { files, head, heads } = sized(520, [100, 520])
  const paths = [...files.keys()]
  await fc.assert(
    fc.asyncProperty(
      fc.nat(paths.length - 1),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (n, position, mask) => {
        const path = paths[n] as string
        const bytes = files.get(path) as Uint8Array
        const damaged = new Map(files).set(path, flip(bytes, position % bytes.length, mask))
        expect(await check(damaged, head, heads)).toMatchObject({ ok: false, path })
      },
    ),
    { numRuns: 100 },
  )
})

it('passes a log of three levels, and names a flipped byte at each of them', async () => {
  const size = 66_000
  const entry = (n: number) => Buffer.of(n >> 16, n >> 8, n)
  const files = new Map<string, Uint8Array>()
  const edge = new RightEdge()
  for (const bundle of bundlesToWrite(0, size)) {
    const bundled = Array.from({ length: bundle.width }, (_, n) => entry(bundle.index * 256 + n))
    files.set(tilePath(bundle), encodeEntryBundle(bundled))
    for (const each of bundled) edge.append(leafHash(each))
  }
  for (const { path, bytes } of edge.take()) files.set(path, bytes)
  const head = { size, root: edge.root() }
  expect(await check(files, head)).toEqual({ ok: true, ...head })
  for (const [path, at, index] of [
    ['tile/2/000.p/1', 0, 0],
    ['tile/1/000', 7 * 32, 7 * 256],
    ['tile/1/001.p/1', 0, 65_536],
    ['tile/0/200', 9 * 32, 200 * 256 + 9],
    ['tile/0/257.p/208', 0, 65_792],
    ['tile/entries/200', 9 * 5 + 4, 200 * 256 + 9],
  ] as const) {
    const damaged = new Map(files).set(path, flip(files.get(path) as Uint8Array, at))
    expect(await check(damaged, head)).toMatchObject({ ok: false, path, index })
  }
})

it('knows the empty log', async () => {
  const empty = sized(0)
  expect(await check(empty.files, { size: 0, root: mth([]) })).toMatchObject({ ok: true, size: 0 })
  expect(await check(empty.files, { size: 0, root: leafHash(entryOf(0)) })).toMatchObject({ reason: 'root_differs' })
})

it('lets the failure of a reader through, since it says nothing about the log', async () => {
  const { head } = sized(3)
  const read = () => Promise.reject(new Error('disk on fire'))
  await expect(fsck({ read, checkpoint: head })).rejects.toThrow('disk on fire')
})
