import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { logStorageContract } from '../log-storage.contract.ts'
import { diskLogStorage } from './disk-log-storage.ts'
import { type LogFs, systemLogFs } from './log-fs.ts'

function aPlace(fs?: LogFs) {
  const dir = mkdtempSync(join(tmpdir(), 'evidence-disk-'))
  const log = join(dir, 'log')
  return {
    dir,
    log,
    open: () => diskLogStorage({ log, dir, ...(fs === undefined ? {} : { fs }) }),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  }
}

logStorageContract(aPlace)

it('keeps the log alone in its folder, in the layout of C2SP tlog-tiles', async () => {
  using place = aPlace()
  await using storage = await place.open()
  await storage.write([{ path: 'tile/0/011.p/184', bytes: Buffer.from('x') }])
  await storage.swapHead(undefined, Buffer.from('head'))
  await storage.publishCheckpoint(Buffer.from('note'))
  expect(readdirSync(place.log).sort()).toEqual(['checkpoint', 'tile'])
  expect(statSync(join(place.log, 'tile/0/011.p')).isDirectory()).toBe(true)
  expect(readFileSync(join(place.log, 'tile/0/011.p/184'), 'utf8')).toBe('x')
  expect(existsSync(join(place.dir, 'tree-head.json'))).toBe(true)
})

it.each([
  ['that was made for it', () => undefined],
  [
    'that an earlier version made, open to others',
    (dir: string) => {
      mkdirSync(join(dir, 'evidence/log'), { recursive: true })
      for (const name of ['', 'evidence', 'evidence/log']) chmodSync(join(dir, name), 0o755)
    },
  ],
])('is read by no other user of the machine, in a folder %s (V17)', async (_, prepare) => {
  using place = aPlace()
  prepare(place.dir)
  const dir = join(place.dir, 'evidence')
  const log = join(dir, 'log')
  await using storage = await diskLogStorage({ log, dir })
  await storage.write([
    { path: 'tile/0/000.p/1', bytes: Buffer.from('x') },
    { path: 'tile/0/001', bytes: Buffer.from('y') },
  ])
  await storage.swapHead(undefined, Buffer.from('head'))
  await storage.publishCheckpoint(Buffer.from('note'))
  const modeOf = (name: string) => statSync(join(log, name)).mode & 0o777
  expect(statSync(dir).mode & 0o777).toBe(0o700)
  for (const name of ['tile', 'tile/0', 'tile/0/000.p']) expect([name, modeOf(name)]).toEqual([name, 0o700])
  for (const name of ['checkpoint', 'tile/0/001', 'tile/0/000.p/1']) expect([name, modeOf(name)]).toEqual([name, 0o600])
})

/** The real file system, which records what was made durable, in order. */
function notingFs(synced: string[]): LogFs {
  return {
    ...systemLogFs,
    open: async (path, flags, mode) => {
      const handle = await systemLogFs.open(path, flags, mode)
      const noting = (sync: () => Promise<void>) => async () => {
        await sync()
        synced.push(path)
      }
      return {
        write: (...args) => handle.write(...args),
        sync: noting(() => handle.sync()),
        datasync: noting(() => handle.datasync()),
        close: () => handle.close(),
      }
    },
    rename: async (from, to) => {
      await systemLogFs.rename(from, to)
      synced.push(`renamed ${to}`)
    },
  }
}

it('syncs each file and its folder before a write resolves, a full tile before it has its name (V2)', async () => {
  const synced: string[] = []
  using place = aPlace(notingFs(synced))
  await using storage = await place.open()
  synced.length = 0
  await storage.write([
    { path: 'tile/0/000.p/1', bytes: Buffer.from('x') },
    { path: 'tile/0/001', bytes: Buffer.from('y') },
  ])
  const full = join(place.log, 'tile/0/001')
  expect(synced.filter((name) => name.includes('.tmp') || name === `renamed ${full}`)).toEqual([
    expect.stringContaining('.tmp'),
    `renamed ${full}`,
  ])
  expect(synced.lastIndexOf(join(place.log, 'tile/0'))).toBeGreaterThan(synced.indexOf(`renamed ${full}`))
  for (const name of ['tile/0/000.p/1', 'tile/0/000.p']) expect(synced).toContain(join(place.log, name))
  // If a power cut removes a folder, its files are lost too. Each folder is therefore durable in its parent before the file is.
  for (const parent of ['.', 'tile', 'tile/0']) expect(synced).toContain(join(place.log, parent))
})

it('syncs the folders again that a process before it may have made and not synced', async () => {
  using place = aPlace()
  {
    await using storage = await place.open()
    await storage.write([{ path: 'tile/0/000.p/1', bytes: Buffer.from('x') }])
  }
  const synced: string[] = []
  await using storage = await diskLogStorage({ log: place.log, dir: place.dir, fs: notingFs(synced) })
  await storage.write([{ path: 'tile/0/000.p/2', bytes: Buffer.from('x') }])
  for (const folder of ['..', '.', 'tile', 'tile/0', 'tile/0/000.p']) expect(synced).toContain(join(place.log, folder))
})

it('changes the tree head in place with one flush, in the half that the newest is not in (V14)', async () => {
  const synced: string[] = []
  using place = aPlace(notingFs(synced))
  const file = join(place.dir, 'tree-head.json')
  await using storage = await place.open()
  await storage.swapHead(undefined, Buffer.from('one'))
  await storage.swapHead(Buffer.from('one'), Buffer.from('two'))
  synced.length = 0
  await storage.swapHead(Buffer.from('two'), Buffer.from('three'))
  expect(synced).toEqual([file])
  const whole = readFileSync(file)
  // The last write is torn, so the previous head counts.
  const at = whole.indexOf('three')
  writeFileSync(file, Buffer.concat([whole.subarray(0, at), Buffer.from('thr\0\0'), whole.subarray(at + 5)]))
  expect(String(await storage.readHead())).toBe('two')
  await storage.swapHead(Buffer.from('two'), Buffer.from('four'))
  expect(String(await storage.readHead())).toBe('four')
})

it('reads a tree head of the old format, without halves', async () => {
  using place = aPlace()
  await using storage = await place.open()
  writeFileSync(join(place.dir, 'tree-head.json'), '{"v":1}\n')
  expect(String(await storage.readHead())).toBe('{"v":1}\n')
  await storage.swapHead(Buffer.from('{"v":1}\n'), Buffer.from('next'))
  expect(String(await storage.readHead())).toBe('next')
})

it('reports a failed write when any of its files could not be synced, after all the others have ended', async () => {
  let underway = 0
  const fs: LogFs = {
    ...systemLogFs,
    open: async (path, flags, mode) => {
      const handle = await systemLogFs.open(path, flags, mode)
      const fails = path.endsWith('.p/2')
      const sync = async () => {
        underway++
        await handle.sync()
        underway--
        if (fails) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      }
      return {
        write: (...args) => handle.write(...args),
        sync,
        datasync: () => handle.datasync(),
        close: () => handle.close(),
      }
    },
  }
  using place = aPlace(fs)
  await using storage = await place.open()
  const files = [1, 2, 3, 4].map((width) => ({ path: `tile/0/000.p/${width}`, bytes: Buffer.from('x') }))
  await expect(storage.write(files)).rejects.toMatchObject({ code: 'EIO' })
  expect(underway).toBe(0)
})
