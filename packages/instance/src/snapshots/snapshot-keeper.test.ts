import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemFs } from '@bailiwick/kit'
import { inTurn, type Row } from '@bailiwick/projection'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { trust } from '../installation.fixture.ts'
import type { Marks } from './same-history.ts'
import { type Cut, SnapshotKeeper } from './snapshots.ts'

let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keeper-'))
  path = join(folder, 'policy-decision')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A keeper, with counts of the cuts that it made and of those that ended. */
function keeper(rows: () => Iterable<Row>, more: Partial<ConstructorParameters<typeof SnapshotKeeper>[0]> = {}) {
  const seen = { cuts: 0, ended: 0, errors: [] as unknown[] }
  const marks: Marks = {}
  const cut = (): Cut => {
    seen.cuts++
    const iterator = inTurn(rows())
    const end = iterator.return?.bind(iterator)
    iterator.return = () => {
      seen.ended++
      return end?.() ?? { done: true, value: undefined }
    }
    return { takenAt: 0, since: 0, forgottenUpTo: 0, marks, counted: {}, rows: iterator }
  }
  const made = new SnapshotKeeper({
    path,
    key: Buffer.alloc(32, 7),
    owner: { service: 'policy-decision', trust },
    monotonic: () => performance.now(),
    marks: () => marks,
    cut,
    onError: (error) => seen.errors.push(error),
    ...more,
  })
  return { seen, made }
}

it('removes what a process that was killed while it wrote left behind, and nothing else', async () => {
  const left = ['.policy-decision.0123456789abcdef.tmp', '.policy-decision.fedcba9876543210.tmp']
  const others = ['.issuer.0123456789abcdef.tmp', '.policy-decision.mine.tmp', 'issuer']
  mkdirSync(join(folder, '.policy-decision.aaaaaaaaaaaaaaaa.tmp')) // a folder stays, and ends nothing
  for (const name of [...left, ...others]) writeFileSync(join(folder, name), 'x')
  const { made, seen } = keeper(() => [])
  await expect.poll(() => readdirSync(folder).filter((name) => left.includes(name))).toEqual([])
  await made[Symbol.asyncDispose]()
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(others))
  expect(seen.errors).toEqual([])
})

it('makes no cut when nothing was read since the last one', async () => {
  const { made, seen } = keeper(() => [['chain', 'x']], { everyMs: 5 })
  await expect.poll(() => seen.cuts).toBe(1)
  await new Promise((resolve) => setTimeout(resolve, 200))
  await made[Symbol.asyncDispose]()
  expect(seen).toEqual({ cuts: 1, ended: expect.any(Number), errors: [] })
})

it.each(['mkdir', 'open'] as const)('ends a cut that could not be written, because %s failed', async (step) => {
  const fs = { ...systemFs, [step]: () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' })) }
  const { made, seen } = keeper(() => [['chain', 'x']], { fs })
  await made[Symbol.asyncDispose]()
  expect(seen.errors).toHaveLength(1)
  expect(seen.ended).toBeGreaterThan(0)
})

it('does not hold up a stop: a snapshot that takes too long is given up, and the file stays as it was', async () => {
  writeFileSync(path, 'before')
  let handed = 0
  function* endless(): Generator<Row> {
    for (;;) {
      handed++
      yield ['chain', 'x'.repeat(64 * 1024)]
    }
  }
  // Each line waits for its write, so other work goes on, as with a slow disk.
  const fs = {
    ...systemFs,
    open: async (...args: Parameters<typeof systemFs.open>) => {
      const handle = await systemFs.open(...args)
      return {
        write: async (_: Uint8Array, __: number, length: number) => {
          await new Promise((resolve) => setTimeout(resolve, 5))
          return { bytesWritten: length }
        },
        sync: () => handle.sync(),
        datasync: () => handle.datasync(),
        close: () => handle.close(),
      }
    },
  }
  const { made, seen } = keeper(endless, { fs, everyMs: 5 })
  await expect.poll(() => handed).toBeGreaterThan(1)
  const begun = performance.now()
  await made[Symbol.asyncDispose]()
  expect(performance.now() - begun).toBeLessThan(5000)
  expect(readdirSync(folder)).toEqual(['policy-decision'])
  expect(readFileSync(path, 'utf8')).toBe('before')
  expect(seen).toMatchObject({ cuts: 1, errors: [expect.anything()] })
})
