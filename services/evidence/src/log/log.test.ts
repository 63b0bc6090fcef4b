import { copyFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@bailiwick/kit'
import { fsck, signCheckpoint, type TreeHead } from '@bailiwick/tlog'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Break, faultyLogStorage, type StorageWrite } from './faulty-log-storage.ts'
import { LogFolder, logKey, naiveFiles } from './log.fixture.ts'
import { Log } from './log.ts'

const now = () => systemClock.now()
const entry = (n: number | string) => Buffer.from(`entry ${n}`)
const entries = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => entry(from + n))
const texts = (from: number, to: number) => entries(from, to).map(String)

async function grow(folder: LogFolder, ...batches: Uint8Array[][]): Promise<void> {
  await using storage = await folder.open()
  const log = await Log.open(storage, logKey, now)
  for (const batch of batches) await log.append(batch, {})
}

it.each([1, 255, 256, 257, 70_000])(
  'lays %i entries out as C2SP tlog-tiles says, and has no other file (V14)',
  async (size) => {
    using folder = new LogFolder()
    await grow(folder, entries(0, size))
    const files = folder.files()
    const expected = naiveFiles(entries(0, size))
    expect([...files.keys()].sort()).toEqual([...expected.keys()].sort())
    for (const [path, bytes] of expected) expect(files.get(path)?.equals(bytes), path).toBe(true)
    expect(await folder.check()).toMatchObject({ ok: true, size })
  },
)

it('keeps the partial tiles of every published size until the full tile is published, and each size has one root (V14)', async () => {
  using folder = new LogFolder()
  const sizes = [3, 200, 256, 300, 301]
  const batches = sizes.map((size, n) => entries(sizes[n - 1] ?? 0, size))
  for (const [n, batch] of batches.entries()) {
    await grow(folder, batch)
    const files = folder.files()
    const published = sizes.slice(0, n + 1)
    for (const size of published) {
      for (const [path, bytes] of naiveFiles(entries(0, size))) {
        const full = naiveFiles(entries(0, sizes[n] as number)).has(path.replace(/\.p\/.*/, ''))
        if (!full) expect(files.get(path)?.equals(bytes), `${path} at ${sizes[n]}`).toBe(true)
      }
    }
  }
})

it('lets full tiles stand for the partial ones of smaller sizes, in which older checkpoints still verify (V14)', async () => {
  using folder = new LogFolder()
  const older: TreeHead[] = []
  await using storage = await folder.open()
  const log = await Log.open(storage, logKey, now)
  for (let n = 0; n < 65_536; n += 8_191) older.push(await log.append(entries(n, n + 8_191), {}))
  await log.append(entries(log.size, log.size + 300), {})
  await log.append(entries(log.size, log.size + 1), {})
  const partial = [...folder.files().keys()].filter((path) => path.includes('.p/'))
  const places = new Set(partial.map((path) => path.replace(/\/[0-9]+$/, '')))
  // One place per level, and one for entries: the end of the log.
  expect(places.size).toBe(4)
  const checked = await fsck({ read: folder.read, checkpoint: log.checkpoint, older })
  expect(checked).toMatchObject({ ok: true })
})

it('stops when time does not progress, and is opened again only when it does (V14)', async () => {
  using folder = new LogFolder()
  let time = 1_000_000
  for (const [n, behind] of [0, 5000].entries()) {
    await using storage = await folder.open()
    const log = await Log.open(storage, logKey, () => time)
    time += 10
    await log.append(entries(2 * n, 2 * n + 1), {})
    time -= behind
    await expect(log.append(entries(2 * n + 1, 2 * n + 2), {})).rejects.toMatchObject({ code: 'clock_behind' })
    time += behind === 0 ? 10 : 0
  }
  await using storage = await folder.open()
  await expect(Log.open(storage, logKey, () => time)).rejects.toMatchObject({ code: 'clock_behind' })
  time += 5000
  const log = await Log.open(storage, logKey, () => time++)
  // The entered leaves are not lost.
  expect(await folder.check()).toMatchObject({ ok: true, size: 4 })
  await log.append(entries(4, 5), {})
  expect((await folder.check()).entries).toEqual(texts(0, 5))
})

it('has what was entered when it is opened again, in the same places, and what of the bus that covers (V2)', async () => {
  using folder = new LogFolder()
  await grow(folder, entries(0, 250))
  {
    await using storage = await folder.open()
    const log = await Log.open(storage, logKey, now)
    await log.enter(entries(250, 253), { topic: { 0: 4 } })
    await log.enter(entries(253, 700), { topic: { 0: 9 } })
    expect(log.size).toBe(700)
    expect(log.checkpoint.size).toBe(250)
  }
  await using storage = await folder.open()
  const log = await Log.open(storage, logKey, now)
  expect({ size: log.size, consumed: log.consumed }).toEqual({ size: 700, consumed: { topic: { 0: 9 } } })
  expect((await folder.check()).entries).toEqual(texts(0, 700))
})

it('refuses a journal that goes on from a larger tree (V14)', async () => {
  using folder = new LogFolder()
  {
    await using storage = await folder.open()
    const log = await Log.open(storage, logKey, now)
    cpSync(folder.dir, `${folder.dir}-copy`, { recursive: true })
    await log.append(entries(0, 3), {})
    await log.enter(entries(3, 4), {})
  }
  for (const put of ['log', 'tree-head.json']) {
    rmSync(join(folder.dir, put), { recursive: true })
    cpSync(join(`${folder.dir}-copy`, put), join(folder.dir, put), { recursive: true })
  }
  rmSync(`${folder.dir}-copy`, { recursive: true })
  rmSync(join(folder.dir, 'journal.0'))
  await expect(grow(folder)).rejects.toMatchObject({ code: 'log_inconsistent' })
})

it('has a signed checkpoint from the start', async () => {
  using folder = new LogFolder()
  await grow(folder)
  expect(await folder.check()).toMatchObject({ ok: true, size: 0 })
})

it('writes a full tile once', async () => {
  using folder = new LogFolder()
  const written: string[] = []
  const real = await folder.open()
  await using storage = {
    ...real,
    write: (files: Parameters<typeof real.write>[0]) => {
      written.push(...files.map(({ path }) => path))
      return real.write(files)
    },
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  }
  const log = await Log.open(storage, logKey, now)
  for (let n = 0; n < 600; n += 50) await log.append(entries(n, n + 50), {})
  expect(written.length).toBe(new Set(written).size)
})

const everyBreak = (
  ['enter', 'write', 'discardBeyond', 'discardPartial', 'swapHead', 'publishCheckpoint'] as const
).flatMap((method) =>
  (['before', 'partly', 'after'] as const).map((where): [StorageWrite['method'], Break] => [method, where]),
)
it.each(everyBreak)(
  'loses and doubles nothing when %s breaks %s its effect, at any size (V2, V14)',
  async (method, where) => {
    for (const n of [0, 1, 4, 5]) {
      using folder = new LogFolder()
      let before = 0
      {
        const plan = (write: StorageWrite) => (write.method === method && write.n === n ? where : undefined)
        await using storage = faultyLogStorage(await folder.open(), plan)
        const log = await Log.open(storage, logKey, now).catch(() => undefined)
        // Batches of 60: the fifth completes a tile. Some breaks are never reached.
        for (; log !== undefined && before < 600; before += 60) {
          const failed = await log.append(entries(before, before + 60), {}).catch(() => 'failed')
          if (failed === 'failed') break
        }
      }
      // Other entries than those of the broken batch come first now. Nothing of the broken batch may show through.
      await using storage = await folder.open()
      const log = await Log.open(storage, logKey, now)
      const { size } = log
      expect([before, before + 60]).toContain(size)
      expect(await folder.check()).toMatchObject({ ok: true, size })
      await log.append([entry('other'), entry('another')], {})
      const checked = await folder.check()
      expect(checked).toMatchObject({ ok: true, size: size + 2 })
      expect(checked.entries).toEqual([...texts(0, size), 'entry other', 'entry another'])
      // The files that the broken batch should have removed are gone as well.
      const files = [...folder.files().keys()]
      expect(files.filter((path) => files.includes(path.replace(/\.p\/.*/, '')) && path.includes('.p/'))).toEqual([])
    }
  },
)

it('is the same log however it is cut into batches and broken in between (V14)', async () => {
  const anyStep = fc.record({
    batch: fc.integer({ min: 1, max: 300 }),
    method: fc.constantFrom('enter', 'write', 'discardBeyond', 'discardPartial', 'swapHead', 'publishCheckpoint'),
    where: fc.constantFrom<Break | undefined>(undefined, undefined, 'before', 'partly', 'after'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 6 }), async (steps) => {
      using folder = new LogFolder()
      await grow(folder)
      let size = 0
      for (const { batch, method, where } of steps) {
        await using storage = faultyLogStorage(await folder.open(), (write) =>
          write.method === method && write.n === 0 ? where : undefined,
        )
        const log = await Log.open(storage, logKey, now).catch(() => undefined)
        if (log === undefined) continue
        size = log.size
        await log.append(entries(size, size + batch), {}).catch(() => undefined)
      }
      await grow(folder)
      const checked = await folder.check()
      expect(checked.ok).toBe(true)
      expect(checked.entries).toEqual(texts(0, checked.entries.length))
      expect(checked.entries.length).toBeGreaterThanOrEqual(size)
    }),
    { numRuns: 15 },
  )
})

it('signs nothing over entries that are not stored as they were hashed (V14)', async () => {
  using folder = new LogFolder()
  const real = await folder.open()
  await using storage = {
    ...real,
    read: async (path: string) => {
      const bytes = await real.read(path)
      return path.startsWith('tile/entries/') && bytes ? Buffer.from(bytes).fill(0x21, 9, 10) : bytes
    },
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  }
  const log = await Log.open(storage, logKey, now)
  await expect(log.append(entries(0, 3), {})).rejects.toMatchObject({ code: 'log_inconsistent' })
  expect(await folder.check()).toMatchObject({ ok: true, size: 0 })
})

it('refuses to go on from a log that does not agree with itself, and leaves it as it is (V14)', async () => {
  const harm: Record<string, (folder: LogFolder) => void> = {
    'the tree head is gone': ({ dir }) => rmSync(join(dir, 'tree-head.json')),
    'the tree head is gone, and the checkpoint': ({ dir, log }) => {
      rmSync(join(dir, 'tree-head.json'))
      rmSync(join(log, 'checkpoint'))
    },
    'the tree head is torn': ({ dir }) => writeFileSync(join(dir, 'tree-head.json'), '{"v":1'),
    'a tile of the edge is gone': ({ log }) => rmSync(join(log, 'tile/0/001.p/44')),
    'a tile of the edge was changed': ({ log }) => flip(join(log, 'tile/0/001.p/44'), 5),
    'an entry of the edge was changed': ({ log }) => flip(join(log, 'tile/entries/001.p/44'), 9),
    'the checkpoint is of another key': ({ log }) => writeFileSync(join(log, 'checkpoint'), 'log.example/1\n0\n\n'),
    'a checkpoint over other entries was put in its place': ({ log }) => {
      const { size, root } = { size: 300, root: new Uint8Array(32) }
      writeFileSync(
        join(log, 'checkpoint'),
        signCheckpoint({ origin: 'log.example/1', size, root, extensions: [] }, logKey),
      )
    },
    'an older log was put in its place': ({ dir, log }) => {
      rmSync(log, { recursive: true })
      cpSync(join(dir, 'copy'), log, { recursive: true })
    },
    'an older tree head was put in its place': ({ dir }) =>
      copyFileSync(join(dir, 'old-head.json'), join(dir, 'tree-head.json')),
  }
  for (const [what, hurt] of Object.entries(harm)) {
    using folder = new LogFolder()
    await grow(folder, entries(0, 200))
    cpSync(folder.log, join(folder.dir, 'copy'), { recursive: true })
    copyFileSync(join(folder.dir, 'tree-head.json'), join(folder.dir, 'old-head.json'))
    await grow(folder, entries(200, 300))
    hurt(folder)
    const found = everything(folder)
    await expect(grow(folder), what).rejects.toMatchObject({ code: 'log_inconsistent' })
    expect(everything(folder), what).toEqual(found)
  }
})

it('signs nothing at its start over what was changed since it was written (V14)', async () => {
  using folder = new LogFolder()
  await grow(folder, entries(0, 200))
  {
    const breaks = ({ method }: StorageWrite) => (method === 'publishCheckpoint' ? 'before' : undefined)
    await using storage = faultyLogStorage(await folder.open(), breaks)
    const log = await Log.open(storage, logKey, now)
    await expect(log.append(entries(200, 300), {})).rejects.toThrow('broken')
  }
  flip(join(folder.log, 'tile/entries/001.p/44'), 9)
  await expect(grow(folder)).rejects.toMatchObject({ code: 'log_inconsistent' })
  expect(await folder.check()).toMatchObject({ size: 200 })
})

it('does not build on a stored entry that was changed (V14)', async () => {
  using folder = new LogFolder()
  await grow(folder, entries(0, 300))
  flip(join(folder.log, 'tile/entries/001.p/44'), 9)
  await expect(grow(folder, entries(300, 301))).rejects.toMatchObject({ code: 'log_inconsistent' })
})

it('shows a stranger where one byte was changed (V14)', async () => {
  using folder = new LogFolder()
  await grow(folder, entries(0, 300))
  flip(join(folder.log, 'tile/entries/000'), 40)
  expect(await folder.check()).toMatchObject({ ok: false, path: 'tile/entries/000', reason: 'entry_differs', index: 4 })
})

/** Every file of the log and beside it, except the lock's. */
function everything({ dir }: LogFolder): Map<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  return new Map(
    files
      .map(({ parentPath, name }) => join(parentPath, name))
      .filter((file) => !file.includes('log.lock'))
      .map((file) => [file, readFileSync(file, 'latin1')]),
  )
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}
