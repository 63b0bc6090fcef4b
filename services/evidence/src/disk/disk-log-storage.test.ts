import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DurableFs, systemFs } from '@bailiwick/service-kit'
import { expect, it } from 'vitest'
import { logStorageContract } from '../log-storage.contract.ts'
import { diskLogStorage } from './disk-log-storage.ts'

function aPlace(fs?: DurableFs) {
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

it('syncs each file and its folder before a write resolves', async () => {
  const synced: string[] = []
  const fs: DurableFs = {
    ...systemFs,
    open: async (path, flags, mode) => {
      const handle = await systemFs.open(path, flags, mode)
      const sync = async () => {
        await handle.sync()
        synced.push(path)
      }
      return { write: (...args) => handle.write(...args), sync, close: () => handle.close() }
    },
    rename: async (from, to) => {
      await systemFs.rename(from, to)
      synced.push(`renamed ${to}`)
    },
  }
  using place = aPlace(fs)
  await using storage = await place.open()
  synced.length = 0
  const path = join(place.log, 'tile/0/000.p/1')
  await storage.write([{ path: 'tile/0/000.p/1', bytes: Buffer.from('x') }])
  const folder = join(place.log, 'tile/0/000.p')
  expect(synced.filter((name) => name.includes('.tmp') || name === `renamed ${path}` || name === folder)).toEqual([
    expect.stringContaining('.tmp'),
    `renamed ${path}`,
    folder,
  ])
  // A folder that a power cut takes away takes the file along: each new one is in its parent before the file is.
  for (const parent of ['.', 'tile', 'tile/0']) expect(synced).toContain(join(place.log, parent))
})

it('says that a write failed when any of its files could not be synced, once none is under way', async () => {
  let underway = 0
  const fs: DurableFs = {
    ...systemFs,
    open: async (path, flags, mode) => {
      const handle = await systemFs.open(path, flags, mode)
      const fails = path.includes('.2.')
      const sync = async () => {
        underway++
        await handle.sync()
        underway--
        if (fails) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      }
      return { write: (...args) => handle.write(...args), sync, close: () => handle.close() }
    },
  }
  using place = aPlace(fs)
  await using storage = await place.open()
  const files = [1, 2, 3, 4].map((width) => ({ path: `tile/0/000.p/${width}`, bytes: Buffer.from('x') }))
  await expect(storage.write(files)).rejects.toMatchObject({ code: 'EIO' })
  expect(underway).toBe(0)
})
