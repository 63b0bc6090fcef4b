import { expect, it } from 'vitest'
import type { JournalRecord, LogStorage } from './log-storage.ts'

/** A place that can be opened again, as after a crash: opening does not wait until the previous storage is disposed of. */
export interface StoragePlace extends Disposable {
  open(): Promise<LogStorage>
}

const bytes = (text: string) => Buffer.from(text)
const text = (read: Uint8Array | undefined) => read && Buffer.from(read).toString()

/** The guarantees that the log relies on, for every storage. */
export function logStorageContract(aPlace: () => StoragePlace): void {
  it('gives back what was written, after a restart too, and nothing for what was not', async () => {
    using place = aPlace()
    const files = ['tile/entries/000.p/3', 'tile/0/000.p/3', 'tile/1/x001/234'].map((path) => ({
      path,
      bytes: bytes(path),
    }))
    {
      await using storage = await place.open()
      await storage.write(files)
    }
    await using storage = await place.open()
    for (const { path } of files) expect(text(await storage.read(path))).toBe(path)
    for (const path of ['tile/0/000', 'tile/0/000.p/4', 'tile/entries/001'])
      expect(await storage.read(path)).toBe(undefined)
  })

  it('replaces a file that is there, and keeps tiles of other widths', async () => {
    using place = aPlace()
    await using storage = await place.open()
    await storage.write([
      { path: 'tile/0/000.p/1', bytes: bytes('old') },
      { path: 'tile/0/000.p/2', bytes: bytes('other') },
    ])
    await storage.write([{ path: 'tile/0/000.p/1', bytes: bytes('new') }])
    expect(text(await storage.read('tile/0/000.p/1'))).toBe('new')
    expect(text(await storage.read('tile/0/000.p/2'))).toBe('other')
  })

  it('knows whether there are any tiles, after a restart too (V14)', async () => {
    using place = aPlace()
    {
      await using storage = await place.open()
      expect(await storage.hasTiles()).toBe(false)
      await storage.write([{ path: 'tile/entries/000.p/3', bytes: bytes('three') }])
      expect(await storage.hasTiles()).toBe(true)
    }
    await using storage = await place.open()
    expect(await storage.hasTiles()).toBe(true)
  })

  it('reads and writes nothing but tiles', async () => {
    using place = aPlace()
    await using storage = await place.open()
    for (const path of ['../tree-head.json', 'checkpoint', 'tile/0/../../checkpoint', 'tile/0/0', '/etc/passwd', '']) {
      await expect(storage.read(path)).rejects.toThrow(RangeError)
      await expect(storage.write([{ path, bytes: bytes('x') }])).rejects.toThrow(RangeError)
    }
  })

  it('swaps the tree head only for a caller that names the present one (V14)', async () => {
    using place = aPlace()
    {
      await using storage = await place.open()
      expect(await storage.readHead()).toBe(undefined)
      await expect(storage.swapHead(bytes('made up'), bytes('a'))).rejects.toMatchObject({ code: 'log_locked' })
      await storage.swapHead(undefined, bytes('a'))
      await storage.swapHead(bytes('a'), bytes('b'))
      for (const expected of [bytes('a'), undefined])
        await expect(storage.swapHead(expected, bytes('c'))).rejects.toMatchObject({ code: 'log_locked' })
    }
    await using storage = await place.open()
    expect(text(await storage.readHead())).toBe('b')
  })

  it('lets one writer in at a time (V14)', async () => {
    using place = aPlace()
    {
      await using _storage = await place.open()
      await expect(place.open()).rejects.toMatchObject({ code: 'log_locked' })
    }
    await using storage = await place.open()
    expect(await storage.readHead()).toBe(undefined)
  })

  it('gives back what was entered behind a tree, after a restart, and nothing of what the tree has (V2)', async () => {
    using place = aPlace()
    // Records of many lengths: a shorter record leaves a part of an older one after it.
    const of = (from: number, to: number) => ({ from, to, bytes: bytes(`${from}-${to} `.repeat((from % 7) + 1)) })
    let size = 0
    const said = (records: readonly JournalRecord[]) => records.map((each) => ({ ...each, bytes: text(each.bytes) }))
    for (let n = 0; n < 20; n++, size += 11) {
      const entered = [of(size, size + 3), of(size + 3, size + 4), of(size + 4, size + 9)]
      // The tree grows by the first two while others are entered.
      const more = [of(size + 9, size + 10), of(size + 10, size + 11)]
      {
        await using storage = await place.open()
        expect(await storage.readJournal(size)).toEqual([])
        for (const record of entered) await storage.enter(record, size)
        for (const record of more) await storage.enter(record, size + 4)
      }
      await using storage = await place.open()
      expect(said(await storage.readJournal(size + 4))).toEqual(said([...entered.slice(2), ...more]))
    }
  })

  it('gives the checkpoint that was published last', async () => {
    using place = aPlace()
    {
      await using storage = await place.open()
      expect(await storage.readCheckpoint()).toBe(undefined)
      await storage.publishCheckpoint(bytes('one'))
      await storage.publishCheckpoint(bytes('two'))
    }
    await using storage = await place.open()
    expect(text(await storage.readCheckpoint())).toBe('two')
  })

  it('takes away the partial tiles of one place, and nothing else', async () => {
    using place = aPlace()
    await using storage = await place.open()
    const gone = ['tile/0/001.p/3', 'tile/0/001.p/255']
    const kept = ['tile/0/001', 'tile/0/000.p/3', 'tile/entries/001.p/3', 'tile/1/001.p/3']
    await storage.write([...gone, ...kept].map((path) => ({ path, bytes: bytes(path) })))
    await storage.discardPartial({ level: 0, index: 1 })
    await storage.discardPartial({ level: 'entries', index: 77 })
    for (const path of gone) expect(await storage.read(path)).toBe(undefined)
    for (const path of kept) expect(text(await storage.read(path))).toBe(path)
  })

  it('names the full tiles of a tree that have partial ones beside them, across the folders of a thousand', async () => {
    using place = aPlace()
    await using storage = await place.open()
    const outgrown = ['tile/0/998.p/3', 'tile/0/998.p/255', 'tile/entries/998.p/3', 'tile/0/x001/000.p/7']
    const full = ['tile/0/998', 'tile/entries/998', 'tile/0/x001/000', 'tile/1/002', 'tile/0/x001/001']
    // A tile whose full one is missing, a tile at the edge, and a tile that is full only in a larger tree.
    const needed = ['tile/0/999.p/3', 'tile/1/003.p/234', 'tile/0/x001/001.p/9']
    await storage.write([...outgrown, ...full, ...needed].map((path) => ({ path, bytes: bytes(path) })))
    const found = (await storage.outgrown(1001 * 256 + 9)).map(({ level, index }) => `${level} ${index}`)
    expect(found.sort()).toEqual(['0 1000', '0 998', 'entries 998'])
  })

  it('takes away what reaches beyond a tree, and nothing else', async () => {
    using place = aPlace()
    await using storage = await place.open()
    const within = ['tile/0/000', 'tile/0/001.p/44', 'tile/0/001.p/40', 'tile/1/000.p/1', 'tile/entries/001.p/44']
    const beyond = [
      'tile/0/001.p/45',
      'tile/0/001',
      'tile/0/003',
      'tile/1/000.p/2',
      'tile/entries/001',
      'tile/2/000.p/1',
    ]
    await storage.write([...within, ...beyond].map((path) => ({ path, bytes: bytes(path) })))
    await storage.discardBeyond(300)
    for (const path of within) expect(text(await storage.read(path))).toBe(path)
    for (const path of beyond) expect(await storage.read(path)).toBe(undefined)
  })

  it('takes away what reaches beyond a tree across the folders of a thousand', async () => {
    using place = aPlace()
    await using storage = await place.open()
    const paths = ['tile/0/998', 'tile/0/999', 'tile/0/x001/000', 'tile/0/x001/001.p/3']
    await storage.write(paths.map((path) => ({ path, bytes: bytes(path) })))
    await storage.discardBeyond(999 * 256)
    const there = await Promise.all(paths.map((path) => storage.read(path)))
    expect(there.map((read) => read !== undefined)).toEqual([true, false, false, false])
  })
}
